//! Whose phone number a conversation goes through, as far as it matters to which conversations are watched.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Stands for the id of a phone number, which is kept of each conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PhoneNumber([u8; 8]);

impl From<&str> for PhoneNumber {
    fn from(id: &str) -> Self {
        let digest = Sha256::digest(id);
        Self(std::array::from_fn(|byte| digest[byte]))
    }
}
