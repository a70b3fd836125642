//! What is known of one conversation: its own state, and how far its list of executions is known.

use jiff::{SignedDuration, Timestamp};

use crate::execution::{Conversation, ConversationId, ConversationStatus, ExecutionId};

/// What is known of one conversation. Records are kept for good: what was settled must stay settled.
#[derive(Debug)]
pub struct Record {
    /// Identity.
    pub id: ConversationId,
    /// Its own state.
    pub status: ConversationStatus,
    /// Its last activity.
    pub last_active_at: Option<Timestamp>,
    /// When the newest list of conversations that showed it was asked for.
    pub discovered: Option<Timestamp>,
    /// When the newest complete list of its executions was asked for.
    pub listed: Option<Timestamp>,
    /// Whether that list could be read to the last item.
    pub clean: bool,
    /// The API no longer has it.
    pub gone: bool,
    /// The newest `last_event_at` of its executions.
    pub last_event_at: Option<Timestamp>,
    /// Its executions that are remembered.
    pub(super) executions: Vec<ExecutionId>,
    /// How many of them are open.
    pub(super) open: usize,
    /// Its executions that started up to then are counted and forgotten, unless they are remembered.
    pub(super) settled: Option<Timestamp>,
}

impl Record {
    pub(super) fn new(id: ConversationId) -> Self {
        Self {
            id,
            status: ConversationStatus::Unknown,
            last_active_at: None,
            discovered: None,
            listed: None,
            clean: false,
            gone: false,
            last_event_at: None,
            executions: Vec::new(),
            open: 0,
            settled: None,
        }
    }

    pub(super) fn learn(&mut self, seen: &Conversation, as_of: Timestamp) {
        self.status = seen.status;
        self.last_active_at = seen.last_active_at.or(self.last_active_at);
        self.discovered = self.discovered.max(Some(as_of));
        self.gone = false;
    }

    /// Whether executions of it are open.
    #[must_use]
    pub fn has_open_executions(&self) -> bool {
        self.open > 0
    }

    /// Whether it is watched at `now`: it has open executions, or was active within `max_age`, or it is not
    /// known when it was.
    #[must_use]
    pub fn is_watched(&self, now: Timestamp, max_age: SignedDuration) -> bool {
        !self.gone
            && (self.has_open_executions()
                || self.last_active_at.is_none_or(|at| now.duration_since(at) <= max_age))
    }
}
