//! What was counted in one conversation, and what is there now.

use super::{
    micros::Micros,
    table::{Identified, Slot, Table},
};
use crate::model::{ConversationId, ConversationStatus};

/// What is known of the executions of one conversation, until it is archived.
#[derive(Debug)]
pub struct ConversationState {
    /// Identity.
    pub id: ConversationId,
    /// Its own state.
    pub status: ConversationStatus,
    /// The newest `last_event_at` of its executions.
    pub last_event_at: Option<Micros>,
    /// Its executions that started up to then are counted and forgotten, unless they are remembered.
    pub(crate) forgotten_up_to: Option<Micros>,
    /// How many of its executions are in doubt.
    pub(crate) doubtful: u32,
    /// How many of them are open.
    pub(crate) open: u32,
    /// Its executions that are remembered.
    pub(crate) executions: Vec<Slot>,
}

/// The conversations that are not archived.
pub(crate) type Conversations = Table<ConversationState>;

impl Identified for ConversationState {
    type Id = ConversationId;

    fn id(&self) -> &ConversationId {
        &self.id
    }
}

impl ConversationState {
    pub(crate) fn new(id: ConversationId) -> Self {
        Self {
            id,
            status: ConversationStatus::Unknown,
            last_event_at: None,
            forgotten_up_to: None,
            doubtful: 0,
            open: 0,
            executions: Vec::new(),
        }
    }

    /// Whether executions of it are open.
    #[must_use]
    pub fn has_open_executions(&self) -> bool {
        self.open > 0
    }

    /// Whether executions of it are missing where they were.
    #[must_use]
    pub fn has_doubtful_executions(&self) -> bool {
        self.doubtful > 0
    }
}
