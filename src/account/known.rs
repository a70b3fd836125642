//! What is known of a workflow or a conversation: what was counted of it, and what was read.

use jiff::{SignedDuration, Timestamp};

use super::Account;
use crate::{
    frontier::{ConversationFrontier, WorkflowFrontier},
    ledger::{ConversationState, WorkflowState},
};

/// A workflow.
#[derive(Debug, Clone, Copy)]
pub struct KnownWorkflow<'a> {
    /// Its number.
    pub number: usize,
    /// What was counted of it.
    pub counted: &'a WorkflowState,
    /// What was read of it.
    pub read: &'a WorkflowFrontier,
}

/// A conversation that is not archived.
#[derive(Debug, Clone, Copy)]
pub struct KnownConversation<'a> {
    /// What was counted of it.
    pub counted: &'a ConversationState,
    /// What was read of it.
    pub read: &'a ConversationFrontier,
}

impl Account {
    /// The workflows that were ever seen and are watched, in the order of their numbers.
    pub fn workflows(&self) -> impl Iterator<Item = KnownWorkflow<'_>> {
        let known =
            |(number, counted)| KnownWorkflow { number, counted, read: self.frontier.workflow(number) };
        let watched = self.ledger.workflows().iter().enumerate().filter(|(_, state)| state.is_watched());
        watched.map(known)
    }

    /// The conversations that are known, not archived, and of a phone number that is watched, in no particular order.
    pub fn conversations(&self) -> impl Iterator<Item = KnownConversation<'_>> + Clone {
        let known =
            |(number, counted)| KnownConversation { counted, read: self.frontier.conversation(number) };
        let is_in_scope = |conversation: &KnownConversation<'_>| self.is_in_scope(conversation.read);
        self.ledger.conversations.iter().map(known).filter(is_in_scope)
    }
}

impl KnownConversation<'_> {
    /// Whether it or one of its executions is missing where it was, or its list was read with a gap: its list is
    /// to be read again soon.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.counted.has_doubtful_executions() || self.read.missing.is_some() || !self.read.clean
    }

    /// Its last activity. One that only executions have named was active when they were.
    #[must_use]
    pub fn active_at(&self) -> Option<Timestamp> {
        let last_event_at = self.counted.last_event_at.filter(|_| self.read.listed.is_none());
        self.read.last_active_at.or(last_event_at).map(Into::into)
    }

    /// Whether it is watched at `now`, in Kapso's clock: it has open executions, or was active within `max_age`, or
    /// since it was last listed or else since watching began, or it is not known when it was.
    #[must_use]
    pub fn is_watched(
        &self,
        now: Timestamp,
        max_age: SignedDuration,
        watch_start: Option<Timestamp>,
    ) -> bool {
        let listed = self.read.listed.map(Timestamp::from);
        // Nobody reads the list of one that only executions have named where conversations are not discovered.
        let since = listed.or(watch_start.filter(|_| self.read.discovered.is_some()));
        let is_unread = |at| since.is_some_and(|since| at > since);
        self.is_active(now, max_age) || (!self.read.deleted && self.active_at().is_some_and(is_unread))
    }

    /// Whether it is there at `now`, in Kapso's clock, and has open executions, or was active within `max_age`, or it is
    /// not known when it was.
    #[must_use]
    pub fn is_active(&self, now: Timestamp, max_age: SignedDuration) -> bool {
        let Self { counted, read } = self;
        let is_recent = |at| now.duration_since(at) <= max_age;
        let has_current = counted.has_open_executions() || counted.has_doubtful_executions();
        !read.deleted && (has_current || self.active_at().is_none_or(is_recent))
    }
}
