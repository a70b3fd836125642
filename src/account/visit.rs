//! Reading a workflow's executions: from its lists by start or by status, or one by one.

use jiff::Timestamp;

use super::{Account, listing::Begun};
use crate::{
    clock::Steady,
    frontier::{Attempts, CoveredRange, Failed, before_late_ones},
    ledger::{List, Micros, Missing, Observation, OpenExecution, Origin, index},
    model::{Execution, ExecutionId, Page, Reading, WorkflowId},
};

/// One visit to a workflow, in progress. If it is dropped before it is closed, what it brought stays.
#[derive(Debug)]
pub struct Visit {
    workflow: usize,
    begun: Option<Begun>,
    /// When it began, where it reads no list.
    requested_at: Option<Steady>,
    was_read: bool,
    /// The newest start that the list by start has shown. What other lists show tells nothing of what this one hides.
    newest_start: Option<Micros>,
}

/// A list of a workflow's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitedList {
    /// Of all that started since some moment.
    ByStart,
    /// Of those in one status.
    ByStatus,
}

/// The open statuses that a visit asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// All of them, also those that no execution was known to be in.
    Every,
    /// Those that executions were known to be in.
    Known,
    /// None, or one of several: others are asked for by visits of their own.
    Part,
}

impl Account {
    /// Begins a visit.
    pub fn visit(&mut self, workflow: &WorkflowId) -> Visit {
        let workflow = self.ledger.workflow_by_id(workflow);
        let was_read = self.frontier.workflow(workflow).covered.is_some();
        Visit { workflow, begun: None, requested_at: None, was_read, newest_start: None }
    }

    /// Begins a visit now, which may read no list at all.
    pub fn visit_at(&mut self, workflow: &WorkflowId, now: Steady) -> Visit {
        Visit { requested_at: Some(now), ..self.visit(workflow) }
    }

    /// Takes in a page of one of the workflow's lists, at `now` in Kapso's clock.
    pub fn see(&mut self, visit: &mut Visit, list: VisitedList, page: &Page<Execution>, now: Timestamp) {
        visit.begun.get_or_insert(Begun::with(page));
        if list == VisitedList::ByStart {
            let started = page.items.iter().filter_map(|execution| execution.started_at.map(Micros::from));
            visit.newest_start = started.chain(visit.newest_start).max();
        }
        self.frontier.note_learned(page.requested_at);
        let origin = Origin::Listed { list: List::Workflow, was_read: visit.was_read };
        for seen in Observation::all(page, origin) {
            self.apply(seen, now);
        }
    }

    /// Takes note that all that started from `since` on was read to the end. A list with an item that could not be read
    /// is not taken for read the first time: the item may have been spoilt on its way. What started before the first
    /// list is left to the reading of history, which does not take one empty answer for all there is.
    pub fn reached(&mut self, visit: &Visit, since: Timestamp, reading: Reading) {
        let Reading { requested_at, as_of: until, is_clean } = reading;
        let read = self.frontier.workflows.change(visit.workflow);
        read.doubtful = !is_clean && !read.doubtful;
        read.newest_start = read.newest_start.max(visit.newest_start);
        if !read.doubtful {
            let covered = read.covered.unwrap_or(CoveredRange { since, until });
            read.covered = Some(covered.joined(covered.since, until));
            read.covered_at = read.covered_at.max(Some(requested_at));
        }
    }

    /// Takes note that what started from `since` on was read up to where it was known before.
    pub fn history_read(&mut self, visit: &Visit, since: Timestamp) {
        let read = self.frontier.workflows.change(visit.workflow);
        read.newest_start = read.newest_start.max(visit.newest_start);
        read.covered = read.covered.map(|covered| covered.joined(since, covered.until));
    }

    /// Those of `open` that are open still as far as is known, and that this visit has not shown.
    #[must_use]
    pub fn not_seen(&self, visit: &Visit, open: &[OpenExecution]) -> Vec<ExecutionId> {
        // A visit that read no list has shown nothing.
        let first = visit.begun.map_or(u64::MAX, |begun| begun.request_seq);
        let is_missing = |id: &&ExecutionId| self.ledger.is_open_and_not_seen_since(id, first);
        open.iter().map(|execution| &execution.id).filter(is_missing).cloned().collect()
    }

    /// Takes note that the API answered that it does not have an execution; it is deleted once that is confirmed.
    /// One that has just started may be there in a moment.
    pub fn execution_not_found(&mut self, id: &ExecutionId, at: Steady, deleted_at: Timestamp) {
        self.ledger.not_found(id, before_late_ones(deleted_at), at, deleted_at);
    }

    /// Takes note that the open executions of the workflow that were due were asked about, and those in these statuses.
    pub fn close_visit(&mut self, visit: &Visit, statuses: Statuses) {
        if let Some(begun) = visit.begun.filter(|_| statuses != Statuses::Part) {
            self.ledger.note_visited(index(visit.workflow), begun.at);
        }
        let read = self.frontier.workflows.change(visit.workflow);
        read.visited = read.visited.max(visit.begun.map(|begun| begun.steady).or(visit.requested_at));
        read.missing = None;
        read.attempts = Attempts::default();
        if statuses == Statuses::Every {
            read.surveyed = read.visited;
        }
    }

    /// Takes note that the API answered that it does not have a workflow. It is deleted, with its executions, once
    /// that is confirmed. What was counted stays counted.
    pub fn workflow_not_found(&mut self, workflow: &WorkflowId, at: Steady, deleted_at: Timestamp) {
        let workflow = self.ledger.workflow_by_id(workflow);
        self.ledger.workflow_not_found(workflow, at, deleted_at);
        let extent = self.ledger.extent();
        let read = self.frontier.workflows.change(workflow);
        let missing = Missing::again(read.missing, at);
        let confirmed = missing.is_confirmed(at, extent);
        read.visited = Some(at);
        read.missing = Some(missing).filter(|_| !confirmed);
        read.attempts = Attempts::answered(at);
        read.deleted |= confirmed;
    }

    /// Takes note that a workflow's lists could not be read.
    pub fn workflow_failed(&mut self, workflow: &WorkflowId, at: Steady, how: Failed) {
        let workflow = self.ledger.workflow_by_id(workflow);
        self.frontier.workflows.untracked(workflow).attempts.failed(at, how);
    }
}
