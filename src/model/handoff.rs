//! Handoffs to a human.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// Who handed an execution off; the `source` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HandoffSource {
    /// A workflow's action step.
    ActionStep,
    /// An agent's tool call.
    AgentTool,
    /// The lists do not say.
    Unknown,
}

impl HandoffSource {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The class of a handoff's reason; the `reason` label. The reason itself is free text and stays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HandoffReason {
    /// The API gave no reason.
    #[strum(serialize = "")]
    None,
    /// A reason was given, of no class that is configured.
    Other,
}

impl HandoffReason {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// That an execution is, or ended, in the hands of a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handoff {
    /// When it was handed off, as well as the API tells (`last_event_at`).
    pub at: Option<Timestamp>,
    /// Who handed it off.
    pub source: HandoffSource,
    /// Why, as a class.
    pub reason: HandoffReason,
}
