//! What was counted: the totals of events, per workflow. They only ever grow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    exemplar::Exemplar,
    histogram::{Buckets, Histogram},
    native::Native,
};
use crate::model::{ExecutionId, HandoffReason, HandoffSource, Status, seconds_between};

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

/// Who handed an execution off, and why.
pub type HandoffKind = (HandoffSource, HandoffReason);

/// The native counts of the histograms of [`Totals`], in the order of its fields.
pub(crate) type Natives = [Native; 4];

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
    pub handoffs: BTreeMap<HandoffKind, u64>,
    /// Durations of those that ended.
    pub ended_duration: Histogram,
    /// Durations of those that failed.
    pub failed_duration: Histogram,
    /// Start to first handoff.
    pub time_to_handoff: Histogram,
    /// From an outcome (handoff, end, failure) to the moment it was counted.
    pub detection_delay: Histogram,
    /// One of those that failed.
    #[serde(skip)]
    pub failed_exemplar: Option<Exemplar>,
    /// One of the handoffs of a kind.
    #[serde(skip)]
    pub handoff_exemplars: BTreeMap<HandoffKind, Exemplar>,
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
            failed_exemplar: None,
            handoff_exemplars: BTreeMap::new(),
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

    /// The native counts of its histograms.
    pub(crate) fn natives(&self) -> Natives {
        let Self { ended_duration, failed_duration, time_to_handoff, detection_delay, .. } = self;
        [ended_duration, failed_duration, time_to_handoff, detection_delay].map(|h| h.native().clone())
    }

    /// With these native counts.
    #[must_use]
    pub(crate) fn with_natives(self, natives: Natives) -> Self {
        let [ended, failed, handoff, delay] = natives;
        Self {
            ended_duration: self.ended_duration.with_native(ended),
            failed_duration: self.failed_duration.with_native(failed),
            time_to_handoff: self.time_to_handoff.with_native(handoff),
            detection_delay: self.detection_delay.with_native(delay),
            ..self
        }
    }

    /// Counts an event of this execution that was found at `now`.
    pub fn count(&mut self, execution: &ExecutionId, event: &Event, now: Timestamp) {
        let exemplar = |value, at: &Timestamp| Exemplar { execution: execution.clone(), value, at: *at };
        match event {
            Event::Started => self.started += 1,
            Event::HandedOff { source, reason, at, since_start } => {
                let kind = (*source, reason.clone());
                *self.handoffs.entry(kind.clone()).or_default() += 1;
                if let Some(at) = at {
                    self.handoff_exemplar(&kind, exemplar(1.0, at));
                }
                observe(&mut self.time_to_handoff, execution, *since_start, *at);
                self.detected(execution, *at, now);
            }
            Event::Finished { status: Status::Failed, at, duration } => {
                self.failed += 1;
                if let Some(at) = at {
                    self.failure_exemplar(exemplar(1.0, at));
                }
                observe(&mut self.failed_duration, execution, *duration, *at);
                self.detected(execution, *at, now);
            }
            Event::Finished { at, duration, .. } => {
                self.ended += 1;
                observe(&mut self.ended_duration, execution, *duration, *at);
                self.detected(execution, *at, now);
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
        if let Some(exemplar) = &other.failed_exemplar {
            self.failure_exemplar(exemplar.clone());
        }
        for (kind, exemplar) in &other.handoff_exemplars {
            self.handoff_exemplar(kind, exemplar.clone());
        }
    }

    fn failure_exemplar(&mut self, exemplar: Exemplar) {
        match &mut self.failed_exemplar {
            Some(newest) => newest.give_way(exemplar),
            none => *none = Some(exemplar),
        }
    }

    fn handoff_exemplar(&mut self, kind: &HandoffKind, exemplar: Exemplar) {
        match self.handoff_exemplars.get_mut(kind) {
            Some(newest) => newest.give_way(exemplar),
            None => drop(self.handoff_exemplars.insert(kind.clone(), exemplar)),
        }
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
            failed_exemplar: self.failed_exemplar.clone(),
            handoff_exemplars: self.handoff_exemplars.clone(),
        }
    }

    fn detected(&mut self, execution: &ExecutionId, at: Option<Timestamp>, now: Timestamp) {
        observe(&mut self.detection_delay, execution, at.map(|at| seconds_between(at, now)), at);
    }
}

/// Takes in so many seconds of an execution, if they are known; it stands for them if it is known when that was, too.
fn observe(histogram: &mut Histogram, execution: &ExecutionId, seconds: Option<f64>, at: Option<Timestamp>) {
    match (seconds, at) {
        (Some(value), Some(at)) => {
            histogram.observe_exemplar(Exemplar { execution: execution.clone(), value, at });
        }
        (Some(value), None) => histogram.observe(value),
        (None, _) => {}
    }
}
