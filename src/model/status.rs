//! The state of an execution.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// The state of an execution; the `status` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Finished normally.
    Ended,
    /// Finished with an error.
    Failed,
    /// Open, in the hands of a human.
    Handoff,
    /// Open, at work. Legacy `started` is this too.
    Running,
    /// A status that this program does not know; treated as open.
    Unknown,
    /// Open, between messages. Legacy `paused`.
    Waiting,
}

impl Status {
    /// Every status, in the order of its label value and of the variants: `status as usize` is its place.
    pub const ALL: [Self; 6] =
        [Self::Ended, Self::Failed, Self::Handoff, Self::Running, Self::Unknown, Self::Waiting];
    /// The open statuses, in the order of their label values.
    pub const OPEN: [Self; 4] = [Self::Handoff, Self::Running, Self::Unknown, Self::Waiting];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether an execution in this status can still move by itself.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !self.is_finished()
    }

    /// Whether this status is final.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_place() {
        assert!(Status::ALL.iter().enumerate().all(|(place, &status)| status as usize == place));
    }
}
