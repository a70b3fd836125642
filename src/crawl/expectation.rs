//! How soon an outcome of an open execution is to be expected, and so how often it is to be looked at.
//!
//! What became of the executions of a workflow that were counted makes a life table: for each span of ages between the
//! bounds of the duration histogram, how many were handed off, ended or failed in it, and for how long executions were
//! of that age. Open executions count up to their last event. An execution is as likely to have an outcome as others of
//! its workflow were at its age; one that has been quiet for hours goes on being quiet for as long. The table costs no
//! memory: it is made of the histograms and the open executions each time.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::ledger::Totals;

/// An execution is looked at again once the chance is this high that there is an outcome to be found.
const CHANCE: f64 = 0.0025;
/// The least urgent executions are looked at every so many intervals.
pub const QUIETEST_EVERY: i32 = 5;
/// The weight of the most urgent ones. One that is looked at every interval for its chance has a weight of 1.
pub const MOST_WEIGHT: f64 = 4.0;
/// The weight of the least urgent ones.
pub const LEAST_WEIGHT: f64 = 1.0 / (QUIETEST_EVERY * QUIETEST_EVERY) as f64;
/// Where nothing was counted of a workflow, an outcome is expected within so many seconds; …
const USUAL_WAIT: f64 = 3600.0;
/// … and what is expected weighs as much as so many outcomes that were counted, also at an age at which there were few.
const PRIOR_OUTCOMES: f64 = 1.0;
/// An execution is quiet once nothing has happened in it for so many seconds.
const QUIET_AFTER: f64 = 3600.0;

/// How urgent it is to look at an execution again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Urgency {
    /// From one look to the next, where the budget allows it.
    pub every: SignedDuration,
    /// Where the budget does not: how many times as high as usual the chance is that an outcome is found.
    pub weight: f64,
    /// Outcomes to be expected in a second.
    pub outcomes_per_second: f64,
}

/// When the executions of a workflow had outcomes, by age.
#[derive(Debug, Clone, PartialEq)]
pub struct LifeTable {
    spans: Vec<Span>,
    /// At any age.
    usual_wait: f64,
}

/// Of ages up to a bound, from the bound before.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    until: f64,
    /// Outcomes at these ages.
    outcomes: f64,
    /// For how long executions were of these ages, all of them together, in seconds.
    exposure: f64,
}

impl LifeTable {
    /// Of a workflow's executions: those that were counted, and the ages in seconds that those that are open had at their
    /// last events.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts")]
    pub fn of(totals: &Totals, active: &[f64]) -> Self {
        let bounds: Arc<[f64]> = totals.ended_duration.cumulative().map(|(bound, _)| bound).collect();
        let mut finished = totals.ended_duration.clone();
        finished.merge(&totals.failed_duration);
        let handed_off = totals.time_to_handoff.clone().with_bounds(&bounds);
        let (finished, handed_off) = (finished.counts(), handed_off.counts());
        let upper = bounds.iter().copied().chain([f64::INFINITY]);
        let mut left: u64 = finished.iter().sum();
        let mut from = 0.0;
        let mut spans = Vec::new();
        for ((until, &ends), &handoffs) in upper.zip(finished).zip(handed_off) {
            left -= ends;
            let width: f64 = if until.is_finite() { until - from } else { from };
            let still_open: f64 = active.iter().map(|age| (age.min(until) - from).max(0.0)).sum();
            let exposure = left as f64 * width + ends as f64 * width / 2.0 + still_open;
            spans.push(Span { until, outcomes: (ends + handoffs) as f64, exposure });
            from = until;
        }
        let outcomes = spans.iter().map(|span| span.outcomes).sum();
        let exposure = spans.iter().map(|span| span.exposure).sum();
        Self { spans, usual_wait: wait(outcomes, exposure, USUAL_WAIT) }
    }

    /// Outcomes in a second that are to be expected of an open execution, by its age and the time since its last event
    /// in seconds.
    #[must_use]
    pub fn outcomes_per_second(&self, age: f64, idle: f64) -> f64 {
        let span = self.spans.get(self.spans.partition_point(|span| span.until < age));
        let (outcomes, exposure) = span.map_or((0.0, 0.0), |span| (span.outcomes, span.exposure));
        1.0 / (wait(outcomes, exposure, self.usual_wait) + (idle - QUIET_AFTER).max(0.0))
    }
}

