//! What is known of one conversation: its own state, and how far its list of executions is known.

use jiff::{SignedDuration, Timestamp, fmt::serde::timestamp::microsecond};
use serde::{Deserialize, Serialize};

use super::{executions::Slot, moment::Moment};
use crate::execution::{Conversation, ConversationId, ConversationStatus};

/// What is known of one conversation. Records are kept for good: what was settled must stay settled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Identity.
    pub id: ConversationId,
    /// Its own state.
    pub status: ConversationStatus,
    /// Its last activity, as the list of conversations tells it.
    #[serde(with = "microsecond::optional")]
    pub last_active_at: Option<Timestamp>,
    /// When the newest list of conversations that showed it was asked for.
    #[serde(with = "microsecond::optional")]
    pub discovered: Option<Timestamp>,
    /// When the newest complete list of its executions was asked for.
    #[serde(with = "microsecond::optional")]
    pub listed: Option<Timestamp>,
    /// Whether that list could be read to the last item.
    pub clean: bool,
    /// The API no longer has it.
    pub gone: bool,
    /// The newest `last_event_at` of its executions.
    #[serde(with = "microsecond::optional")]
    pub last_event_at: Option<Timestamp>,
    /// Its executions that are remembered.
    #[serde(skip)]
    pub(super) executions: Vec<Slot>,
    /// How many of them are open.
    #[serde(skip)]
    pub(super) open: usize,
    /// Its executions that started up to then are counted and forgotten, unless they are remembered.
    pub(super) settled: Option<Moment>,
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

    /// Its last activity. One that only executions have named was active when they were.
    #[must_use]
    pub fn active_at(&self) -> Option<Timestamp> {
        self.last_active_at.or(self.last_event_at.filter(|_| self.listed.is_none()))
    }

    /// Whether it is watched at `now`: it has open executions, or was active within `max_age`, or since it was
    /// last listed or else since watching began, or it is not known when it was.
    #[must_use]
    pub fn is_watched(
        &self,
        now: Timestamp,
        max_age: SignedDuration,
        watch_start: Option<Timestamp>,
    ) -> bool {
        let is_unread = |at| self.listed.or(watch_start).is_some_and(|since| at > since);
        let is_active = |at| now.duration_since(at) <= max_age || is_unread(at);
        !self.gone && (self.has_open_executions() || self.active_at().is_none_or(is_active))
    }
}
