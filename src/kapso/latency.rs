//! The latency of the API, and how many requests are to be under way for it.
//!
//! By Little's law so many are under way as are sent per second, times the seconds that each takes. A slow API is
//! asked more at once, or the budget could not be used. One that has become much slower than it was is overloaded: it is
//! asked less at once, and shows whether that helps. If it stays slow, that is how it is.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{Endpoint, hanging::LONG};

/// The least that is under way, however slow the API has become.
const LEAST: usize = 2;
/// The most: a thousand requests a minute, the half of Kapso's largest plan, of two seconds each, and some.
const MOST: usize = 40;
/// More than Little's law says, since no two answers take the same time.
const HEADROOM: f64 = 1.2;
/// What a new answer weighs in an average.
const WEIGHT: f64 = 0.1;
/// An endpoint's typical latency is the median of so many answers.
const TYPICAL_OF: usize = 15;
/// An API that is so many times slower than it was is overloaded; longer pages alone do not make that.
const OVERLOADED: f64 = 3.0;
/// Whatever is answered within this time is answered soon, however soon it was before.
const SOON: Duration = Duration::from_millis(100);
/// The lowest latency counts for so long, and at most twice as long.
const LOWEST_FOR: Duration = Duration::from_mins(5);

/// How long the answers take. Does no I/O and tells no time.
#[derive(Debug, Default)]
pub struct Latency {
    /// How long a request takes a place, in seconds. One that hangs takes none.
    place: Option<f64>,
    /// How many times slower the API is than it was.
    slower: Option<f64>,
    endpoints: HashMap<Endpoint, Typical>,
}

/// How long an endpoint takes; they differ.
#[derive(Debug)]
struct Typical {
    recent: VecDeque<Duration>,
    /// The lowest median of the present period, and of the one before.
    lowest: [Duration; 2],
    period_began: Instant,
}

impl Latency {
    /// An answer of this endpoint came after `elapsed`, or none within that time.
    pub fn learn(&mut self, endpoint: Endpoint, elapsed: Duration, now: Instant) {
        let typical = self.endpoints.entry(endpoint).or_insert_with(|| Typical::new(now));
        let slower = typical.learn(elapsed, now);
        average(&mut self.place, elapsed.min(LONG).as_secs_f64());
        average(&mut self.slower, slower);
    }

    /// How many requests are to be under way at a pace of so many per second: at least `usual`, unless the API is
    /// overloaded.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited to `MOST`")]
    #[allow(clippy::cast_precision_loss, reason = "a few requests")]
    pub fn at_once(&self, per_second: f64, usual: usize) -> usize {
        let needed = per_second * self.place.unwrap_or(0.0) * HEADROOM;
        let eased = (OVERLOADED / self.slower.unwrap_or(1.0)).min(1.0);
        let at_once = needed.min(MOST as f64).max(usual as f64) * eased;
        (at_once.ceil() as usize).clamp(LEAST, MOST)
    }
}

impl Typical {
    fn new(now: Instant) -> Self {
        Self { recent: VecDeque::new(), lowest: [Duration::MAX; 2], period_began: now }
    }

    /// Returns how many times slower than it was the endpoint is with this answer.
    fn learn(&mut self, elapsed: Duration, now: Instant) -> f64 {
        self.recent.push_back(elapsed);
        self.recent.drain(..self.recent.len().saturating_sub(TYPICAL_OF));
        let median = self.median();
        if now.saturating_duration_since(self.period_began) >= LOWEST_FOR {
            (self.lowest, self.period_began) = ([median, self.lowest[0]], now);
        }
        self.lowest[0] = self.lowest[0].min(median);
        let lowest = self.lowest[0].min(self.lowest[1]).max(SOON);
        median.div_duration_f64(lowest).max(1.0)
    }

    fn median(&self) -> Duration {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

fn average(so_far: &mut Option<f64>, new: f64) {
    *so_far = Some(so_far.map_or(new, |so_far| so_far + WEIGHT * (new - so_far)));
}

#[cfg(test)]
mod tests;
