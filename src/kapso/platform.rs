//! The Platform API: its endpoints and what their items mean.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Endpoint, ExecutionFilter,
    items::Item,
    page_token::Resume,
    paging::{List, Pagination},
    times::Dated,
    wire::{self, Number},
};
use crate::model::{
    Conversation, ConversationId, ConversationStatus, Execution, ExecutionId, Handoff, HandoffReason,
    HandoffSource, ListedWorkflow, Status, Step, Workflow, WorkflowId,
};

/// `GET /whatsapp/conversations`, newest activity first.
pub(super) fn conversations(active_since: Option<Timestamp>) -> List<Conversation> {
    conversations_where(active_since.map(|at| ("last_active_after", at.to_string())))
}

/// The same of those that were created from then on.
pub(super) fn conversations_created(since: Timestamp) -> List<Conversation> {
    conversations_where(Some(("created_after", since.to_string())))
}

fn conversations_where(filter: Option<(&'static str, String)>) -> List<Conversation> {
    List {
        endpoint: Endpoint::Conversations,
        path: vec!["whatsapp".into(), "conversations".into()],
        query: filter.into_iter().collect(),
        pagination: Pagination::Cursor,
        item: Box::new(|raw| {
            serde_json::from_str::<WireConversation>(raw.get()).map(Into::into).map(Item::Known)
        }),
        mend: Dated::mend,
        resume: Resume::ByTime {
            parameter: "last_active_before",
            key: |conversation: &Conversation| conversation.last_active_at,
        },
    }
}

/// `GET /whatsapp/conversations/{id}/flow_executions`, newest start first.
pub(super) fn executions(conversation: &ConversationId) -> List<Execution> {
    List {
        endpoint: Endpoint::FlowExecutions,
        path: ["whatsapp", "conversations", conversation.as_str(), "flow_executions"].map(Into::into).into(),
        query: Vec::new(),
        pagination: Pagination::Cursor,
        item: Box::new(execution),
        mend: Dated::mend,
        resume: Resume::FromStart,
    }
}

/// `GET /workflows/{id}/executions`, newest start first.
pub(super) fn workflow_executions(workflow: &WorkflowId, which: ExecutionFilter) -> List<Execution> {
    let query = match which {
        ExecutionFilter::Started { since, until } => {
            let since = ("created_after", since.to_string());
            let until = until.map(|until| ("created_before", until.to_string()));
            [since].into_iter().chain(until).collect()
        }
        ExecutionFilter::In { status, started } => {
            let span = started.map(|(since, until)| {
                [("created_after", since.to_string()), ("created_before", until.to_string())]
            });
            [("status", status.as_str().into())].into_iter().chain(span.into_iter().flatten()).collect()
        }
    };
    List {
        endpoint: Endpoint::WorkflowExecutions,
        path: ["workflows", workflow.as_str(), "executions"].map(Into::into).into(),
        query,
        pagination: Pagination::Cursor,
        item: Box::new(execution),
        mend: Dated::mend,
        resume: Resume::ByTime {
            parameter: "created_before",
            key: |execution: &Execution| execution.started_at,
        },
    }
}

/// `GET /workflows`: all of them.
pub(super) fn workflows() -> List<ListedWorkflow> {
    List {
        endpoint: Endpoint::Workflows,
        path: vec!["workflows".into()],
        query: Vec::new(),
        pagination: Pagination::Cursor,
        item: Box::new(|raw| {
            serde_json::from_str::<WireListedWorkflow>(raw.get()).map(Into::into).map(Item::Known)
        }),
        mend: Dated::mend,
        resume: Resume::FromStart,
    }
}

/// The path of `GET /workflow_executions/{id}`.
pub(super) fn workflow_execution_path(id: &ExecutionId) -> [&str; 2] {
    ["workflow_executions", id.as_str()]
}

/// Reads `GET /workflow_executions/{id}`, bare or wrapped in `data`.
pub(super) fn workflow_execution(body: &[u8]) -> Result<Item<Execution>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let whole: &RawValue = serde_json::from_slice(body)?;
    let wrapped: Wrapped = serde_json::from_str(whole.get())?;
    execution(wrapped.data.unwrap_or(whole))
}

fn execution(raw: &RawValue) -> Result<Item<Execution>, serde_json::Error> {
    serde_json::from_str::<WireExecution>(raw.get()).map(Into::into)
}

