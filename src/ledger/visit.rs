//! Reading a workflow's executions into the ledger: from its lists by start or by status, or one by one.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{
    Attempts, CoveredRange, Failed, Ledger, WorkflowState, doubt::Missing, entry::CountingRule, index,
    listing::Begun, micros::Micros, observation::Observed, table::Slot, workflow::before_late_ones,
};
use crate::{
    clock::Steady,
    model::{Execution, ExecutionId, Page, Status, WorkflowId},
};

/// One visit to a workflow, in progress. If it is dropped before it is closed, what it brought stays.
#[derive(Debug)]
pub struct Visit {
    account: usize,
    begun: Option<Begun>,
    /// When it began, where it reads no list.
    requested_at: Option<Steady>,
    list_was_known: bool,
    /// The newest start that its pages have shown.
    newest_start: Option<Micros>,
}

/// An execution that is open, and what it would take to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExecution {
    /// Identity.
    pub id: ExecutionId,
    /// Its status, an open one.
    pub status: Status,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// How many executions of the workflow started since, itself included; `None` where some of them may have
    /// been forgotten.
    pub since: Option<usize>,
}

impl Ledger {
    /// The account of a workflow, if it is known.
    #[must_use]
    pub fn workflow_by_id(&self, workflow: &WorkflowId) -> Option<&WorkflowState> {
        self.workflow_by_id.get(workflow).map(|&account| &self.workflows[account])
    }

    /// The open executions of each account, newest start first.
    #[must_use]
    pub fn open_by_account(&self, now: Timestamp) -> Vec<Vec<OpenExecution>> {
        let mut open: Vec<Vec<OpenExecution>> = vec![Vec::new(); self.workflows.len()];
        for (_, entry) in self.executions.iter().filter(|(_, entry)| entry.is_open()) {
            open[entry.workflow as usize].push(OpenExecution {
                id: entry.id.clone(),
                status: entry.status,
                started_at: entry.started_at.map(Into::into),
                since: None,
            });
        }
        for open in &mut open {
            open.sort_by_key(|execution| Reverse(execution.started_at));
        }
        self.count_since(&mut open, self.horizon_at(now));
        open
    }

    /// What started after the horizon is remembered, so that it can be counted.
    fn count_since(&self, open: &mut [Vec<OpenExecution>], horizon: Micros) {
        let horizon = Timestamp::from(self.watermarks.horizon.max(Some(horizon)).unwrap_or(horizon));
        for execution in open.iter_mut().flatten() {
            execution.since = execution.started_at.filter(|&at| at >= horizon).map(|_| 0);
        }
        for (_, entry) in self.executions.iter() {
            let started: Option<Timestamp> = entry.started_at.map(Into::into);
            let open = &mut open[entry.workflow as usize];
            // It is within the window of the first one that started no later, and so in those of all after it.
            let first = open.partition_point(|execution| execution.started_at > started);
            if let Some(since) = open.get_mut(first).and_then(|execution| execution.since.as_mut()) {
                *since += 1;
            }
        }
        for open in open {
            let mut sum = 0;
            for since in open.iter_mut().filter_map(|execution| execution.since.as_mut()) {
                sum += *since;
                *since = sum;
            }
        }
    }

    /// Begins a visit.
    pub fn visit(&mut self, workflow: &WorkflowId) -> Visit {
        let account = self.account_by_id(workflow);
        let list_was_known = self.workflows[account].covered.is_some();
        Visit { account, begun: None, requested_at: None, list_was_known, newest_start: None }
    }

    /// Begins a visit now, which may read no list at all.
    pub fn visit_at(&mut self, workflow: &WorkflowId, now: Steady) -> Visit {
        Visit { requested_at: Some(now), ..self.visit(workflow) }
    }

    /// Takes in a page of any of the workflow's lists, at `now` in Kapso's clock.
    pub fn see(&mut self, visit: &mut Visit, page: &Page<Execution>, now: Timestamp) {
        let begun = *visit.begun.get_or_insert(Begun::with(page));
        let started = page.items.iter().filter_map(|execution| execution.started_at.map(Micros::from));
        visit.newest_start = started.chain(visit.newest_start).max();
        let watch_start = self.watch_start().unwrap_or(begun.at);
        self.see_page(page, now, CountingRule { watch_start, list_was_known: visit.list_was_known });
    }

    /// Takes in an execution that was asked for by itself, at `now` in Kapso's clock.
    pub fn see_one(&mut self, page: &Page<Execution>, now: Timestamp) {
        let watch_start = self.watch_start().unwrap_or(page.as_of);
        self.see_page(page, now, CountingRule { watch_start, list_was_known: false });
    }

    fn see_page(&mut self, page: &Page<Execution>, now: Timestamp, rule: CountingRule) {
        self.note_learned(page.requested_at);
        let Page { request_seq, as_of, .. } = *page;
        for execution in &page.items {
            self.observe(execution, Observed { record: None, request_seq, as_of, now, rule });
        }
    }

