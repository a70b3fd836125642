//! What a webhook delivery tells of an execution.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{ConversationId, ExecutionId, HandoffReason, HandoffSource, WorkflowId};

/// An outcome of an execution, as a delivery tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Whose it is.
    pub execution: ExecutionId,
    /// The workflow that it runs, where the delivery says so.
    pub workflow: Option<WorkflowId>,
    /// The conversation that it belongs to, where the delivery says so.
    pub conversation: Option<ConversationId>,
    /// What happened.
    pub outcome: ToldOutcome,
    /// When it happened (`occurred_at`), where the delivery says so.
    pub at: Option<Timestamp>,
    /// A hash of `X-Idempotency-Key`, where there is one.
    pub key: Option<u64>,
}

/// What a delivery tells. State files hold the place of a variant: a new one comes last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToldOutcome {
    /// It was handed off.
    HandedOff {
        /// Who handed it off.
        source: HandoffSource,
        /// Why, as a class.
        reason: HandoffReason,
    },
    /// It failed.
    Failed,
}

impl ToldOutcome {
    /// The event that tells it.
    #[must_use]
    pub fn event(&self) -> WebhookEvent {
        match self {
            Self::HandedOff { .. } => WebhookEvent::Handoff,
            Self::Failed => WebhookEvent::Failed,
        }
    }
}

/// The event of a delivery (`X-Webhook-Event`); the `event` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Serialize, Deserialize)]
pub enum WebhookEvent {
    /// An execution was handed off.
    #[strum(serialize = "workflow.execution.handoff")]
    Handoff,
    /// An execution failed.
    #[strum(serialize = "workflow.execution.failed")]
    Failed,
    /// Any other one, or none.
    #[strum(serialize = "other")]
    Other,
}

impl WebhookEvent {
    /// Those that tell outcomes.
    pub const OUTCOMES: [Self; 2] = [Self::Handoff, Self::Failed];

    /// By its name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::OUTCOMES.into_iter().find(|event| event.as_str() == name).unwrap_or(Self::Other)
    }

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
