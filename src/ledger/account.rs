//! The account of one workflow: what was counted, and how far its own list of executions is known.

use jiff::{Timestamp, fmt::serde::timestamp::microsecond};
use serde::{Deserialize, Serialize};

use super::{Buckets, LATE, Totals, moment::Moment, name::Name};
use crate::execution::{ListedWorkflow, WorkflowId};

/// The account of one workflow.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// Identity.
    pub id: WorkflowId,
    /// Its name, as far as it is known.
    pub(super) name: Name,
    /// The newest `last_event_at` of its executions.
    #[serde(with = "microsecond::optional")]
    pub last_event_at: Option<Timestamp>,
    /// `execution_count`, as the API last said.
    pub execution_count: Option<u64>,
    /// `last_executed_at`, as the API last said.
    #[serde(with = "microsecond::optional")]
    pub last_executed_at: Option<Timestamp>,
    /// What was counted.
    pub totals: Totals,
    /// `execution_count` when it was first read, and when that was.
    first_count: Option<(u64, Moment)>,
    /// Starts that were counted and were before that.
    started_before: u64,
    /// When the newest list of workflows that showed it was asked for.
    #[serde(with = "microsecond::optional")]
    pub discovered: Option<Timestamp>,
    /// When that list was first seen to tell of new executions, or to tell nothing about them.
    #[serde(with = "microsecond::optional")]
    pub moved: Option<Timestamp>,
    /// The span of starts in which its list of executions was read.
    pub reach: Option<Reach>,
    /// Its list had an item that could not be read, and is to be read again.
    pub doubtful: bool,
    /// When it was last asked about all of its open executions.
    #[serde(with = "microsecond::optional")]
    pub visited: Option<Timestamp>,
    /// When it was last asked for open executions of every status.
    #[serde(with = "microsecond::optional")]
    pub surveyed: Option<Timestamp>,
    /// The API no longer has it.
    pub gone: bool,
    /// How many of its executions are open.
    #[serde(skip)]
    pub(super) open: usize,
    /// Its executions that started up to then are counted and forgotten, unless they are remembered.
    pub(super) settled: Option<Moment>,
}

/// A span of starts, all of which are known but those that a list may still show late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Its beginning.
    #[serde(with = "microsecond::required")]
    pub since: Timestamp,
    /// Its end: when the list was asked for.
    #[serde(with = "microsecond::required")]
    pub until: Timestamp,
}

impl Reach {
    /// From when on the list is to be read next.
    #[must_use]
    pub fn unread_since(self) -> Timestamp {
        self.until.saturating_sub(LATE).unwrap_or(Timestamp::MIN)
    }

    /// With another span that begins within or ends within this one.
    pub(super) fn joined(self, since: Timestamp, until: Timestamp) -> Self {
        Self { since: self.since.min(since), until: self.until.max(until) }
    }
}

impl Account {
    pub(super) fn new(id: WorkflowId, buckets: &Buckets) -> Self {
        Self {
            id,
            name: Name::default(),
            last_event_at: None,
            execution_count: None,
            last_executed_at: None,
            totals: Totals::new(buckets),
            first_count: None,
            started_before: 0,
            discovered: None,
            moved: None,
            reach: None,
            doubtful: false,
            visited: None,
            surveyed: None,
            gone: false,
            open: 0,
            settled: None,
        }
    }

    /// The display name; the id where the API gives none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.get().unwrap_or(self.id.as_str())
    }

    /// Whether executions of it are open.
    #[must_use]
    pub fn has_open_executions(&self) -> bool {
        self.open > 0
    }

    pub(super) fn learn(&mut self, seen: &ListedWorkflow, as_of: Timestamp) {
        let before = (self.execution_count, self.last_executed_at);
        let now = (seen.execution_count, seen.last_executed_at);
        if before != now || now == (None, None) {
            self.moved = self.moved.max(Some(as_of));
        }
        (self.execution_count, self.last_executed_at) = now;
        let first = seen.execution_count.map(|count| (count, as_of.into()));
        self.first_count = self.first_count.or(first);
        self.discovered = self.discovered.max(Some(as_of));
        self.gone = false;
    }

    /// Takes note of a start that was counted.
    pub(super) fn note_start(&mut self, at: Option<Timestamp>) {
        let is_before = |at: Timestamp| self.first_count.is_none_or(|(_, first)| Moment::from(at) <= first);
        self.started_before += u64::from(at.is_some_and(is_before));
    }

    /// By how much `execution_count` grew since it was first read, less the starts that were counted since: above
    /// zero, the API counts executions that are not seen.
    #[must_use]
    pub fn uncounted(&self) -> Option<i64> {
        let (first, _) = self.first_count?;
        let grown = i64::try_from(self.execution_count?).ok()? - i64::try_from(first).ok()?;
        Some(grown - i64::try_from(self.totals.started.saturating_sub(self.started_before)).ok()?)
    }

    /// Whether a reading of its list has shown all that started until `at`.
    pub(super) fn is_known_at(&self, at: Moment) -> bool {
        self.reach.is_some_and(|reach| at <= reach.unread_since().into())
    }
}
