//! The clock as an argument: the system's in production, tokio's (pausable) one in simulated time.
//!
//! There are two ways to tell the time. The **wall clock** ([`Clock::wall`]) may be set at any moment, in either
//! direction; it is shown, and decides nothing. **Steady time** ([`Clock::steady`]) begins at the wall clock's time
//! when the clock is made and only moves forward from there: what is due goes by it, and Kapso's clock is told
//! as a distance from it.

use std::{
    fmt,
    num::{NonZeroI64, NonZeroU8},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment of steady time, to the microsecond. Moments of different runs of the program compare as their wall
/// clocks did at the start. `Option<Steady>` takes eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Steady(NonZeroI64);

impl Steady {
    /// The moment of this wall clock's time.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self::of_microsecond(wall.as_microsecond())
    }

    /// How long after `earlier` it is; negative if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// The moment so much later, or earlier where the time is negative.
    #[must_use]
    pub fn plus(self, time: SignedDuration) -> Self {
        let microseconds = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self::of_microsecond(self.0.get().saturating_add(microseconds))
    }

    /// The wall clock's time of this moment, if the wall clock had never been set.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0.get()).unwrap_or(Timestamp::MAX)
    }

    /// The very first microsecond of 1970 becomes the second one.
    fn of_microsecond(microsecond: i64) -> Self {
        Self(NonZeroI64::new(microsecond).unwrap_or(NonZeroU8::MIN.into()))
    }
}

/// A source of time. Cheap to clone; clones agree with each other.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Steady time at this instant of the machine's monotonic clock.
    start: (Steady, Instant),
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Timestamp::now)
    }

    /// A clock that shows `start` now and advances with tokio's, so that a test which pauses tokio's time
    /// moves this one with it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn following_tokio(start: Timestamp) -> Self {
        let origin = Instant::now();
        Self::of(move || {
            let elapsed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
            start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
        })
    }

    /// A clock whose wall time is told by `wall`.
    #[must_use]
    pub fn of(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let start = (Steady::at(wall()), Instant::now());
        Self { wall: Arc::new(wall), start }
    }

    /// A clock that is ahead of this one by `skew` (behind, where it is negative).
    #[must_use]
    pub fn skewed(&self, skew: SignedDuration) -> Self {
        let clock = self.clone();
        Self::of(move || clock.wall().saturating_add(skew).unwrap_or(Timestamp::MAX))
    }

    /// The same clock, with steady time that goes on after `last`: that of an earlier run whose wall clock may
    /// have been ahead of what it shows now.
    #[must_use]
    pub fn going_on_after(&self, last: Option<Steady>) -> Self {
        let now = self.steady();
        let start = last.map_or(now, |last| now.max(last));
        Self { wall: self.wall.clone(), start: (start, Instant::now()) }
    }

    /// What the wall clock shows.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// The time that only moves forward.
    #[must_use]
    pub fn steady(&self) -> Steady {
        let (start, instant) = self.start;
        start.plus(SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.wall())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicI64, Ordering},
        time::Duration,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn steady_time_goes_on_whatever_the_wall_clock_does() {
        let wall = Arc::new(AtomicI64::new(1_800_000_000));
        let clock = Clock::of({
            let wall = wall.clone();
            move || Timestamp::from_second(wall.load(Ordering::Relaxed)).unwrap()
        });
        let start = clock.steady();
        assert_eq!(start.timestamp(), clock.wall());
        wall.store(1_700_000_000, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(clock.steady().since(start), SignedDuration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn steady_time_goes_on_where_an_earlier_run_left_it() {
        let clock = Clock::following_tokio("2026-11-22T10:00:00Z".parse().unwrap());
        let later = clock.steady().plus(SignedDuration::from_hours(1));
        assert_eq!(clock.going_on_after(Some(later)).steady(), later);
        let earlier = clock.steady().plus(SignedDuration::from_hours(-1));
        assert_eq!(clock.going_on_after(Some(earlier)).steady(), clock.steady());
        assert_eq!(clock.going_on_after(None).steady(), clock.steady());
    }
}
