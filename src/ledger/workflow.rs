//! What was counted of one workflow, and what the API itself says of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Buckets, Event, Starts, Totals, Watch, micros::Micros, name::Name};
use crate::model::{ExecutionId, ListedWorkflow, WorkflowId};

/// What was counted of one workflow.
#[derive(Debug)]
pub struct WorkflowState {
    /// Identity.
    pub id: WorkflowId,
    /// Its name, as far as it is known.
    pub(crate) name: Name,
    /// Its name by the configuration.
    pub(crate) configured_name: Option<Box<str>>,
    /// How many times the list of workflows had been read when it was first seen.
    pub(crate) first_seen: u64,
    /// Whether it is watched.
    pub(crate) watch: Watch,
    /// When watching it began, if it was let in later than others.
    pub(crate) watched_from: Option<Micros>,
    /// The newest `last_event_at` of its executions.
    pub last_event_at: Option<Timestamp>,
    /// `execution_count`, as the API last said.
    pub execution_count: Option<u64>,
    /// `last_executed_at`, as the API last said.
    pub last_executed_at: Option<Timestamp>,
    /// What was counted. A copy shares it until something else is counted.
    pub totals: Arc<Totals>,
    /// Since when, if it was shown.
    pub(crate) starts: Option<Starts>,
    /// `execution_count` when it was first read, and when that was.
    pub(crate) first_count: Option<(u64, Micros)>,
    /// Starts that were counted and were before that.
    pub(crate) started_before: u64,
    /// Its executions that started up to then, and within the span that was read, are counted and forgotten, unless
    /// they are remembered.
    pub(crate) forgotten_up_to: Option<Micros>,
    /// Its executions that started up to then may have been counted and forgotten before its lists were read.
    pub(crate) counted_elsewhere: Option<Micros>,
    /// How many of its executions are open.
    pub(crate) open: usize,
}

/// Whether what the list of workflows tells of a workflow's executions is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It tells of new ones, or nothing about them.
    News,
    /// It tells what it told before.
    Nothing,
}

impl WorkflowState {
    pub(crate) fn new(id: WorkflowId, buckets: &Buckets) -> Self {
        Self {
            id,
            name: Name::default(),
            configured_name: None,
            first_seen: 0,
            watch: Watch::Undecided,
            watched_from: None,
            last_event_at: None,
            execution_count: None,
            last_executed_at: None,
            totals: Totals::new(buckets).into(),
            starts: None,
            first_count: None,
            started_before: 0,
            forgotten_up_to: None,
            counted_elsewhere: None,
            open: 0,
        }
    }

    /// The display name; the id where neither the configuration nor the API gives one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.known_name().unwrap_or(self.id.as_str())
    }

    /// The name, if there is one.
    pub(super) fn known_name(&self) -> Option<&str> {
        self.configured_name.as_deref().or_else(|| self.name.get())
    }

    /// Whether executions of it are open.
    #[must_use]
    pub fn has_open_executions(&self) -> bool {
        self.open > 0
    }

    /// Takes in what the list of workflows says, which was asked for at `as_of`, in Kapso's clock.
    pub(super) fn learn(&mut self, seen: &ListedWorkflow, as_of: Timestamp) -> Told {
        let before = (self.execution_count, self.last_executed_at);
        let now = (seen.execution_count, seen.last_executed_at);
        (self.execution_count, self.last_executed_at) = now;
        let first = seen.execution_count.map(|count| (count, as_of.into()));
        self.first_count = self.first_count.or(first);
        if before != now || now == (None, None) { Told::News } else { Told::Nothing }
    }

    /// Counts an event of this execution that was found at `now`.
    pub(super) fn count(&mut self, execution: &ExecutionId, event: &Event, now: Timestamp) {
        Arc::make_mut(&mut self.totals).count(execution, event, now);
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
}
