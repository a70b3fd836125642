//! Reading a workflow's executions into the ledger: from its lists by start or by status, or one by one.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{
    Account, LATE, Ledger, Reach, entry::Judge, index, listing::Begun, moment::Moment, observation::Observed,
};
use crate::execution::{Execution, ExecutionId, Page, Status, WorkflowId};

/// One visit to a workflow, in progress. If it is dropped before it is closed, what it brought stays.
#[derive(Debug)]
pub struct Visit {
    account: usize,
    begun: Option<Begun>,
    list_was_known: bool,
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
    pub fn account_of(&self, workflow: &WorkflowId) -> Option<&Account> {
        self.account_of.get(workflow).map(|&account| &self.accounts[account])
    }

    /// The open executions of each account, newest start first.
    #[must_use]
    pub fn open_by_account(&self, now: Timestamp) -> Vec<Vec<OpenExecution>> {
        let mut open: Vec<Vec<OpenExecution>> = vec![Vec::new(); self.accounts.len()];
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

    /// What started within the lookback is remembered, so that it can be counted.
    fn count_since(&self, open: &mut [Vec<OpenExecution>], horizon: Moment) {
        let horizon = Timestamp::from(self.marks.horizon.max(Some(horizon)).unwrap_or(horizon));
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
        Visit { account, begun: None, list_was_known: self.accounts[account].reach.is_some() }
    }

    /// Takes in a page of any of the workflow's lists, at `now` in Kapso's clock.
    pub fn see(&mut self, visit: &mut Visit, page: &Page<Execution>, now: Timestamp) {
        let begun = *visit.begun.get_or_insert(Begun::with(page));
        self.note_learned(page.as_of);
        let watch_start = self.watch_start().unwrap_or(begun.at);
        let judge = Judge { watch_start, list_was_known: visit.list_was_known };
        let observed = Observed { record: None, asked: page.asked, as_of: page.as_of, now, judge };
        for execution in &page.items {
            self.observe(execution, observed);
        }
    }

    /// Takes note that all that started from `since` on was read to the end, in pages of which the first was
    /// asked for at `until`. A list that was not `clean`, with an item that could not be read, is not taken for
    /// read the first time: the item may have been spoilt on its way.
    pub fn reached(&mut self, visit: &Visit, since: Timestamp, until: Timestamp, clean: bool) {
        let account = &mut self.accounts[visit.account];
        account.doubtful = !clean && !account.doubtful;
        if !account.doubtful {
            let reach = account.reach.map_or(Reach { since, until }, |reach| reach.joined(since, until));
            account.reach = Some(reach);
        }
    }

    /// Takes note that what started from `since` on was read up to where it was known before.
    pub fn history_read(&mut self, visit: &Visit, since: Timestamp) {
        let reach = &mut self.accounts[visit.account].reach;
        *reach = reach.map(|reach| reach.joined(since, reach.until));
    }

    /// Those of `open` that are open still as far as is known, and that this visit has not shown.
    #[must_use]
    pub fn not_seen(&self, visit: &Visit, open: &[OpenExecution]) -> Vec<ExecutionId> {
        let is_missing = |id: &&ExecutionId| {
            let entry = self.executions.find(id).and_then(|slot| self.executions.get(slot));
            let was_seen = |asked| visit.begun.is_some_and(|begun| asked >= begun.asked);
            entry.is_some_and(|entry| entry.is_open() && !was_seen(entry.asked))
        };
        open.iter().map(|execution| &execution.id).filter(is_missing).cloned().collect()
    }

    /// Takes note, at `now`, that the API does not have an execution. One that has just started may be there in
    /// a moment, and stays.
    pub fn is_no_more(&mut self, id: &ExecutionId, now: Timestamp) {
        let Some(slot) = self.executions.find(id) else { return };
        let started = self.executions.get(slot).and_then(|entry| entry.started_at);
        let recent = now.saturating_sub(LATE).unwrap_or(Timestamp::MIN);
        if started.is_none_or(|at| at < recent.into()) {
            self.vanish(&[slot], now);
        }
    }

    /// Takes note that all open executions of the workflow were asked about; `whole` if every status was asked
    /// for, also those that none was known to be in.
    pub fn close_visit(&mut self, visit: &Visit, whole: bool) {
        let account = &mut self.accounts[visit.account];
        account.visited = account.visited.max(visit.begun.map(|begun| begun.at));
        if whole {
            account.surveyed = account.visited;
        }
    }

    /// Takes note, at `now`, that the API no longer has a workflow: its executions leave the current state.
    /// What was counted stays counted.
    pub fn forget_workflow(&mut self, workflow: &WorkflowId, now: Timestamp) {
        let account = self.account_by_id(workflow);
        self.accounts[account].gone = true;
        self.accounts[account].visited = Some(now);
        let of_it = self.executions.iter().filter(|(_, entry)| entry.workflow == index(account));
        let slots: Vec<_> = of_it.map(|(slot, _)| slot).collect();
        self.vanish(&slots, now);
    }
}
