//! How far Kapso's clock is ahead of steady time.
//!
//! Every event is judged by Kapso's own timestamps, so "now" and "when watching began" have to be told in
//! Kapso's clock. Its `Date` header shows that clock to the second: each answer bounds the skew from both
//! sides, and answers that agree narrow each other. Answers may come from a cache, or from a replica whose clock is
//! wrong. So an answer that contradicts what is known changes nothing by itself: the skew takes a **step** when
//! nearly all of the latest answers contradict it in the same way, and have done so for half a minute. Only at
//! the start, before the first answers have agreed, a plain majority suffices.
//!
//! Right after a start the skew is **in doubt** while it says that our own clock is wrong by more than half a minute:
//! the watch must not begin at a time that Kapso takes back. It is trusted once answers have agreed for half a minute,
//! or two of them agree with our clock; at the latest with the second answer after two minutes: what the last two agree
//! on, or else what the first answers told. Time without answers proves nothing, but after two hours it is trusted all
//! the same. A first answer that agrees with our clock is trusted at once.

use std::{collections::VecDeque, time::SystemTime};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Steady;

/// How many of the latest answers are considered.
const WINDOW: usize = 15;
/// So many answers that agree end the start.
const MAJORITY: usize = WINDOW / 2 + 1;
/// So many answers of the window are needed for a step. Two replicas that answer by turns never reach it.
const QUORUM: usize = 12;
/// How long a step has to last before it is believed.
const LASTING: SignedDuration = SignedDuration::from_secs(30);
/// So many answers that agree with our own clock outweigh those before, right after a start.
const WITNESSES: usize = 2;
/// A skew that is in doubt right after a start is trusted with the second answer after this time, …
const LONGEST_DOUBT: SignedDuration = SignedDuration::from_mins(2);
/// … or after this one without. Kapso may impose a pause that is nearly as long.
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_hours(2);
/// How long the skew before a step is not forgotten.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(10);

/// How far Kapso's clock is ahead of steady time, as far as answers tell.
#[derive(Debug, Default)]
pub struct Skew {
    window: VecDeque<Bounds>,
    believed: Option<Bounds>,
    phase: Phase,
    doubt: Option<Doubt>,
    before: Option<Before>,
    trust: Trust,
}

/// Whether the skew was ever beyond doubt.
#[derive(Debug, Clone, Copy, Default)]
enum Trust {
    #[default]
    Unknown,
    /// Not yet: the first answer came at `first`, none has contradicted what is believed since `since`, and so many
    /// came after [`LONGEST_DOUBT`].
    Doubted {
        first: Steady,
        since: Steady,
        overdue: usize,
    },
    Trusted,
}

/// Whether enough answers have agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Start,
    Known,
}

/// What answers tell that contradict what is believed.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    bounds: Bounds,
    since: Steady,
}

/// What was believed before a step, which may have been wrong.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// The estimates, lowest and highest.
    range: (SignedDuration, SignedDuration),
    until: Steady,
}

/// Bounds of the skew: Kapso's clock minus steady time.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: SignedDuration,
    high: SignedDuration,
}

impl Bounds {
    /// What an answer tells whose request was sent and whose head was received then.
    fn told(sent: Steady, received: Steady, date: &str) -> Option<Self> {
        let date: SystemTime = httpdate::parse_http_date(date).ok()?;
        let date = Timestamp::try_from(date).ok()?;
        let high = date.duration_since(sent.timestamp()) + SignedDuration::from_secs(1);
        Some(Self { low: date.duration_since(received.timestamp()), high })
    }

    /// What both allow, if there is such a thing.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    fn middle(&self) -> SignedDuration {
        self.low + (self.high - self.low) / 2
    }

    /// Whether our own clock says nearly the same.
    fn is_ours(&self) -> bool {
        self.estimate().abs() <= LASTING
    }

    /// The middle, or zero while that is allowed: a header that counts whole seconds is no reason to distrust a
    /// clock that may be right.
    fn estimate(&self) -> SignedDuration {
        let zero = SignedDuration::ZERO;
        if self.low > zero || self.high < zero { self.middle() } else { zero }
    }
}

impl Skew {
    /// Takes an answer into account whose request was sent and whose head was received then, with its `Date`.
    pub fn observe(&mut self, sent: Steady, received: Steady, date: Option<&str>) {
        let told = date.and_then(|date| Bounds::told(sent, received, date));
        if let Some(told) = told {
            self.learn(told, received);
        }
        self.gain_trust(received, told.is_some());
    }

    fn learn(&mut self, told: Bounds, received: Steady) {
        self.window.push_back(told);
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let believed = *self.believed.get_or_insert(told);
        if matches!(self.trust, Trust::Unknown) {
            self.trust = Trust::Doubted { first: received, since: received, overdue: 0 };
        }
        let (agreeing, contradicting): (Vec<_>, Vec<_>) =
            self.window.iter().partition(|sample| believed.and(**sample).is_some());
        match believed.and(told) {
            Some(narrowed) => {
                self.believed = Some(narrowed);
                if agreeing.len() >= MAJORITY {
                    self.phase = Phase::Known;
                }
                if contradicting.len() < QUORUM {
                    self.doubt = None;
                }
            }
            None => self.contradicted(contradicting, received),
        }
    }

