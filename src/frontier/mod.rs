//! The frontier: what was read of Kapso's lists, when, and up to where.
//!
//! It counts nothing. The crawl plans by it, and the ledger asks it what may be forgotten ([`Coverage`]): an execution
//! is forgotten once one of its lists vouches for it, the conversation's if it was completely read since the end, the
//! workflow's if it was read beyond the start.
//!
//! Workflows and conversations have the numbers that the ledger gave them.

mod attempts;
mod conversation;
mod numbered;
mod phone_number;
mod workflow;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{
    attempts::{Attempts, Failed},
    conversation::{AtRest, ConversationFrontier},
    workflow::{CoveredRange, WorkflowFrontier},
};
pub(crate) use self::{numbered::Numbered, phone_number::PhoneNumber};
use crate::{
    clock::Steady,
    ledger::{Before, Coverage, Micros, Place},
};

/// Lists show an execution at the latest so long after its start.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What was read of the lists of one project in one API.
#[derive(Debug, Default)]
pub struct Frontier {
    pub(crate) watermarks: Watermarks,
    pub(crate) workflows: Numbered<WorkflowFrontier>,
    pub(crate) conversations: Numbered<ConversationFrontier>,
    pub(crate) archive: Numbered<AtRest>,
}

/// What was read beside the lists of executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermarks {
    /// The newest activity of conversations that was seen, or an earlier moment when recent activity was asked for.
    pub activity_read: Option<Micros>,
    /// When the last complete full scan over the conversations began.
    pub full_scan_read: Option<Steady>,
    /// When executions were last listed, or there was nothing to list.
    pub learned: Option<Steady>,
    /// The sources that list executions by workflow have been at work.
    pub by_workflow: bool,
}

impl Frontier {
    /// Takes note that at `at` there was nothing more to learn.
    pub fn note_learned(&mut self, at: Steady) {
        self.watermarks.learned = self.watermarks.learned.max(Some(at));
    }

    /// When something was last learned, the latest moment that is known.
    #[must_use]
    pub fn learned(&self) -> Option<Steady> {
        self.watermarks.learned
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

    /// What was read of a workflow.
    #[must_use]
    pub fn workflow(&self, number: usize) -> &WorkflowFrontier {
        self.workflows.get(number)
    }

    /// What was read of a conversation.
    #[must_use]
    pub fn conversation(&self, number: u32) -> &ConversationFrontier {
        self.conversations.get(number as usize)
    }

    /// Follows the ledger, which knows a conversation from now on.
    pub(crate) fn follow(&mut self, place: Place) {
        let read = match place.before {
            Before::Known => return,
            Before::Archived(archived) => self.archive.take(archived as usize).restored(),
            Before::Unknown => ConversationFrontier::default(),
        };
        self.conversations.put(place.number as usize, read);
    }
}

impl Coverage for Frontier {
    fn was_read(&self, workflow: usize, at: Micros) -> bool {
        self.workflow(workflow).covered.is_some_and(|covered| at >= covered.since.into())
    }

    fn workflow_vouches(&self, workflow: usize, position: Micros, history_since: Timestamp) -> bool {
        self.workflow(workflow).vouches_for(position, history_since)
    }

    fn conversation_vouches(&self, conversation: u32, position: Micros, over: Option<Micros>) -> bool {
        self.conversation(conversation).vouches_for(position, over)
    }
}

/// What started before then is shown by a list that is asked at `at`, although lists show some late.
pub(crate) fn before_late_ones(at: Timestamp) -> Timestamp {
    at.saturating_sub(LATE).unwrap_or(Timestamp::MIN)
}
