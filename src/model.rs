//! The domain: what Kapso says about one execution and one conversation, in this program's own words.
//!
//! Both APIs are translated into these types before anything else sees them, so that whatever counts,
//! plans or publishes knows neither wire format. No I/O, no clock.

use std::{borrow::Borrow, fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{clock::Steady, label};

/// Which of Kapso's two APIs something comes from; the `api` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// `https://app.kapso.ai/api/v1`: agent executions.
    Legacy,
    /// `https://api.kapso.ai/platform/v1`: workflow executions.
    Platform,
}

impl Api {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as Kapso writes it; opaque, not necessarily a UUID.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// From formats that lend their text, such as the one in which state is kept.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <&str>::deserialize(deserializer).map(Into::into)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Identifies an execution: the unit that is counted exactly once.
    ExecutionId
);
id!(
    /// Identifies a `WhatsApp` conversation within one API. Never a label unless the user asked for it.
    ConversationId
);
id!(
    /// Identifies a workflow, or an agent in the legacy API; the `workflow_id` label.
    WorkflowId
);

/// The state of an execution; the `status` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Handoff => "handoff",
            Self::Running => "running",
            Self::Unknown => "unknown",
            Self::Waiting => "waiting",
        }
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

/// A workflow as an execution or the list of workflows names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Stable identity.
    pub id: WorkflowId,
    /// Display name, free text; may change at any time.
    pub name: Option<Arc<str>>,
}

/// An item of the platform's `GET /workflows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWorkflow {
    /// Identity and name.
    pub workflow: Workflow,
    /// `execution_count`: executions ever, where the API says so.
    pub execution_count: Option<u64>,
    /// `last_executed_at`: the newest start, where the API says so.
    pub last_executed_at: Option<Timestamp>,
}

/// Where in its workflow an execution stands. Many executions keep one each: what is longer than a label's value is cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(String, String)")]
pub struct Step {
    /// `current_step.identifier`, the name given in the workflow editor.
    pub identifier: Box<str>,
    /// `current_step.stepable_type`, such as `FlowWaitStep`; empty where the API leaves it out.
    pub step_type: Box<str>,
}

impl Step {
    /// The step with this identifier and this type.
    #[must_use]
    pub fn new(identifier: &str, step_type: &str) -> Self {
        let kept = |text| Box::from(label::key(text));
        Self { identifier: kept(identifier), step_type: kept(step_type) }
    }
}

impl From<(String, String)> for Step {
    fn from((identifier, step_type): (String, String)) -> Self {
        Self::new(&identifier, &step_type)
    }
}

/// Who handed an execution off; the `source` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActionStep => "action_step",
            Self::AgentTool => "agent_tool",
            Self::Unknown => "unknown",
        }
    }
}

/// The class of a handoff's reason; the `reason` label. The reason itself is free text and stays out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HandoffReason {
    /// The API gave no reason.
    None,
    /// A reason was given, of no class that is configured.
    Other,
}

impl HandoffReason {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Other => "other",
        }
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

    /// Start to end in seconds, never negative. `None` unless it is finished and both times are known.
    #[cfg(test)]
    pub(crate) fn duration(&self) -> Option<f64> {
        Some(seconds_between(self.started_at?, self.ended_at?))
    }
}

/// The state of a conversation; the `status` label of `kapso_conversations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
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

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items that could be read, in the API's order.
    pub items: Vec<T>,
    /// What it lacks.
    pub flaws: Flaws,
    /// The number of the request that brought it: what was asked later has a higher one.
    pub request_seq: u64,
    /// When it was asked for.
    pub requested_at: Steady,
    /// The same moment in Kapso's clock.
    pub as_of: Timestamp,
    /// Whether the list ends with it.
    pub last: bool,
}

impl<T> Page<T> {
    /// Whether it shows all that it could: a reading with a page that does not has to be repeated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.flaws == Flaws::default()
    }
}

/// What a page does not show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Items that could not be read.
    pub unreadable: usize,
    /// Items that were listed, within the last minutes, before there was anything in them.
    pub pending: usize,
    /// Whether the list is whole.
    pub extent: Extent,
}

/// Whether a list shows all that there is. Only the last page tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// As far as the API tells, it does.
    #[default]
    Whole,
    /// It has fewer items than the API counts, or as many as a single page can have and no sign of others.
    Truncated,
}

/// Seconds from `earlier` to `later`, zero where the order is the other way round: durations and delays
/// are never negative, however two clocks disagree.
#[must_use]
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).max(SignedDuration::ZERO).as_secs_f64()
}

/// A moment as seconds since the Unix epoch, to the microsecond: the value of a `_timestamp_seconds` metric.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "microseconds since 1970 fit 53 bits until the year 2255")]
pub fn unix_seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_place() {
        assert!(Status::ALL.iter().enumerate().all(|(place, &status)| status as usize == place));
        assert!(ConversationStatus::ALL.iter().enumerate().all(|(place, &status)| status as usize == place));
    }
}
