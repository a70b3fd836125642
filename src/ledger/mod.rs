//! The ledger: what is known, and what was counted.
//!
//! A pure fold. Sources hand in the pages they read, with the time they asked for them; the ledger updates what
//! it knows and counts each event once. It does no I/O and has no clock, so a store can stand behind it.
//!
//! **News and history.** An event counts if its own timestamp is not before the watch began. Older ones are
//! history: they show in the current state and are never counted, whenever they are found.
//!
//! **Exactly once.** An execution is remembered by id while it is open or within the lookback after its end, and for two
//! hours at least: whatever lists hide for a shorter time is still counted.
//! It is shown by two lists, its conversation's and its workflow's, whichever are read. It is forgotten only once
//! one of them vouches for it: the conversation's if it was completely read since the end, the workflow's if it
//! was read beyond the start. That list then keeps one time, `settled`: everything in it that started up to then,
//! is over for longer than the lookback and is not remembered was counted before. So memory is bounded by what
//! is current, and an old list that is read again, by whichever source, counts nothing again.
//!
//! **Order.** Answers may overtake each other, and clocks may be set: an observation whose request has a lower
//! number than the one on record is ignored. One that is older than what is known, from a replica that lags behind,
//! changes nothing; `entry` has the table.
//!
//! **Doubt.** What an answer no longer shows is not gone: `doubt` says when it is.
//!
//! **Clocks.** What happened is told in Kapso's clock: [`Timestamp`]s. When something was read is told in steady time,
//! which no clock can set back: [`Steady`].

mod archive;
mod conversation;
mod current;
mod dirty;
mod doubt;
mod entry;
mod executions;
mod histogram;
mod listing;
mod micros;
mod name;
mod observation;
mod saved;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod versions;
mod visit;
mod workflow;

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::{
    archive::Archive, conversation::Conversations, dirty::DirtyVec, doubt::Doubts, executions::Executions,
    table::Slot,
};
pub use self::{
    conversation::{Attempts, ConversationState, Failed},
    current::{AtStep, ByStatus, Current, OpenInConversation},
    histogram::{Buckets, Histogram},
    listing::Listing,
    micros::Micros,
    saved::{Changes, Damaged, Row, Saved, VERSION},
    totals::{Event, Totals},
    visit::{ListedBy, OpenExecution, Visit},
    workflow::{CoveredRange, WorkflowState},
};
use crate::{
    clock::Steady,
    model::{Conversation, ConversationId, ListedWorkflow, Page, Workflow, WorkflowId},
};

/// The workflow of executions whose API answer names none.
pub const NO_WORKFLOW: &str = "unknown";

/// Lists show an execution at the latest so long after its start.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What a ledger has to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a finished execution stays in the current state.
    pub lookback: SignedDuration,
    /// How long it is remembered at least, so that one that lists hide for a while is not taken for forgotten: longer
    /// than from one whole reading of a list to the next.
    pub remembered: SignedDuration,
    /// How long a conversation without activity and without open executions is watched.
    pub conversation_max_age: SignedDuration,
    /// The current state is no longer shown if nothing was learned for so long.
    pub max_staleness: SignedDuration,
    /// Bounds of the histograms.
    pub buckets: Buckets,
}

impl Default for Settings {
    /// What the flags say unless they are given.
    fn default() -> Self {
        Self {
            lookback: SignedDuration::from_hours(24),
            remembered: SignedDuration::from_hours(2),
            conversation_max_age: SignedDuration::from_hours(24 * 7),
            max_staleness: SignedDuration::from_mins(10),
            buckets: Buckets::default(),
        }
    }
}

/// The account of all executions of one project in one API.
#[derive(Debug)]
pub struct Ledger {
    settings: Settings,
    watermarks: Watermarks,
    workflows: DirtyVec<WorkflowState>,
    workflow_by_id: HashMap<WorkflowId, usize>,
    /// How many times the list of workflows was read to its end.
    workflow_readings: u64,
    conversations: Conversations,
    archive: Archive,
    executions: Executions,
    doubts: Doubts,
    stale_answers: u64,
}

