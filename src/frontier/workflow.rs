//! What was read of one workflow: its place in the list of workflows, and its lists of executions.

use jiff::{SignedDuration, Timestamp, fmt::serde::timestamp::microsecond};
use serde::{Deserialize, Serialize};

use super::{Attempts, before_late_ones};
use crate::{
    clock::Steady,
    ledger::{Micros, Missing, Told},
};

/// What was read of one workflow. The order of the fields is that of its saved row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WorkflowFrontier {
    /// When the newest list of workflows that showed it was asked for.
    pub discovered: Option<Steady>,
    /// When that list was first seen to tell of new executions, or to tell nothing about them.
    pub moved: Option<Steady>,
    /// The span of starts in which its list of executions was read.
    pub covered: Option<CoveredRange>,
    /// When the newest reading that went on to the newest execution was asked for.
    pub covered_at: Option<Steady>,
    /// Its list had an item that could not be read, and is to be read again.
    pub doubtful: bool,
    /// When it was last asked about its open executions: about all of them, or about those that were due.
    pub visited: Option<Steady>,
    /// When it was last asked for open executions of every status.
    pub surveyed: Option<Steady>,
    /// The API no longer has it.
    pub deleted: bool,
    /// The newest start that its own lists have shown. It stands elsewhere in the row.
    #[serde(skip)]
    pub(crate) newest_start: Option<Micros>,
    /// The last attempts to read its lists.
    #[serde(skip)]
    pub attempts: Attempts,
    /// Its list answered 404.
    #[serde(skip)]
    pub(crate) missing: Option<Missing>,
    /// When `execution_count` last grew while nothing new was found.
    #[serde(skip)]
    pub(crate) owed: Option<Owed>,
}

/// Starts that the API's own count tells of and its lists do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owed {
    /// Since when the count has stood where it is.
    since: Steady,
    /// How many there are.
    starts: i64,
}

/// A span of starts, all of which are known but those that a list may still show late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoveredRange {
    /// Its beginning.
    #[serde(with = "microsecond::required")]
    pub since: Timestamp,
    /// Its end: when the list was asked for.
    #[serde(with = "microsecond::required")]
    pub until: Timestamp,
}

impl CoveredRange {
    /// With another span that begins within or ends within this one.
    pub(crate) fn joined(self, since: Timestamp, until: Timestamp) -> Self {
        Self { since: self.since.min(since), until: self.until.max(until) }
    }
}

impl WorkflowFrontier {
    /// Whether it is a workflow whose executions can be asked for: the list of workflows shows or showed it.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.deleted && (self.discovered.is_some() || self.covered.is_some())
    }

    /// Whether its list answered 404, and that it is deleted is not confirmed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.missing.is_some()
    }

    /// Takes note that nothing of what its lists have shown was taken in: they are read as those of a new workflow.
    pub(crate) fn begin_anew(&mut self) {
        let Self { discovered, deleted, .. } = *self;
        *self = Self { discovered, deleted, moved: discovered, ..Self::default() };
    }

    /// Takes note that a list of workflows that was asked for then shows it. `uncounted` are the starts that the API's
    /// own count tells of and that were not counted.
    pub(crate) fn learn(&mut self, requested_at: Steady, told: Told, uncounted: Option<i64>) {
        if told == Told::News {
            self.moved = self.moved.max(Some(requested_at));
        }
        self.discovered = self.discovered.max(Some(requested_at));
        self.deleted = false;
        self.missing = None;
        let starts = uncounted.filter(|&starts| starts > 0);
        let known = |starts| self.owed.filter(|owed| owed.starts == starts);
        self.owed = starts.map(|starts| known(starts).unwrap_or(Owed { since: requested_at, starts }));
    }

    /// When its list is to be read again because the API's own count tells of starts that it has not shown: after
    /// as long a time as they have been missing for, at least an interval, at most an hour.
    #[must_use]
    pub fn owes_since(&self, interval: SignedDuration) -> Option<Steady> {
        let (owed, read) = (self.owed?, self.covered_at?);
        let pause = read.since(owed.since).clamp(interval, SignedDuration::from_hours(1).max(interval));
        Some(read.plus(pause))
    }

    /// Whether a reading of its list has shown all that started until `at`, and no later one shows that again: what
    /// started before it was first read is read back to `history_since`, once.
    pub(super) fn vouches_for(&self, at: Micros, history_since: Timestamp) -> bool {
        self.covered.is_some_and(|covered| {
            let is_read = at >= covered.since.into() || covered.since <= history_since;
            is_read && at <= before_late_ones(covered.until).into()
        })
    }

    /// From when on its list is to be read next: from where it was read up to, and never behind the newest start
    /// that was seen, since a list may have hidden what it had. `None` if it was never read.
    #[must_use]
    pub fn unread_since(&self) -> Option<Timestamp> {
        let CoveredRange { since, until } = self.covered?;
        let newest = self.newest_start.map_or(since, Timestamp::from);
        Some(before_late_ones(until.min(newest)))
    }
}
