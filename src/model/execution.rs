//! One execution.

use jiff::Timestamp;

#[cfg(test)]
use super::seconds_between;
use super::{ConversationId, ExecutionId, Handoff, Status, Step, Workflow};

/// One execution as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Identity.
    pub id: ExecutionId,
    /// The workflow it runs; `None` where the API leaves it out.
    pub workflow: Option<Workflow>,
    /// The conversation it belongs to, if the item says so; there are executions without one.
    pub conversation: Option<ConversationId>,
    /// Its state.
    pub status: Status,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When anything last happened in it.
    pub last_event_at: Option<Timestamp>,
    /// When it finished. `None` while it is open; for a finished one the best time that the API gives. In an unknown
    /// status, the end that the API gives: then it is over.
    pub ended_at: Option<Timestamp>,
    /// Present while it is in handoff, and where it ended in one (legacy).
    pub handoff: Option<Handoff>,
    /// Where it stands.
    pub step: Option<Step>,
}

impl Execution {
    /// Its place in lists, which are ordered by start, newest first. `None` where neither that nor its last event is known.
    #[must_use]
    pub fn position(&self) -> Option<Timestamp> {
        self.started_at.or(self.last_event_at)
    }

    /// One that has waited since it started then, and of which nothing else is known.
    #[cfg(test)]
    pub(crate) fn waiting(id: &str, since: Timestamp) -> Self {
        Self {
            id: id.into(),
            workflow: None,
            conversation: None,
            status: Status::Waiting,
            started_at: Some(since),
            last_event_at: Some(since),
            ended_at: None,
            handoff: None,
            step: None,
        }
    }

    /// Start to end in seconds, never negative. `None` unless it is finished and both times are known.
    #[cfg(test)]
    pub(crate) fn duration(&self) -> Option<f64> {
        Some(seconds_between(self.started_at?, self.ended_at?))
    }
}
