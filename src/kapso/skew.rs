//! How far Kapso's clock is ahead of ours.
//!
//! Every event is judged by Kapso's own timestamps, so "now" and "when watching began" have to be told in
//! Kapso's clock. Its `Date` header shows that clock to the second: each answer bounds the skew from both
//! sides, and the bounds of several answers narrow each other.

use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

/// How far Kapso's clock is ahead of ours, as far as answers tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Skew {
    known: Option<Bounds>,
    /// What the last answer told, if that contradicts all before.
    doubt: Option<Bounds>,
}

/// Bounds of the skew: Kapso's clock minus ours.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: SignedDuration,
    high: SignedDuration,
}

impl Bounds {
    /// What both allow, if there is such a thing.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }
}

impl Skew {
    /// Takes an answer into account whose request was sent and whose head was received at these local times.
    pub fn observe(&mut self, sent: Timestamp, received: Timestamp, date: &str) {
        let Some(date) = parse(date) else { return };
        let high = date.duration_since(sent) + SignedDuration::from_secs(1);
        let told = Bounds { low: date.duration_since(received), high };
        let Some(known) = self.known else {
            self.known = Some(told);
            return;
        };
        if let Some(narrowed) = known.and(told) {
            *self = Self { known: Some(narrowed), doubt: None };
            return;
        }
        // One odd answer may come from a cache. Two in a row that agree mean that one of the clocks was set.
        match self.doubt.and_then(|doubt| doubt.and(told)) {
            Some(agreed) => *self = Self { known: Some(agreed), doubt: None },
            None => self.doubt = Some(told),
        }
    }

    /// The skew, zero while the bounds allow it: a header that counts whole seconds is no reason to
    /// distrust a clock that may be right.
    #[must_use]
    pub fn estimate(&self) -> SignedDuration {
        let Some(Bounds { low, high }) = self.known else {
            return SignedDuration::ZERO;
        };
        if low > SignedDuration::ZERO || high < SignedDuration::ZERO {
            return low + (high - low) / 2;
        }
        SignedDuration::ZERO
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    let date: SystemTime = httpdate::parse_http_date(date).ok()?;
    Timestamp::try_from(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew_after(answers: &[(&str, &str, &str)]) -> f64 {
        let mut skew = Skew::default();
        for (sent, received, date) in answers {
            skew.observe(sent.parse().unwrap(), received.parse().unwrap(), date);
        }
        skew.estimate().as_secs_f64()
    }

    #[test]
    fn a_clock_that_agrees_to_the_second_is_taken_as_right() {
        let answer =
            ("2026-11-22T10:00:00.950Z", "2026-11-22T10:00:01.100Z", "Sun, 22 Nov 2026 10:00:00 GMT");
        assert_eq!(skew_after(&[answer]), 0.0);
    }

    #[test]
    fn answers_narrow_each_other() {
        // The first answer bounds the skew to 90.6 to 92.3 s, the second one to 90.2 to 91.9 s.
        let first = ("2026-11-22T10:00:00.700Z", "2026-11-22T10:00:01.400Z", "Sun, 22 Nov 2026 10:01:32 GMT");
        let second =
            ("2026-11-22T10:00:05.100Z", "2026-11-22T10:00:05.800Z", "Sun, 22 Nov 2026 10:01:36 GMT");
        assert_eq!(skew_after(&[first, second]), 91.25);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_and_nonsense_is_ignored() {
        let before = ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z", "Sun, 22 Nov 2026 10:00:00 GMT");
        let after = ("2026-11-22T10:00:01Z", "2026-11-22T10:00:01Z", "Sun, 22 Nov 2026 09:00:01 GMT");
        let again = ("2026-11-22T10:00:02Z", "2026-11-22T10:00:02Z", "Sun, 22 Nov 2026 09:00:02 GMT");
        let nonsense = ("2026-11-22T10:00:03Z", "2026-11-22T10:00:03Z", "yesterday");
        assert_eq!(skew_after(&[before, after, nonsense, again]), -3599.5);
        assert_eq!(skew_after(&[]), 0.0);
    }

    #[test]
    fn one_odd_answer_sets_no_clock() {
        let before = ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z", "Sun, 22 Nov 2026 10:00:00 GMT");
        let cached = ("2026-11-22T10:00:01Z", "2026-11-22T10:00:01Z", "Sun, 22 Nov 2026 09:00:01 GMT");
        let ahead = ("2026-11-22T10:00:02Z", "2026-11-22T10:00:02Z", "Sun, 22 Nov 2026 12:00:02 GMT");
        let after = ("2026-11-22T10:00:03Z", "2026-11-22T10:00:03Z", "Sun, 22 Nov 2026 10:00:03 GMT");
        assert_eq!(skew_after(&[before, cached, ahead, after, cached]), 0.0);
    }
}