#[derive(Deserialize)]
struct WireExecution {
    #[serde(deserialize_with = "wire::id")]
    id: String,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::time")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    last_event_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    ended_at: Option<Timestamp>,
    workflow: Option<WireWorkflow>,
    #[serde(default, deserialize_with = "wire::lenient")]
    whatsapp_conversation_id: Option<String>,
    #[serde(default, deserialize_with = "wire::lenient")]
    current_step: Option<WireStep>,
}

#[derive(Deserialize)]
struct WireWorkflow {
    #[serde(default, deserialize_with = "wire::optional_id")]
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct WireStep {
    identifier: Option<String>,
    stepable_type: Option<String>,
}

#[derive(Deserialize)]
struct WireListedWorkflow {
    #[serde(deserialize_with = "wire::id")]
    id: String,
    name: Option<String>,
    #[serde(default, deserialize_with = "wire::lenient")]
    execution_count: Option<Number>,
    #[serde(default, deserialize_with = "wire::lenient")]
    last_executed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct WireConversation {
    #[serde(deserialize_with = "wire::id")]
    id: String,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    last_active_at: Option<Timestamp>,
}

impl From<WireExecution> for Item<Execution> {
    fn from(wire: WireExecution) -> Self {
        let named = wire.status.clone();
        Self::of(wire.into(), named.as_deref())
    }
}

impl From<WireExecution> for Execution {
    fn from(wire: WireExecution) -> Self {
        let status = status(wire.status.as_deref());
        let ended_at = match status {
            Status::Ended | Status::Failed => wire.ended_at.or(wire.last_event_at),
            // It is over if it has an end, whatever its name is.
            Status::Unknown => wire.ended_at,
            Status::Handoff | Status::Running | Status::Waiting => None,
        };
        let handoff =
            Handoff { at: wire.last_event_at, source: HandoffSource::Unknown, reason: HandoffReason::None };
        Self {
            id: wire.id.as_str().into(),
            workflow: wire.workflow.and_then(Into::into),
            conversation: wire
                .whatsapp_conversation_id
                .filter(|id| !id.is_empty())
                .map(|id| id.as_str().into()),
            status,
            started_at: wire.started_at,
            last_event_at: wire.last_event_at,
            ended_at,
            handoff: (status == Status::Handoff).then_some(handoff),
            step: wire.current_step.and_then(Into::into),
        }
    }
}

fn status(wire: Option<&str>) -> Status {
    match wire {
        Some("running") => Status::Running,
        Some("waiting") => Status::Waiting,
        Some("handoff") => Status::Handoff,
        Some("ended") => Status::Ended,
        Some("failed") => Status::Failed,
        _ => Status::Unknown,
    }
}

/// The state of a conversation; both APIs use the same words.
pub(super) fn conversation_status(wire: Option<&str>) -> ConversationStatus {
    match wire {
        Some("active") => ConversationStatus::Active,
        Some("ended") => ConversationStatus::Ended,
        _ => ConversationStatus::Unknown,
    }
}

impl From<WireWorkflow> for Option<Workflow> {
    fn from(wire: WireWorkflow) -> Self {
        Some(Workflow { id: wire.id?.as_str().into(), name: wire.name.map(Into::into) })
    }
}

impl From<WireStep> for Option<Step> {
    fn from(wire: WireStep) -> Self {
        let identifier = wire.identifier.filter(|identifier| !identifier.is_empty())?;
        Some(Step::new(&identifier, &wire.stepable_type.unwrap_or_default()))
    }
}

impl From<WireListedWorkflow> for ListedWorkflow {
    fn from(wire: WireListedWorkflow) -> Self {
        Self {
            workflow: Workflow { id: wire.id.as_str().into(), name: wire.name.map(Into::into) },
            execution_count: wire.execution_count.as_ref().and_then(Number::whole),
            last_executed_at: wire.last_executed_at,
        }
    }
}

impl From<WireConversation> for Conversation {
    fn from(wire: WireConversation) -> Self {
        Self {
            id: wire.id.as_str().into(),
            status: conversation_status(wire.status.as_deref()),
            last_active_at: wire.last_active_at.or(wire.updated_at).or(wire.created_at),
        }
    }
}

#[cfg(test)]
mod tests;
