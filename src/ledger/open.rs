//! The executions that are open, for whoever looks at them again.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{Ledger, entry::Entry, micros::Micros, table::Slot};
use crate::model::{ExecutionId, Status};

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
    /// How many executions are open.
    #[must_use]
    pub fn open_executions(&self) -> usize {
        self.open.len()
    }

    fn open(&self) -> impl Iterator<Item = &Entry> {
        self.open.iter().filter_map(|&slot| self.executions.get(slot))
    }

    /// The open executions of each workflow, newest start first.
    #[must_use]
    pub fn open_by_workflow(&self, now: Timestamp) -> Vec<Vec<OpenExecution>> {
        let mut open: Vec<Vec<OpenExecution>> = vec![Vec::new(); self.workflows.len()];
        for entry in self.open() {
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

    /// Whether an execution is open that was last shown by an earlier request than this one.
    #[must_use]
    pub fn is_open_and_not_seen_since(&self, id: &ExecutionId, request_seq: u64) -> bool {
        let entry = self.executions.find(id).and_then(|slot| self.executions.get(slot));
        entry.is_some_and(|entry| entry.is_open() && entry.request_seq < request_seq)
    }

    /// The open executions that no list shows, oldest look first. `is_listed` tells whether one of these does: the list
    /// of the workflow with this number, or that of the conversation if it had the execution the last time.
    pub(crate) fn unlisted(&self, is_listed: impl Fn(usize, Option<u32>) -> bool) -> Vec<ExecutionId> {
        let is_unlisted = |entry: &&Entry| {
            let conversation = entry.conversation.filter(|_| entry.in_conversation_list);
            !is_listed(entry.workflow as usize, conversation)
        };
        let mut unlisted: Vec<_> = self.open().filter(is_unlisted).collect();
        unlisted.sort_by_key(|entry| entry.request_seq);
        unlisted.into_iter().map(|entry| entry.id.clone()).collect()
    }

    /// Takes executions out of the current state that are in none of the conversations for which that is asked, until
    /// they are shown again. Returns how many of them were open.
    pub(crate) fn withdraw(&mut self, is_kept: impl Fn(u32) -> bool, at: Timestamp) -> usize {
        let is_other = |slot: &Slot| {
            self.executions.get(*slot).is_some_and(|entry| !entry.conversation.is_some_and(&is_kept))
        };
        let others: Vec<_> = self.open.iter().copied().filter(is_other).collect();
        self.delete(&others, at);
        others.len()
    }

    /// Whether a reading that began with this request has met all that are open in a conversation's list.
    pub(crate) fn has_met_all(&self, conversation: u32, request_seq: u64) -> bool {
        let members = self.conversations[conversation].executions.iter();
        let mut open = members
            .filter_map(|&slot| self.executions.get(slot))
            .filter(|entry| entry.is_open() && entry.in_conversation_list);
        open.all(|entry| entry.request_seq >= request_seq)
    }
}
