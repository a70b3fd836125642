//! Conversations that are no longer watched, in a few bytes each.
//!
//! All that must still be counted of one is a hash of its id, its status, and up to where its executions were counted
//! and forgotten. It leaves the archive when it is active again or an execution of it is shown. A hash of 128 bits
//! takes no room to speak of, and no two ids share one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ConversationState, Ledger,
    micros::Micros,
    table::{Identified, Slot, Table},
};
use crate::model::{ConversationId, ConversationStatus};

/// What was counted of a conversation that is at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Archived {
    pub id: Hash,
    pub status: ConversationStatus,
    pub forgotten_up_to: Option<Micros>,
}

/// The first half of the SHA-256 of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Hash([u8; 16]);

impl Hash {
    /// That of this id.
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id);
        Self(std::array::from_fn(|byte| digest[byte]))
    }
}

impl From<&ConversationId> for Hash {
    fn from(id: &ConversationId) -> Self {
        Self::of(id.as_str())
    }
}

impl Identified for Archived {
    type Id = Hash;

    fn id(&self) -> &Hash {
        &self.id
    }
}

/// The conversations in the archive.
pub(crate) type Archive = Table<Archived>;

/// Where a conversation is that the ledger knows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub number: u32,
    /// Where it was before.
    pub before: Before,
}

/// Where a conversation was before it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Where it is now.
    Known,
    /// In the archive, with this number.
    Archived(u32),
    /// Nowhere.
    Unknown,
}

impl Ledger {
    /// The conversation with this id: one that is there, one from the archive, or a new one.
    pub(crate) fn conversation(&mut self, id: &ConversationId) -> Place {
        match self.conversations.find(id) {
            Some(number) => Place { number, before: Before::Known },
            None => self.unarchive(id, self.archived(id)),
        }
    }

    /// Where in the archive the conversation with this id is.
    pub(crate) fn archived(&self, id: &ConversationId) -> Option<Slot> {
        if self.archive.len() == 0 { None } else { self.archive.find(&id.into()) }
    }

    /// Makes a conversation known which is not, and is there in the archive.
    pub(crate) fn unarchive(&mut self, id: &ConversationId, archived: Option<Slot>) -> Place {
        let mut conversation = ConversationState::new(id.clone());
        if let Some(archived) = archived.and_then(|slot| self.archive.remove(slot)) {
            conversation.status = archived.status;
            conversation.forgotten_up_to = archived.forgotten_up_to;
        }
        let before = archived.map_or(Before::Unknown, Before::Archived);
        Place { number: self.conversations.insert(conversation), before }
    }
}
