//! What was told and found of the outcomes of one execution: when two of them are the same.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Micros, table::Identified};
use crate::model::{Delivery, ExecutionId, ToldOutcome};

/// What was told and found of the outcomes of one execution.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    pub id: ExecutionId,
    /// What deliveries told, and was decided on.
    pub(super) told: Vec<Mark>,
    /// Stays in handoff that were found, and not told by then.
    pub(super) found: Vec<Stay>,
    /// What deliveries told before any answer showed the execution.
    pub(super) waiting: Vec<Waiting>,
}

/// Tells an outcome from others of the same execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub failed: bool,
    /// When it happened; when it was told, where the delivery does not say.
    pub at: Micros,
    /// `at` is from the delivery.
    is_dated: bool,
    key: Option<u64>,
}

/// A stay in handoff, found by an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stay {
    /// It began after then.
    after: Option<Micros>,
    /// It ended by then; `None` while it goes on.
    pub until: Option<Micros>,
    /// A delivery told it since.
    is_told: bool,
}

/// What is told and waits until the execution is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub mark: Mark,
    pub outcome: ToldOutcome,
}

impl Identified for Outcomes {
    type Id = ExecutionId;

    fn id(&self) -> &ExecutionId {
        &self.id
    }
}

impl Mark {
    /// At `now`, where the delivery does not say when.
    pub fn of(delivery: &Delivery, now: Timestamp) -> Self {
        Self {
            failed: delivery.outcome == ToldOutcome::Failed,
            at: delivery.at.unwrap_or(now).into(),
            is_dated: delivery.at.is_some(),
            key: delivery.key,
        }
    }

    /// Whether its delivery says that it happened after `time`.
    pub fn is_later_than(self, time: Micros) -> bool {
        self.is_dated && time < self.at && !time.is_whole_second_of(self.at)
    }

    /// Whether two deliveries tell the same.
    fn is_same(self, other: Self) -> bool {
        let are_dated = self.is_dated && other.is_dated;
        let is_same =
            if are_dated { self.at == other.at } else { self.key.is_some() && self.key == other.key };
        self.failed == other.failed && (self.failed || is_same)
    }
}

impl Stay {
    /// One that goes on.
    pub fn after(after: Option<Micros>) -> Self {
        Self { after, until: None, is_told: false }
    }

    /// Whether a handoff at this time is that with which it began.
    pub fn holds(self, at: Micros) -> bool {
        self.after.is_none_or(|after| after < at || at.is_whole_second_of(after))
            && self.until.is_none_or(|until| at <= until || until.is_whole_second_of(at))
    }
}

impl Outcomes {
    /// Nothing yet.
    pub fn of(id: ExecutionId) -> Self {
        let (told, found, waiting) = Default::default();
        Self { id, told, found, waiting }
    }

    /// Whether a delivery told this before.
    pub(super) fn was_told(&self, mark: Mark) -> bool {
        let waiting = self.waiting.iter().map(|waiting| waiting.mark);
        self.told.iter().copied().chain(waiting).any(|other| other.is_same(mark))
    }

    /// Whether a handoff at this time was found before it was told; then it is told from now on.
    pub fn is_found(&mut self, at: Micros, handed_off_at: Option<Micros>) -> bool {
        if let Some(stay) = self.found.iter_mut().find(|stay| !stay.is_told && stay.holds(at)) {
            stay.is_told = true;
            return true;
        }
        // Found before deliveries were expected: then none has told anything.
        let is_first = self.found.is_empty() && self.told.iter().all(|mark| mark.failed);
        is_first && handed_off_at.is_some_and(|found| at <= found || found.is_whole_second_of(at))
    }

    /// Takes out the newest handoff that waits and is of this stay.
    pub(super) fn take_waiting_in(&mut self, stay: Stay) -> Option<Waiting> {
        let fits = |waiting: &Waiting| !waiting.mark.failed && stay.holds(waiting.mark.at);
        let candidates = self.waiting.iter().enumerate().filter(|(_, waiting)| fits(waiting));
        let (number, _) = candidates.max_by_key(|(_, waiting)| waiting.mark.at)?;
        Some(self.waiting.remove(number))
    }
}
