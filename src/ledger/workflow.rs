//! The account of one workflow: what was counted, and how far its own list of executions is known.

use jiff::{SignedDuration, Timestamp, fmt::serde::timestamp::microsecond};
use serde::{Deserialize, Serialize};

use super::{Attempts, Buckets, LATE, Totals, doubt::Missing, micros::Micros, name::Name};
use crate::{
    clock::Steady,
    model::{ListedWorkflow, Page, WorkflowId},
};

/// The account of one workflow.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkflowState {
    /// Identity.
    pub id: WorkflowId,
    /// Its name, as far as it is known.
    pub(super) name: Name,
    /// The newest `last_event_at` of its executions.
    #[serde(with = "microsecond::optional")]
    pub last_event_at: Option<Timestamp>,
    /// The newest start that its own lists have shown.
    pub(super) newest_start: Option<Micros>,
    /// `execution_count`, as the API last said.
    pub execution_count: Option<u64>,
    /// `last_executed_at`, as the API last said.
    #[serde(with = "microsecond::optional")]
    pub last_executed_at: Option<Timestamp>,
    /// What was counted.
    pub totals: Totals,
    /// `execution_count` when it was first read, and when that was.
    pub(super) first_count: Option<(u64, Micros)>,
    /// Starts that were counted and were before that.
    pub(super) started_before: u64,
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
    /// When it was last asked about all of its open executions.
    pub visited: Option<Steady>,
    /// When it was last asked for open executions of every status.
    pub surveyed: Option<Steady>,
    /// The API no longer has it.
    pub deleted: bool,
    /// Its executions that started up to then, and within the span that was read, are counted and forgotten, unless
    /// they are remembered.
    pub(super) forgotten_up_to: Option<Micros>,
    /// Its executions that started up to then may have been counted and forgotten before its lists were read.
    pub(super) counted_elsewhere: Option<Micros>,
    /// The last attempts to read its lists.
    #[serde(skip)]
    pub attempts: Attempts,
    /// Its list answered 404.
    #[serde(skip)]
    pub(super) missing: Option<Missing>,
    /// When `execution_count` last grew while nothing new was found.
    #[serde(skip)]
    pub(super) owed: Option<Owed>,
    /// How many of its executions are open.
    #[serde(skip)]
    pub(super) open: usize,
}

/// Starts that the API's own count tells of and its lists do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
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
    fn until_without_late_ones(self) -> Timestamp {
        before_late_ones(self.until)
    }

    /// With another span that begins within or ends within this one.
    pub(super) fn joined(self, since: Timestamp, until: Timestamp) -> Self {
        Self { since: self.since.min(since), until: self.until.max(until) }
    }
}

impl WorkflowState {
    pub(super) fn new(id: WorkflowId, buckets: &Buckets) -> Self {
        Self {
            id,
            name: Name::default(),
            last_event_at: None,
            newest_start: None,
            execution_count: None,
            last_executed_at: None,
            totals: Totals::new(buckets),
            first_count: None,
            started_before: 0,
            discovered: None,
            moved: None,
            covered: None,
            covered_at: None,
            doubtful: false,
            visited: None,
            surveyed: None,
            deleted: false,
            forgotten_up_to: None,
            counted_elsewhere: None,
            attempts: Attempts::default(),
            missing: None,
            owed: None,
            open: 0,
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

    /// Takes in what a page of the list of workflows says.
    pub(super) fn learn(&mut self, seen: &ListedWorkflow, page: &Page<ListedWorkflow>) {
        let before = (self.execution_count, self.last_executed_at);
        let now = (seen.execution_count, seen.last_executed_at);
        if before != now || now == (None, None) {
            self.moved = self.moved.max(Some(page.requested_at));
        }
        (self.execution_count, self.last_executed_at) = now;
        let first = seen.execution_count.map(|count| (count, page.as_of.into()));
        self.first_count = self.first_count.or(first);
        self.discovered = self.discovered.max(Some(page.requested_at));
        self.deleted = false;
        self.missing = None;
        self.note_owed(page.requested_at);
    }

    fn note_owed(&mut self, now: Steady) {
        let starts = self.uncounted().filter(|&starts| starts > 0);
        let known = |starts| self.owed.filter(|owed| owed.starts == starts);
        self.owed = starts.map(|starts| known(starts).unwrap_or(Owed { since: now, starts }));
    }

    /// When its list is to be read again because the API's own count tells of starts that it has not shown: after
    /// as long a time as they have been missing for, at least an interval, at most an hour.
    #[must_use]
    pub fn owes_since(&self, interval: SignedDuration) -> Option<Steady> {
        let (owed, read) = (self.owed?, self.covered_at?);
        let pause = read.since(owed.since).clamp(interval, SignedDuration::from_hours(1).max(interval));
        Some(read.plus(pause))
    }

    /// Takes note of a start that was counted.
    pub(super) fn note_start(&mut self, at: Option<Timestamp>) {
        let is_before = |at: Timestamp| self.first_count.is_none_or(|(_, first)| Micros::from(at) <= first);
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

    /// Whether an execution that started then is counted and forgotten, unless it is remembered or open.
    pub(super) fn is_forgotten_at(&self, at: Micros) -> bool {
        let was_read = self.covered.is_some_and(|covered| at >= covered.since.into());
        (was_read && Some(at) <= self.forgotten_up_to) || Some(at) <= self.counted_elsewhere
    }

    /// Whether a reading of its list has shown all that started until `at`.
    pub(super) fn is_known_at(&self, at: Micros) -> bool {
        self.covered.is_some_and(|covered| at <= covered.until_without_late_ones().into())
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

/// What started before then is shown by a list that is asked at `at`, although lists show some late.
pub(super) fn before_late_ones(at: Timestamp) -> Timestamp {
    at.saturating_sub(LATE).unwrap_or(Timestamp::MIN)
}
