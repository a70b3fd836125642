//! The last sweeps of a source, for whoever asks why a number is missing.
//!
//! The last [`RECENT`] are kept, and of those before them the last [`FAILED`] that failed: a failure stays visible after
//! the sweeps that followed it went well. Nothing of it survives a restart.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    label,
    sweep::{Outcome, Report},
};

/// So many sweeps are kept, …
pub const RECENT: usize = 20;
/// … and so many that failed of those before them.
pub const FAILED: usize = 20;

/// The last sweeps, oldest first. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct History {
    failed: VecDeque<Arc<Swept>>,
    recent: VecDeque<Arc<Swept>>,
}

/// One sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// How it went.
    pub outcome: Outcome,
    /// When it was done, in our clock.
    pub finished: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Conversations that are watched.
    pub watched: usize,
    /// Executions that are open.
    pub open: usize,
    /// What was missing, where something was.
    pub failure: Option<Failure>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The `reason` label of the error, or `stuck`, or `failing_lists`.
    pub reason: &'static str,
    /// The same in words, without key, body or personal data.
    pub message: Box<str>,
}

impl History {
    /// Takes note of another sweep.
    pub fn push(&mut self, swept: Swept) {
        self.recent.push_back(Arc::new(swept));
        if self.recent.len() <= RECENT {
            return;
        }
        self.failed.extend(self.recent.pop_front().filter(|oldest| oldest.failure.is_some()));
        if self.failed.len() > FAILED {
            self.failed.pop_front();
        }
    }

    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Swept> {
        self.failed.iter().chain(&self.recent).map(Arc::as_ref)
    }

    /// The newest one.
    #[must_use]
    pub fn last(&self) -> Option<&Swept> {
        self.recent.back().map(Arc::as_ref)
    }

    /// The newest one that failed.
    #[must_use]
    pub fn last_failure(&self) -> Option<&Swept> {
        self.iter().rev().find(|swept| swept.failure.is_some())
    }
}

impl From<&Report> for Swept {
    fn from(report: &Report) -> Self {
        let Report { outcome, finished, duration, ref progress, .. } = *report;
        let (watched, open) = (progress.watched, progress.open);
        Self { outcome, finished, duration, watched, open, failure: Failure::of(report) }
    }
}

impl Failure {
    /// What was missing to a sweep.
    fn of(report: &Report) -> Option<Self> {
        if report.outcome != Outcome::Incomplete {
            return None;
        }
        if report.stuck {
            let message = "the sweep showed no sign of life for minutes and was given up".into();
            return Some(Self { reason: "stuck", message });
        }
        let Some(error) = &report.progress.error else {
            let failing = report.progress.failing;
            let message = format!("{failing} lists of executions could not be read the last time").into();
            return Some(Self { reason: "failing_lists", message });
        };
        let reason = error.reason().map_or("cancelled", |reason| reason.as_str());
        Some(Self { reason, message: label::name(&error.to_string()).into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(second: i64, fails: bool) -> Swept {
        let failure = Failure { reason: "timeout", message: "no answer".into() };
        Swept {
            outcome: if fails { Outcome::Incomplete } else { Outcome::Complete },
            finished: Timestamp::from_second(second).unwrap(),
            duration: Duration::from_secs(1),
            watched: 2,
            open: 1,
            failure: fails.then_some(failure),
        }
    }

    fn seconds(history: &History) -> Vec<i64> {
        history.iter().map(|swept| swept.finished.as_second()).collect()
    }

    #[test]
    fn a_failure_stays_after_twenty_sweeps_went_well() {
        let mut history = History::default();
        (0..100).for_each(|second| history.push(swept(second, second == 3)));
        assert_eq!(seconds(&history), [vec![3], (80..100).collect()].concat());
        assert_eq!(history.last_failure().unwrap().finished.as_second(), 3);
    }

    #[test]
    fn failures_are_bounded_the_oldest_go_first() {
        let mut history = History::default();
        (0..1000).for_each(|second| history.push(swept(second, true)));
        assert_eq!(seconds(&history), (960..1000).collect::<Vec<_>>());
        history.push(swept(1000, false));
        assert_eq!(history.last_failure().unwrap().finished.as_second(), 999);
    }
}