/// What is known beside workflows, conversations and executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watermarks {
    /// When watching began.
    watch_start: Option<Micros>,
    /// Executions that were over before then may have been forgotten.
    horizon: Option<Micros>,
    /// The newest activity of conversations that was seen, or an earlier moment when recent activity was asked for.
    activity_read: Option<Micros>,
    /// When the last complete full scan over the conversations began.
    full_scan_read: Option<Steady>,
    /// When executions were last listed, or there was nothing to list.
    learned: Option<Steady>,
    /// The sources that list executions by workflow have been at work.
    by_workflow: bool,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            watermarks: Watermarks::default(),
            workflows: DirtyVec::default(),
            workflow_by_id: HashMap::new(),
            workflow_readings: 0,
            conversations: Conversations::default(),
            archive: Archive::default(),
            executions: Executions::default(),
            doubts: Doubts::default(),
            stale_answers: 0,
        }
    }

    /// Says when watching began, in Kapso's clock. Only the first call counts; it comes before any page.
    pub fn watch_from(&mut self, at: Timestamp) {
        self.watermarks.watch_start.get_or_insert(at.into());
    }

    /// When watching began, in Kapso's clock.
    #[must_use]
    pub fn watch_start(&self) -> Option<Timestamp> {
        self.watermarks.watch_start.map(Into::into)
    }

    /// Takes note that at `at` there was nothing more to learn.
    pub fn note_learned(&mut self, at: Steady) {
        self.watermarks.learned = self.watermarks.learned.max(Some(at));
    }

    /// When something was last learned, the latest moment that the ledger knows.
    #[must_use]
    pub fn learned(&self) -> Option<Steady> {
        self.watermarks.learned
    }

    /// Whether nothing was learned for too long, so that the current state may be quite another.
    #[must_use]
    pub fn is_stale(&self, now: Steady) -> bool {
        self.watermarks.learned.is_some_and(|learned| now.since(learned) > self.settings.max_staleness)
    }

    /// How far the list of conversations was read: from which activity on recent activity is unread, and when the last
    /// complete full scan over the list was asked for.
    #[must_use]
    pub fn discovered(&self) -> (Option<Timestamp>, Option<Steady>) {
        (self.watermarks.activity_read.map(Into::into), self.watermarks.full_scan_read)
    }

    /// Takes note of how far it was read.
    pub fn note_discovered(&mut self, activity_read: Option<Timestamp>, full_scan_read: Option<Steady>) {
        self.watermarks.activity_read = activity_read.map(Into::into);
        self.watermarks.full_scan_read = full_scan_read;
    }

    /// Takes note that executions are listed by workflow from now on. If they were not before, what was over before
    /// the lookback was counted by other lists, and may be forgotten: it is not counted again.
    pub fn begin_listing_by_workflow(&mut self) {
        if std::mem::replace(&mut self.watermarks.by_workflow, true) {
            return;
        }
        // What was over before the watch began was not counted by any.
        let Some(horizon) = self.watermarks.horizon.filter(|&at| Some(at) > self.watermarks.watch_start)
        else {
            return;
        };
        for account in
            (0..self.workflows.len()).filter(|&n| self.workflows[n].covered.is_none()).collect::<Vec<_>>()
        {
            self.workflows[account].counted_elsewhere = Some(horizon);
        }
    }

    /// Takes executions out of the current state that belong to none of these conversations, until they are shown again.
    /// Returns how many of them were open.
    pub fn withdraw_all_but(&mut self, conversations: &[ConversationId]) -> usize {
        let kept: HashSet<_> = conversations.iter().filter_map(|id| self.conversations.find(id)).collect();
        let is_kept = |record: Slot| kept.contains(&record);
        let others = self.executions.iter().filter(|(_, entry)| !entry.conversation.is_some_and(is_kept));
        let others: Vec<_> = others.filter(|(_, entry)| entry.is_open()).map(|(slot, _)| slot).collect();
        let at = self.watermarks.learned.map_or(Timestamp::UNIX_EPOCH, Steady::timestamp);
        self.delete(&others, at);
        others.len()
    }

    /// Answers that were older than what was known.
    #[must_use]
    pub fn stale_answers(&self) -> u64 {
        self.stale_answers
    }

    /// The workflows that were ever seen, in the order of their first sight.
    #[must_use]
    pub fn workflows(&self) -> &[WorkflowState] {
        &self.workflows
    }

    /// The conversations that are known and not archived, in no particular order.
    pub fn conversations(&self) -> impl Iterator<Item = &ConversationState> + Clone {
        self.conversations.iter().map(|(_, record)| record)
    }

    /// How many conversations are remembered, those in the archive included.
    #[must_use]
    pub fn remembered_conversations(&self) -> usize {
        self.conversations.len() + self.archive.len()
    }

    /// Whether nothing was ever learned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workflows.is_empty() && self.remembered_conversations() == 0
    }

    /// How many executions are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.executions.len()
    }

    /// How many executions are open.
    #[must_use]
    pub fn open_executions(&self) -> usize {
        self.workflows.iter().map(|account| account.open).sum()
    }

    /// Takes in a page of the list of workflows.
    pub fn learn_workflows(&mut self, page: &Page<ListedWorkflow>) {
        for listed in &page.items {
            let account = self.account_by_id(&listed.workflow.id);
            let account = &mut self.workflows[account];
            account.learn(listed, page);
            if let Some(name) = &listed.workflow.name {
                account.name.learn(name, self.workflow_readings);
            }
        }
        self.workflow_readings += u64::from(page.last);
    }

    /// Takes in a page of the list of conversations, whose recent activity is asked for every `interval`.
    pub fn learn_conversations(&mut self, page: &Page<Conversation>, interval: SignedDuration) {
        for conversation in &page.items {
            self.learn_conversation(conversation, page, interval);
        }
    }

    fn account(&mut self, workflow: Option<&Workflow>) -> usize {
        let Some(workflow) = workflow else { return self.account_by_id(&NO_WORKFLOW.into()) };
        let account = self.account_by_id(&workflow.id);
        if let Some(name) = workflow.name.as_deref().filter(|_| self.workflows[account].name.get().is_none())
        {
            self.workflows[account].name.suggest(name);
        }
        account
    }

    fn account_by_id(&mut self, id: &WorkflowId) -> usize {
        if let Some(&index) = self.workflow_by_id.get(id) {
            return index;
        }
        let index = self.workflows.push(WorkflowState::new(id.clone(), &self.settings.buckets));
        self.workflow_by_id.insert(id.clone(), index);
        index
    }
}

/// The index of an account or a slot as an entry keeps it.
#[allow(clippy::cast_possible_truncation, reason = "four billion of them do not fit into memory")]
fn index(index: usize) -> u32 {
    index as u32
}