    fn agreed_since(&mut self, at: Steady) {
        if let Trust::Doubted { since, .. } = &mut self.trust {
            *since = at;
        }
    }

    fn gain_trust(&mut self, now: Steady, is_told: bool) {
        let Trust::Doubted { first, since, overdue } = &mut self.trust else { return };
        *overdue += usize::from(now.since(*first) >= LONGEST_DOUBT);
        let (has_lasted, is_overdue) = (is_told && now.since(*since) >= LASTING, *overdue >= WITNESSES);
        if is_overdue && !has_lasted {
            self.believe_the_latest(now);
        }
        if has_lasted || is_overdue || self.believed.is_some_and(|believed| believed.is_ours()) {
            self.trust = Trust::Trusted;
        }
    }

    fn contradicted(&mut self, samples: Vec<Bounds>, now: Steady) {
        self.agreed_since(now);
        let Some((bounds, count)) = cluster(samples) else { return };
        let same = self.doubt.and_then(|doubt| Some(Doubt { bounds: doubt.bounds.and(bounds)?, ..doubt }));
        let doubt = same.unwrap_or(Doubt { bounds, since: now });
        self.doubt = Some(doubt);
        let is_ours = bounds.is_ours() && count >= WITNESSES;
        let is_believed = match self.phase {
            _ if is_ours && self.is_in_doubt(now) => {
                self.phase = Phase::Known;
                true
            }
            Phase::Start => 2 * count > self.window.len(),
            Phase::Known => count >= QUORUM && now.since(doubt.since) >= LASTING,
        };
        if is_believed {
            self.step(doubt, now);
        }
    }

    fn step(&mut self, to: Doubt, now: Steady) {
        let range = self.range(now);
        self.before = range.map(|range| Before { range, until: now.plus(AFTERMATH) });
        self.believed = Some(to.bounds);
        self.doubt = None;
        self.agreed_since(to.since);
    }

    /// Believes the latest answers if they agree with each other and contradict what is believed.
    fn believe_the_latest(&mut self, now: Steady) {
        let Some(believed) = self.believed else { return };
        let mut latest = self.window.iter().rev().take(WITNESSES).copied();
        let Some(newest) = latest.next() else { return };
        let agreed = latest.try_fold(newest, Bounds::and);
        if let Some(bounds) = agreed.filter(|bounds| believed.and(*bounds).is_none()) {
            self.step(Doubt { bounds, since: now }, now);
        }
    }

    /// Whether an answer told it.
    pub fn is_known(&self) -> bool {
        self.believed.is_some()
    }

    /// Whether it is one of the start that may be taken back.
    pub fn is_in_doubt(&self, now: Steady) -> bool {
        matches!(self.trust, Trust::Doubted { first, .. } if now.since(first) < LONGEST_SILENCE)
    }

    /// The skew; zero while nothing is known.
    pub fn estimate(&self) -> SignedDuration {
        self.believed.as_ref().map(Bounds::estimate).unwrap_or_default()
    }

    /// The least that it may be: before a step that was believed lately, or after it.
    pub fn least(&self, now: Steady) -> SignedDuration {
        self.range(now).map_or_else(|| self.estimate(), |(low, _)| low)
    }

    /// The most that it may be: before a step that was believed lately, after it, or after one in doubt.
    pub fn most(&self, now: Steady) -> SignedDuration {
        let most = self.range(now).map_or_else(|| self.estimate(), |(_, high)| high);
        self.doubt.map_or(most, |doubt| most.max(doubt.bounds.high))
    }

    /// The lowest and the highest estimate that are not forgotten.
    fn range(&self, now: Steady) -> Option<(SignedDuration, SignedDuration)> {
        let (believed, before) = (self.believed?.estimate(), self.before.filter(|before| now < before.until));
        let (low, high) = before.map_or((believed, believed), |before| before.range);
        Some((believed.min(low), believed.max(high)))
    }
}

/// What the samples around their median allow together, and how many of them do.
fn cluster(mut samples: Vec<Bounds>) -> Option<(Bounds, usize)> {
    samples.sort_by_key(Bounds::middle);
    let median = *samples.get(samples.len() / 2)?;
    samples.sort_by_key(|sample| (sample.middle() - median.middle()).abs());
    let narrow = |(bounds, count): (Bounds, usize), sample: Bounds| match bounds.and(sample) {
        Some(narrowed) => (narrowed, count + 1),
        None => (bounds, count),
    };
    Some(samples.into_iter().fold((median, 0), narrow))
}

#[cfg(test)]
mod tests;