    /// Takes note that all that started from `since` on was read to the end, in pages of which the first was
    /// asked for at these times. A list that was not `clean`, with an item that could not be read, is not taken for
    /// read the first time: the item may have been spoilt on its way.
    pub fn reached(&mut self, visit: &Visit, since: Timestamp, until: (Steady, Timestamp), clean: bool) {
        let (requested_at, until) = until;
        let account = &mut self.workflows[visit.account];
        account.doubtful = !clean && !account.doubtful;
        account.newest_start = account.newest_start.max(visit.newest_start);
        if !account.doubtful {
            let covered =
                account.covered.map_or(CoveredRange { since, until }, |covered| covered.joined(since, until));
            account.covered = Some(covered);
            account.covered_at = account.covered_at.max(Some(requested_at));
        }
    }

    /// Takes note that what started from `since` on was read up to where it was known before.
    pub fn history_read(&mut self, visit: &Visit, since: Timestamp) {
        let account = &mut self.workflows[visit.account];
        account.newest_start = account.newest_start.max(visit.newest_start);
        account.covered = account.covered.map(|covered| covered.joined(since, covered.until));
    }

    /// Those of `open` that are open still as far as is known, and that this visit has not shown.
    #[must_use]
    pub fn not_seen(&self, visit: &Visit, open: &[OpenExecution]) -> Vec<ExecutionId> {
        let is_missing = |id: &&ExecutionId| {
            let entry = self.executions.find(id).and_then(|slot| self.executions.get(slot));
            let was_seen = |request_seq| visit.begun.is_some_and(|begun| request_seq >= begun.request_seq);
            entry.is_some_and(|entry| entry.is_open() && !was_seen(entry.request_seq))
        };
        open.iter().map(|execution| &execution.id).filter(is_missing).cloned().collect()
    }

    /// Takes note that the API answered that it does not have an execution; it is deleted once that is confirmed.
    /// One that has just started may be there in a moment.
    pub fn execution_not_found(&mut self, id: &ExecutionId, at: Steady, deleted_at: Timestamp) {
        let Some(slot) = self.executions.find(id) else { return };
        let started = self.executions.get(slot).and_then(|entry| entry.started_at);
        if started.is_none_or(|started| started < before_late_ones(deleted_at).into()) {
            self.look_in_vain(&[slot], at, deleted_at);
        }
    }

    /// Takes note that all open executions of the workflow were asked about; `whole` if every status was asked
    /// for, also those that none was known to be in.
    pub fn close_visit(&mut self, visit: &Visit, whole: bool) {
        let account = &mut self.workflows[visit.account];
        account.visited = account.visited.max(visit.begun.map(|begun| begun.steady).or(visit.requested_at));
        account.missing = None;
        account.attempts = Attempts::default();
        if whole {
            account.surveyed = account.visited;
        }
    }

    /// Takes note that the API answered that it does not have a workflow. It is deleted, with its executions, once
    /// that is confirmed. What was counted stays counted.
    pub fn workflow_not_found(&mut self, workflow: &WorkflowId, at: Steady, deleted_at: Timestamp) {
        let account = self.account_by_id(workflow);
        let is_shown = |entry: &super::entry::Entry| {
            entry.workflow == index(account) && self.is_current(entry, deleted_at)
        };
        let shown = self.executions.iter().filter(|(_, entry)| is_shown(entry));
        let slots: Vec<Slot> = shown.map(|(slot, _)| slot).collect();
        self.look_in_vain(&slots, at, deleted_at);
        let missing = Missing::again(self.workflows[account].missing, at);
        let confirmed = missing.is_confirmed(at, self.many_are_missing());
        let account = &mut self.workflows[account];
        account.visited = Some(at);
        account.missing = Some(missing).filter(|_| !confirmed);
        account.attempts = Attempts { last: Some(at), ..Attempts::default() };
        account.deleted |= confirmed;
    }

    /// Takes note that a workflow's lists could not be read.
    pub fn workflow_failed(&mut self, workflow: &WorkflowId, at: Steady, how: Failed) {
        let account = self.account_by_id(workflow);
        self.workflows.untracked(index(account)).attempts.failed(at, how);
    }

    /// The open executions that no list of these shows, oldest look first: they are to be asked for one by one.
    #[must_use]
    pub fn unlisted(&self, by: ListedBy) -> Vec<ExecutionId> {
        let is_unlisted = |entry: &&super::entry::Entry| entry.is_open() && !self.is_listed(entry, by);
        let mut unlisted: Vec<_> =
            self.executions.iter().map(|(_, entry)| entry).filter(is_unlisted).collect();
        unlisted.sort_by_key(|entry| entry.request_seq);
        unlisted.into_iter().map(|entry| entry.id.clone()).collect()
    }

    fn is_listed(&self, entry: &super::entry::Entry, by: ListedBy) -> bool {
        let by_conversation = || {
            let record = entry.conversation.map(|record| &self.conversations[record]);
            entry.in_conversation_list && record.is_some_and(|record| !record.deleted)
        };
        let by_workflow = || self.workflows[entry.workflow as usize].is_listed();
        by.conversations && by_conversation() || by.workflows && by_workflow()
    }
}

/// Which lists are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListedBy {
    /// Those of conversations.
    pub conversations: bool,
    /// Those of workflows.
    pub workflows: bool,
}
