//! The executions that are open, for whoever looks at them again.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{Ledger, entry::Entry, micros::Micros, table::Slot};
use crate::{
    clock::Steady,
    model::{ExecutionId, Status, Step},
};

/// An execution that is open, and what it would take to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExecution {
    /// Identity.
    pub id: ExecutionId,
    /// Its status, an open one.
    pub status: Status,
    /// The number of its conversation, where it is known to belong to one.
    pub conversation: Option<u32>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When anything last happened in it.
    pub last_event_at: Option<Timestamp>,
    /// When it was last looked at since the program started.
    pub looked_at: Option<Steady>,
    /// How many executions of the workflow started since, itself included; `None` where some of them may have been
    /// forgotten, or nobody counted.
    pub since: Option<usize>,
}

/// An execution that is open, for people who ask which ones are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleExecution {
    /// Identity.
    pub id: ExecutionId,
    /// Its status, an open one.
    pub status: Status,
    /// Where it stands.
    pub step: Option<Step>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When anything last happened in it.
    pub last_event_at: Option<Timestamp>,
}

#[cfg(test)]
impl OpenExecution {
    /// One in this status that started then, with so many that started since, and of which nothing else is known.
    pub(crate) fn started(status: Status, at: Timestamp, since: Option<usize>) -> Self {
        Self {
            id: at.to_string().as_str().into(),
            status,
            conversation: None,
            started_at: Some(at),
            last_event_at: None,
            looked_at: None,
            since,
        }
    }
}

impl From<&Entry> for IdleExecution {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id.clone(),
            status: entry.status,
            step: entry.step.as_deref().cloned(),
            started_at: entry.started_at.map(Into::into),
            last_event_at: entry.last_event_at.map(Into::into),
        }
    }
}

impl Ledger {
    /// Those of the open executions of a workflow in which nothing happened for longest, that one first; and how many are
    /// open. Takes time for each open execution once, and sorts none but these.
    #[must_use]
    pub fn idlest(&self, workflow: usize, most: usize) -> (Vec<IdleExecution>, usize) {
        let of_workflow = self.open().filter(|entry| entry.workflow as usize == workflow);
        let mut open: Vec<_> = of_workflow.collect();
        let idle_since = |entry: &&Entry| (entry.last_event_at.or(entry.started_at), entry.request_seq);
        let count = open.len();
        if count > most {
            open.select_nth_unstable_by_key(most, idle_since);
            open.truncate(most);
        }
        open.sort_by_key(idle_since);
        (open.into_iter().map(Into::into).collect(), count)
    }

    /// Takes note that an execution was looked at, if it is open.
    pub(super) fn note_look(&mut self, slot: Slot, at: Steady) {
        if let Some(looked_at) = self.open.get_mut(&slot) {
            *looked_at = (*looked_at).max(Some(at));
        }
    }

    /// How many executions are open.
    #[must_use]
    pub fn open_executions(&self) -> usize {
        self.open.len()
    }

    fn open(&self) -> impl Iterator<Item = &Entry> {
        self.open.keys().filter_map(|&slot| self.executions.get(slot))
    }

    /// The open executions of each workflow, newest start first.
    #[must_use]
    pub fn open_by_workflow(&self) -> Vec<Vec<OpenExecution>> {
        let mut open: Vec<Vec<OpenExecution>> = vec![Vec::new(); self.workflows.len()];
        for (&slot, &looked_at) in &self.open {
            let Some(entry) = self.executions.get(slot) else { continue };
            open[entry.workflow as usize].push(OpenExecution {
                id: entry.id.clone(),
                status: entry.status,
                conversation: entry.conversation,
                last_event_at: entry.last_event_at.map(Into::into),
                looked_at,
                started_at: entry.started_at.map(Into::into),
                since: None,
            });
        }
        for open in &mut open {
            open.sort_by_key(|execution| Reverse(execution.started_at));
        }
        open
    }

    /// The same, with how many executions started since each. Looks at every execution that is remembered: those of after
    /// the horizon can be counted.
    #[must_use]
    pub fn open_with_counts(&self, now: Timestamp) -> Vec<Vec<OpenExecution>> {
        let mut open = self.open_by_workflow();
        self.count_since(&mut open, self.horizon_at(now));
        open
    }

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

    /// Whether an execution is open that was last looked at before then.
    #[must_use]
    pub fn is_open_and_not_looked_at_since(&self, id: &ExecutionId, at: Steady) -> bool {
        let looked_at = self.executions.find(id).and_then(|slot| self.open.get(&slot));
        looked_at.is_some_and(|looked_at| *looked_at < Some(at))
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
        let others: Vec<_> = self.open.keys().copied().filter(is_other).collect();
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
