//! What was counted: the totals of events, per workflow. They only ever grow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::histogram::{Buckets, Histogram};
use crate::model::{HandoffReason, HandoffSource, Status, seconds_between};

/// Something that happened to an execution, found once.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It started.
    Started,
    /// It went into handoff.
    HandedOff {
        /// Who handed it off.
        source: HandoffSource,
        /// Why.
        reason: HandoffReason,
        /// When, where the API says so.
        at: Option<Timestamp>,
        /// Seconds since its start, if this was its first handoff.
        since_start: Option<f64>,
    },
    /// It ended or failed.
    Finished {
        /// [`Status::Ended`] or [`Status::Failed`].
        status: Status,
        /// When, where the API says so.
        at: Option<Timestamp>,
        /// Seconds from start to end.
        duration: Option<f64>,
    },
}

/// The totals of one workflow since watching began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Executions that started.
    pub started: u64,
    /// Executions that ended.
    pub ended: u64,
    /// Executions that failed.
    pub failed: u64,
    /// Transitions into handoff.
    pub handoffs: BTreeMap<(HandoffSource, HandoffReason), u64>,
    /// Durations of those that ended.
    pub ended_duration: Histogram,
    /// Durations of those that failed.
    pub failed_duration: Histogram,
    /// Start to first handoff.
    pub time_to_handoff: Histogram,
    /// From an outcome (handoff, end, failure) to the moment it was counted.
    pub detection_delay: Histogram,
}

impl Totals {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(buckets: &Buckets) -> Self {
        Self {
            started: 0,
            ended: 0,
            failed: 0,
            handoffs: BTreeMap::new(),
            ended_duration: Histogram::new(&buckets.duration),
            failed_duration: Histogram::new(&buckets.duration),
            time_to_handoff: Histogram::new(&buckets.time_to_handoff),
            detection_delay: Histogram::new(&buckets.delay),
        }
    }

    /// With the bounds of these histograms.
    #[must_use]
    pub(crate) fn with_bounds(self, buckets: &Buckets) -> Self {
        Self {
            ended_duration: self.ended_duration.with_bounds(&buckets.duration),
            failed_duration: self.failed_duration.with_bounds(&buckets.duration),
            time_to_handoff: self.time_to_handoff.with_bounds(&buckets.time_to_handoff),
            detection_delay: self.detection_delay.with_bounds(&buckets.delay),
            ..self
        }
    }

    /// Counts an event that was found at `now`.
    pub fn count(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::Started => self.started += 1,
            Event::HandedOff { source, reason, at, since_start } => {
                *self.handoffs.entry((*source, reason.clone())).or_default() += 1;
                observe(&mut self.time_to_handoff, *since_start);
                self.detected(*at, now);
            }
            &Event::Finished { status, at, duration } => {
                let failed = status == Status::Failed;
                *(if failed { &mut self.failed } else { &mut self.ended }) += 1;
                observe(if failed { &mut self.failed_duration } else { &mut self.ended_duration }, duration);
                self.detected(at, now);
            }
        }
    }

    /// Adds another workflow's totals.
    pub fn merge(&mut self, other: &Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.failed += other.failed;
        for (kind, count) in &other.handoffs {
            *self.handoffs.entry(kind.clone()).or_default() += count;
        }
        self.ended_duration.merge(&other.ended_duration);
        self.failed_duration.merge(&other.failed_duration);
        self.time_to_handoff.merge(&other.time_to_handoff);
        self.detection_delay.merge(&other.detection_delay);
    }

    /// What was counted since the totals were these.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let handoffs = self.handoffs.iter().map(|(kind, count)| {
            let counted = before.handoffs.get(kind).copied().unwrap_or_default();
            (kind.clone(), count.saturating_sub(counted))
        });
        Self {
            started: self.started.saturating_sub(before.started),
            ended: self.ended.saturating_sub(before.ended),
            failed: self.failed.saturating_sub(before.failed),
            handoffs: handoffs.collect(),
            ended_duration: self.ended_duration.since(&before.ended_duration),
            failed_duration: self.failed_duration.since(&before.failed_duration),
            time_to_handoff: self.time_to_handoff.since(&before.time_to_handoff),
            detection_delay: self.detection_delay.since(&before.detection_delay),
        }
    }

    fn detected(&mut self, at: Option<Timestamp>, now: Timestamp) {
        observe(&mut self.detection_delay, at.map(|at| seconds_between(at, now)));
    }
}

fn observe(histogram: &mut Histogram, seconds: Option<f64>) {
    if let Some(seconds) = seconds {
        histogram.observe(seconds);
    }
}
