//! Kapso's clock, as the `Date` headers of one API show it, and steady time beside it.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use parking_lot::Mutex;

use super::{Error, skew::Skew, times::Dates};
use crate::{
    RELEASED,
    clock::{Clock, Steady},
};

/// By how much a time in an answer may be ahead of Kapso's clock.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// By how much it may be ahead of ours, while Kapso's is not known.
const AHEAD_OF_OURS: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Tells the time at Kapso. Whoever asks an API tells it what the answers show.
pub struct KapsoClock {
    ours: Clock,
    skew: Mutex<Skew>,
    /// Kapso has answered.
    is_answered: AtomicBool,
}

impl KapsoClock {
    /// One that agrees with our clock until an answer shows another time.
    #[must_use]
    pub fn new(ours: Clock) -> Self {
        Self { ours, skew: Mutex::default(), is_answered: AtomicBool::new(false) }
    }

    /// The time now in Kapso's clock, as well as it is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(self.steady_now())
    }

    /// The time now, for all that is planned.
    #[must_use]
    pub fn steady_now(&self) -> Steady {
        self.ours.steady()
    }

    /// A moment in Kapso's clock.
    #[must_use]
    pub fn at(&self, moment: Steady) -> Timestamp {
        moved(moment, self.skew.lock().estimate())
    }

    /// The time now in Kapso's clock, or an earlier one: after a step of that clock, the earlier of what it showed.
    #[must_use]
    pub fn now_at_least(&self) -> Timestamp {
        self.as_of(self.steady_now())
    }

    /// Whether an answer showed Kapso's clock.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.skew.lock().is_known()
    }

    /// Whether somebody tells the time: Kapso, or a clock of ours that is not before this program's own release.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.is_known() || self.ours_is_plausible()
    }

    /// Whether news can be told from history: Kapso has answered, and its clock is plausible and contradicts ours no more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed) && self.is_plausible() && !self.is_in_doubt()
    }

    /// Fails unless it is plausible.
    ///
    /// # Errors
    /// [`Error::Clock`].
    pub fn require_plausible(&self) -> Result<(), Error> {
        if self.is_plausible() { Ok(()) } else { Err(Error::Clock { today: self.today() }) }
    }

    /// Whether it contradicts ours right after a start and has not lasted.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.ours_is_plausible() && self.skew.lock().is_in_doubt(self.steady_now())
    }

    /// Takes an answer into account that comes in now to a request that was sent then, with its `Date`.
    pub(super) fn observe(&self, sent: Steady, date: Option<&str>) {
        self.skew.lock().observe(sent, self.steady_now(), date);
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// A moment in Kapso's clock, so that nothing is claimed to be newer than it is: after a step of that clock, the
    /// earlier of what it showed.
    pub(super) fn as_of(&self, sent: Steady) -> Timestamp {
        moved(sent, self.skew.lock().least(sent))
    }

    /// A time that Kapso told, unless it cannot be.
    #[must_use]
    pub fn possible(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        self.dates().possible(time)
    }

    /// Which times an answer that comes in now may tell of.
    pub(super) fn dates(&self) -> Dates {
        let (now, skew) = (self.steady_now(), self.skew.lock());
        let ahead = if skew.is_known() { AHEAD } else { AHEAD_OF_OURS };
        // Our own clock is a witness, too: what happens now is not in the future for a Date that is behind.
        let most = skew.most(now).max(SignedDuration::ZERO) + ahead;
        Dates { now: moved(now, skew.estimate()), latest: moved(now, most) }
    }

    fn ours_is_plausible(&self) -> bool {
        self.today() >= RELEASED
    }

    fn today(&self) -> Date {
        TimeZone::UTC.to_datetime(self.steady_now().timestamp()).date()
    }
}

fn moved(at: Steady, skew: SignedDuration) -> Timestamp {
    let at = at.timestamp();
    at.saturating_add(skew).unwrap_or(at)
}
