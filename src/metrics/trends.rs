//! Failures and handoffs of the last hour, minute by minute, for people who have no Prometheus at hand.
//!
//! Sampled from the totals whenever a stream is rendered, which is every ten seconds at least: an event is in the minute
//! in which it was counted. Nothing of it survives a restart. A workflow costs 24 bytes, and 480 more while it had an
//! event within the hour.

use jiff::SignedDuration;

use crate::clock::Steady;

/// Minutes that are remembered.
pub const MINUTES: usize = 60;

/// Events in each of the last minutes, oldest first; the last one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trend {
    /// Executions that failed.
    pub failed: [u32; MINUTES],
    /// Transitions into handoff.
    pub handoffs: [u32; MINUTES],
}

/// What was counted of a workflow so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Executions that failed.
    pub failed: u64,
    /// Transitions into handoff.
    pub handoffs: u64,
}

/// The trends of all workflows of a stream, by their number.
#[derive(Debug, Default)]
pub struct Trends {
    workflows: Vec<Sampled>,
    /// When the minute began that is under way.
    minute: Option<Steady>,
}

#[derive(Debug, Default)]
struct Sampled {
    counted: Counted,
    trend: Option<Box<Trend>>,
}

impl Default for Trend {
    fn default() -> Self {
        Self { failed: [0; MINUTES], handoffs: [0; MINUTES] }
    }
}

impl Trend {
    /// Adds another workflow's.
    pub fn merge(&mut self, other: &Self) {
        let add = |mine: &mut [u32], theirs: &[u32]| {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        };
        add(&mut self.failed, &other.failed);
        add(&mut self.handoffs, &other.handoffs);
    }

    /// So many minutes have passed.
    fn pass(&mut self, minutes: usize) {
        for counts in [&mut self.failed, &mut self.handoffs] {
            counts.rotate_left(minutes.min(MINUTES));
            let kept = MINUTES.saturating_sub(minutes);
            counts[kept..].fill(0);
        }
    }

    fn is_empty(&self) -> bool {
        self.failed.iter().chain(&self.handoffs).all(|&count| count == 0)
    }

    fn add(&mut self, failed: u64, handoffs: u64) {
        let add = |counts: &mut [u32; MINUTES], count| {
            let last = &mut counts[MINUTES - 1];
            *last = last.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        };
        add(&mut self.failed, failed);
        add(&mut self.handoffs, handoffs);
    }
}

impl Trends {
    /// Takes in what was counted until now, in the order of the workflows' numbers. What was counted before the first time
    /// is not of this hour; a workflow that comes later begins at zero.
    pub fn sample(&mut self, counted: impl Iterator<Item = Counted>, now: Steady) {
        let is_first = self.minute.is_none();
        let passed = self.pass(now);
        for (number, counted) in counted.enumerate() {
            if number == self.workflows.len() {
                let before = if is_first { counted } else { Counted::default() };
                self.workflows.push(Sampled { counted: before, trend: None });
            }
            self.workflows[number].sample(counted, passed);
        }
    }

    /// How many minutes have passed since the last time.
    fn pass(&mut self, now: Steady) -> usize {
        let minute = *self.minute.get_or_insert(now);
        let passed = now.since(minute).as_mins().max(0);
        self.minute = Some(minute.plus(SignedDuration::from_mins(passed)));
        usize::try_from(passed).unwrap_or(MINUTES)
    }

    /// How many workflows there are.
    pub fn len(&self) -> usize {
        self.workflows.len()
    }

    /// That of a workflow; of one without an event there is none.
    pub fn of(&self, number: usize) -> Option<&Trend> {
        self.workflows.get(number)?.trend.as_deref()
    }
}

impl Sampled {
    fn sample(&mut self, counted: Counted, passed: usize) {
        if let Some(trend) = &mut self.trend {
            trend.pass(passed);
            if passed > 0 && trend.is_empty() {
                self.trend = None;
            }
        }
        let failed = counted.failed.saturating_sub(self.counted.failed);
        let handoffs = counted.handoffs.saturating_sub(self.counted.handoffs);
        self.counted = counted;
        if failed + handoffs > 0 {
            self.trend.get_or_insert_default().add(failed, handoffs);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Steady {
        Steady::at(Timestamp::from_second(1_700_000_000 + seconds).unwrap())
    }

    fn sample(trends: &mut Trends, seconds: i64, failed: &[u64]) {
        trends.sample(failed.iter().map(|&failed| Counted { failed, handoffs: 0 }), at(seconds));
    }

    #[test]
    fn what_was_counted_before_is_not_of_this_hour_and_a_later_workflow_begins_at_zero() {
        let mut trends = Trends::default();
        sample(&mut trends, 0, &[1000]);
        sample(&mut trends, 10, &[1002, 3]);
        let last = |number| trends.of(number).map_or(0, |trend: &Trend| trend.failed[MINUTES - 1]);
        assert_eq!((last(0), last(1)), (2, 3));
    }

    #[test]
    fn events_move_back_by_a_place_each_minute_and_leave_after_an_hour() {
        let mut trends = Trends::default();
        sample(&mut trends, 0, &[0]);
        sample(&mut trends, 59, &[1]);
        for second in (60..3600).step_by(10) {
            sample(&mut trends, second, &[1]);
        }
        assert_eq!(trends.of(0).unwrap().failed[0], 1);
        assert_eq!(trends.of(0).unwrap().failed.iter().sum::<u32>(), 1);
        sample(&mut trends, 3600, &[1]);
        assert_eq!(trends.of(0), None);
    }

    #[test]
    fn a_long_silence_forgets_everything_but_what_was_counted_last() {
        let mut trends = Trends::default();
        sample(&mut trends, 0, &[0]);
        sample(&mut trends, 1, &[5]);
        sample(&mut trends, 100_000, &[7]);
        assert_eq!(trends.of(0).unwrap().failed.iter().sum::<u32>(), 2);
    }

    #[test]
    fn a_workflow_costs_what_is_said() {
        assert!(size_of::<Sampled>() <= 24 && size_of::<Trend>() <= 480);
    }
}
