//! What a script can ask for in vain.

use jiff::Timestamp;

/// Why something can't happen.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum ScriptError {
    /// The API has no workflow or agent with this id (any more).
    #[error("no such workflow or agent: {0}")]
    UnknownWorkflow(String),
    /// The API has no conversation with this id (any more).
    #[error("no such conversation: {0}")]
    UnknownConversation(String),
    /// Neither API has an execution with this id (any more).
    #[error("no such execution: {0}")]
    UnknownExecution(String),
    /// Legacy executions exist in conversations only.
    #[error("a legacy execution needs a conversation")]
    NeedsConversation,
    /// The time given is after now.
    #[error("{0} is in the future")]
    InTheFuture(Timestamp),
    /// The time given is before the execution's latest event.
    #[error("{0} is before the execution's latest event")]
    OutOfOrder(Timestamp),
    /// Only a legacy execution that is in handoff can finish it.
    #[error("the execution is not in a legacy handoff")]
    NotInHandoff,
}
