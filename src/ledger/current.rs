//! The current state: what the gauges show, computed from the ledger at one moment.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;

use super::{ConversationState, Histogram, Ledger, entry::Entry, micros::Micros};
use crate::model::{ConversationId, Status, Step, seconds_between};

/// The executions of one workflow that are in one status.
#[derive(Debug, Clone)]
pub struct ByStatus {
    /// How many: open ones always, finished ones for the lookback after their end.
    pub count: u64,
    /// The oldest start of the open ones.
    pub oldest_start: Option<Timestamp>,
    /// The oldest last event of the open ones.
    pub oldest_event: Option<Timestamp>,
    /// Time since the last event of the open ones.
    pub idle: Histogram,
}

impl ByStatus {
    /// Adds another workflow's.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.oldest_start = earliest(self.oldest_start, other.oldest_start);
        self.oldest_event = earliest(self.oldest_event, other.oldest_event);
        self.idle.merge(&other.idle);
    }
}

/// A step of a workflow, and the status of the executions at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtStep {
    /// Index of the workflow.
    pub workflow: usize,
    /// Their status, an open one.
    pub status: Status,
    /// Where they stand.
    pub step: Step,
}

/// The open executions of one conversation, and its newest event.
#[derive(Debug, Clone)]
pub struct OpenInConversation<'a> {
    /// The conversation.
    pub id: &'a ConversationId,
    /// How many by status, in the order of [`Status::OPEN`].
    pub open: [u64; 4],
    /// The newest `last_event_at` of its remembered executions.
    pub last_event_at: Option<Timestamp>,
}

/// The current state at one moment.
#[derive(Debug)]
pub struct Current {
    /// For each workflow, in the ledger's order, for each status in the order of [`Status::ALL`].
    pub workflows: Vec<[ByStatus; 6]>,
    /// Open executions by step.
    pub steps: BTreeMap<AtStep, u64>,
    /// Watched conversations, in the order of [`ConversationStatus::ALL`](crate::model::ConversationStatus::ALL).
    pub conversations: [u64; 3],
}

impl Ledger {
    /// The current state at `now`, in Kapso's clock, in which these conversations are watched.
    pub(crate) fn current(
        &self,
        now: Timestamp,
        is_watched: impl Fn(u32, &ConversationState) -> bool,
    ) -> Current {
        let none = ByStatus {
            count: 0,
            oldest_start: None,
            oldest_event: None,
            idle: Histogram::new(&self.buckets.idle),
        };
        let mut current = Current {
            workflows: vec![std::array::from_fn(|_| none.clone()); self.workflows.len()],
            steps: BTreeMap::new(),
            conversations: self.conversations_by_status(is_watched),
        };
        for (_, entry) in self.executions.iter().filter(|(_, entry)| self.is_current(entry, now)) {
            current.add(entry, now);
        }
        current
    }

    /// Those of these conversations that have remembered executions, newest event first.
    pub(crate) fn conversations_by_event(
        &self,
        is_shown: impl Fn(u32) -> bool,
    ) -> Vec<OpenInConversation<'_>> {
        let shown = self.conversations.iter().filter(|(number, _)| is_shown(*number));
        let sums = shown.map(|(_, conversation)| self.open_in(conversation));
        let mut all: Vec<_> = sums.filter(|sum| sum.last_event_at.is_some()).collect();
        all.sort_by_key(|sum| (Reverse(sum.last_event_at), sum.id));
        all
    }

    fn open_in<'a>(&'a self, conversation: &'a ConversationState) -> OpenInConversation<'a> {
        let mut sum = OpenInConversation { id: &conversation.id, open: [0; 4], last_event_at: None };
        for entry in conversation.executions.iter().filter_map(|&slot| self.executions.get(slot)) {
            sum.last_event_at = sum.last_event_at.max(entry.last_event_at.map(Into::into));
            let open = Status::OPEN.iter().position(|&status| entry.is_open() && status == entry.status);
            if let Some(open) = open {
                sum.open[open] += 1;
            }
        }
        sum
    }

    pub(super) fn is_current(&self, entry: &Entry, now: Timestamp) -> bool {
        let within = |over: Micros| now.duration_since(Timestamp::from(over)) < self.lookback;
        entry.is_open() || (!entry.deleted && entry.over.is_some_and(within))
    }

    fn conversations_by_status(&self, is_watched: impl Fn(u32, &ConversationState) -> bool) -> [u64; 3] {
        let mut counts = [0; 3];
        let watched = self.conversations.iter().filter(|(number, counted)| is_watched(*number, counted));
        for (_, conversation) in watched {
            counts[conversation.status as usize] += 1;
        }
        counts
    }
}

impl Current {
    fn add(&mut self, entry: &Entry, now: Timestamp) {
        let sum = &mut self.workflows[entry.workflow as usize][entry.status as usize];
        sum.count += 1;
        if !entry.is_open() {
            return;
        }
        let last_event = entry.last_event_at.map(Into::into);
        sum.oldest_start = earliest(sum.oldest_start, entry.started_at.map(Into::into));
        sum.oldest_event = earliest(sum.oldest_event, last_event);
        if let Some(event) = last_event {
            sum.idle.observe(seconds_between(event, now));
        }
        if let Some(step) = &entry.step {
            let step = Step::clone(step);
            let at = AtStep { workflow: entry.workflow as usize, status: entry.status, step };
            *self.steps.entry(at).or_default() += 1;
        }
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