/// Seconds until an outcome, where so many came in so many seconds; `usual` where there were few.
fn wait(outcomes: f64, exposure: f64, usual: f64) -> f64 {
    (exposure + PRIOR_OUTCOMES * usual) / (outcomes + PRIOR_OUTCOMES)
}

impl Urgency {
    /// Of an execution with this chance. `longest` is the longest time from one look to the next.
    #[must_use]
    pub fn of(outcomes_per_second: f64, interval: SignedDuration, longest: SignedDuration) -> Self {
        let usual = CHANCE / interval.as_secs_f64();
        let weight = (outcomes_per_second / usual).clamp(LEAST_WEIGHT, MOST_WEIGHT);
        let intervals = (1.0 / weight).clamp(1.0, QUIETEST_EVERY.into());
        let every = interval.mul_f64(intervals).min(longest.max(interval));
        Self { every, weight, outcomes_per_second }
    }

    /// Of any execution, where all are alike.
    #[must_use]
    pub fn equal(interval: SignedDuration) -> Self {
        let outcomes_per_second = CHANCE / interval.as_secs_f64();
        Self { every: interval, weight: 1.0, outcomes_per_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Buckets, Event},
        model::Status,
    };

    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3600.0;
    const INTERVAL: SignedDuration = SignedDuration::from_mins(1);

    /// Of so many executions that ended after so many seconds, and none that is open.
    fn table(ended: &[(usize, f64)]) -> LifeTable {
        let mut totals = Totals::new(&Buckets::default());
        for &(count, duration) in ended {
            for _ in 0..count {
                let ended = Event::Finished { status: Status::Ended, at: None, duration: Some(duration) };
                totals.count(&"e".into(), &ended, jiff::Timestamp::UNIX_EPOCH);
            }
        }
        LifeTable::of(&totals, &[])
    }

    fn every(outcomes_per_second: f64) -> i64 {
        Urgency::of(outcomes_per_second, INTERVAL, SignedDuration::from_hours(1)).every.as_secs()
    }

    #[test]
    fn an_execution_whose_workflow_ends_within_minutes_is_more_urgent_than_one_that_lasts_for_days() {
        let (fast, slow) = (table(&[(100, 3.0 * MINUTE)]), table(&[(100, 60.0 * HOUR)]));
        let weight = |table: &LifeTable| {
            let rate = table.outcomes_per_second(2.5 * MINUTE, MINUTE);
            Urgency::of(rate, INTERVAL, SignedDuration::from_hours(1)).weight
        };
        assert!(weight(&fast) / weight(&slow) > 20.0, "{} {}", weight(&fast), weight(&slow));
    }

    #[test]
    fn an_outcome_is_as_likely_as_it_was_at_that_age() {
        let table = table(&[(500, 8.0 * MINUTE), (500, 20.0 * HOUR)]);
        let at = |age| table.outcomes_per_second(age, MINUTE);
        // Half of a thousand ended within the five minutes of this age, after half of them, and the others lasted longer.
        let seen = 500.0 / (750.0 * 300.0);
        assert!((at(7.0 * MINUTE) / seen - 1.0).abs() < 0.2, "{}", at(7.0 * MINUTE) / seen);
        assert!(at(2.0 * HOUR) < seen / 100.0);
    }

    #[test]
    fn what_has_been_quiet_for_long_is_looked_at_less_often_whatever_its_workflow_does() {
        let nothing = table(&[]);
        let idle = |hours| every(nothing.outcomes_per_second(hours * HOUR, hours * HOUR));
        assert_eq!([0.1, 6.0, 20.0, 100.0].map(idle), [60, 60, 180, 300]);
    }

    #[test]
    fn an_execution_that_stays_open_makes_others_of_its_age_less_urgent_up_to_its_last_event() {
        let totals = Totals::new(&Buckets::default());
        let rate = |active: &[f64]| LifeTable::of(&totals, active).outcomes_per_second(3.0 * HOUR, 0.0);
        let younger = rate(&[2.0 * HOUR; 9]);
        assert!(rate(&[4.0 * HOUR; 9]) < younger / 2.0 && younger < rate(&[]));
    }

    #[test]
    fn nothing_is_left_alone_for_longer_than_the_longest_time() {
        let quiet = Urgency::of(1e-9, INTERVAL, SignedDuration::from_mins(2));
        assert_eq!(quiet.every, SignedDuration::from_mins(2));
        assert_eq!(Urgency::of(1e-9, INTERVAL, SignedDuration::from_secs(1)).every, INTERVAL);
    }
}
