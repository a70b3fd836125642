//! One conversation.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::ConversationId;

/// The state of a conversation; the `status` label of `kapso_conversations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ConversationStatus {
    /// Open for messages.
    Active,
    /// Closed.
    Ended,
    /// Not said, or a status that this program does not know.
    Unknown,
}

impl ConversationStatus {
    /// Every status, in the order of its label value and of the variants: `status as usize` is its place.
    pub const ALL: [Self; 3] = [Self::Active, Self::Ended, Self::Unknown];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One conversation as it was listed. Everything personal in it stays on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Identity.
    pub id: ConversationId,
    /// Its state.
    pub status: ConversationStatus,
    /// When it last saw activity; falls back to its last update, then to its creation.
    pub last_active_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_place() {
        assert!(ConversationStatus::ALL.iter().enumerate().all(|(place, &status)| status as usize == place));
    }
}
