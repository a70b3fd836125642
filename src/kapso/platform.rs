//! The Platform API: its endpoints and what their items mean.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Endpoint, Which,
    paging::{List, Style},
    wire::{self, Number},
};
use crate::execution::{
    Conversation, ConversationId, ConversationStatus, Execution, ExecutionId, Handoff, HandoffReason,
    HandoffSource, ListedWorkflow, Status, Step, Workflow, WorkflowId,
};

/// `GET /whatsapp/conversations`, newest activity first.
pub(super) fn conversations(active_since: Option<Timestamp>) -> List<Conversation> {
    List {
        endpoint: Endpoint::Conversations,
        path: vec!["whatsapp".into(), "conversations".into()],
        query: active_since.map(|at| ("last_active_after", at.to_string())).into_iter().collect(),
        style: Style::Cursor,
        item: |raw| serde_json::from_str::<WireConversation>(raw.get()).map(Into::into),
    }
}

/// `GET /whatsapp/conversations/{id}/flow_executions`, newest start first.
pub(super) fn executions(conversation: &ConversationId) -> List<Execution> {
    List {
        endpoint: Endpoint::FlowExecutions,
        path: ["whatsapp", "conversations", conversation.as_str(), "flow_executions"].map(Into::into).into(),
        query: Vec::new(),
        style: Style::Cursor,
        item: execution,
    }
}

/// `GET /workflows/{id}/executions`, newest start first.
pub(super) fn workflow_executions(workflow: &WorkflowId, which: Which) -> List<Execution> {
    let query = match which {
        Which::Started { since, until } => {
            let since = ("created_after", since.to_string());
            let until = until.map(|until| ("created_before", until.to_string()));
            [since].into_iter().chain(until).collect()
        }
        Which::In(status) => vec![("status", status.as_str().into())],
    };
    List {
        endpoint: Endpoint::WorkflowExecutions,
        path: ["workflows", workflow.as_str(), "executions"].map(Into::into).into(),
        query,
        style: Style::Cursor,
        item: execution,
    }
}

/// `GET /workflows`: all of them.
pub(super) fn workflows() -> List<ListedWorkflow> {
    List {
        endpoint: Endpoint::Workflows,
        path: vec!["workflows".into()],
        query: Vec::new(),
        style: Style::Cursor,
        item: |raw| serde_json::from_str::<WireListedWorkflow>(raw.get()).map(Into::into),
    }
}

/// The path of `GET /workflow_executions/{id}`.
pub(super) fn workflow_execution_path(id: &ExecutionId) -> [&str; 2] {
    ["workflow_executions", id.as_str()]
}

/// Reads `GET /workflow_executions/{id}`, bare or wrapped in `data`.
pub(super) fn workflow_execution(body: &[u8]) -> Result<Execution, serde_json::Error> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let whole: &RawValue = serde_json::from_slice(body)?;
    let wrapped: Wrapped = serde_json::from_str(whole.get())?;
    execution(wrapped.data.unwrap_or(whole))
}

fn execution(raw: &RawValue) -> Result<Execution, serde_json::Error> {
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

impl From<WireExecution> for Execution {
    fn from(wire: WireExecution) -> Self {
        let status = status(wire.status.as_deref());
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
            ended_at: wire.ended_at.or(wire.last_event_at).filter(|_| status.is_finished()),
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
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Execution, serde_json::Error> {
        execution(serde_json::from_str(json).unwrap())
    }

    #[allow(clippy::unnecessary_wraps, reason = "reads like the field it is compared with")]
    fn at(time: &str) -> Option<Timestamp> {
        Some(time.parse().unwrap())
    }

    #[test]
    fn an_execution_as_documented() {
        let execution = read(
            r#"{"id":"e1","status":"waiting","started_at":"2025-12-05T17:20:00Z","last_event_at":"2025-12-05T17:25:00Z",
                "ended_at":null,"tracking_id":null,"whatsapp_conversation_id":"c1",
                "workflow":{"id":"flow_789","name":"Order Support","status":"active"},
                "current_step":{"id":"s1","identifier":"wait_response","stepable_type":"FlowWaitStep","position":{}}}"#,
        );
        let expected = Execution {
            id: "e1".into(),
            workflow: Some(Workflow { id: "flow_789".into(), name: Some("Order Support".into()) }),
            conversation: Some("c1".into()),
            status: Status::Waiting,
            started_at: at("2025-12-05T17:20:00Z"),
            last_event_at: at("2025-12-05T17:25:00Z"),
            ended_at: None,
            handoff: None,
            step: Some(Step { identifier: "wait_response".into(), step_type: "FlowWaitStep".into() }),
        };
        assert_eq!(execution.unwrap(), expected);
    }

    #[test]
    fn an_id_alone_is_enough() {
        let execution = read(r#"{"id":42,"surprise":[{}]}"#).unwrap();
        assert_eq!((execution.id.as_str(), execution.status), ("42", Status::Unknown));
        assert_eq!(execution.position(), None);
    }

    #[test]
    fn nulls_and_odd_details_are_accepted() {
        let execution = read(
            r#"{"id":"e1","status":null,"started_at":null,"last_event_at":"","workflow":{"id":null,"name":"x"},
                "current_step":"wait","tracking_id":{"deep":1}}"#,
        )
        .unwrap();
        assert_eq!((execution.workflow, execution.step), (None, None));
    }

    #[test]
    fn offsets_and_fractions_are_exact() {
        let execution = read(
            r#"{"id":"e1","status":"ended","started_at":"2025-12-05T19:20:00.5+02:00",
                "last_event_at":"2025-12-05T17:20:01","ended_at":"2025-12-05T17:20:02.123456Z"}"#,
        )
        .unwrap();
        assert_eq!(execution.started_at, at("2025-12-05T17:20:00.5Z"));
        assert_eq!(execution.last_event_at, at("2025-12-05T17:20:01Z"));
        assert_eq!(execution.duration(), Some(1.623_456));
    }

    #[test]
    fn a_finished_execution_without_an_end_ended_with_its_last_event() {
        let execution =
            read(r#"{"id":"e1","status":"failed","last_event_at":"2025-12-05T17:25:00Z"}"#).unwrap();
        assert_eq!(execution.ended_at, at("2025-12-05T17:25:00Z"));
    }

    #[test]
    fn a_handoff_is_open_although_it_may_carry_an_end() {
        let execution = read(
            r#"{"id":"e1","status":"handoff","last_event_at":"2025-12-05T17:25:00Z","ended_at":"2025-12-05T17:25:00Z"}"#,
        )
        .unwrap();
        assert_eq!(execution.ended_at, None);
        assert_eq!(execution.handoff.unwrap().at, at("2025-12-05T17:25:00Z"));
    }

    #[test]
    fn what_cannot_be_an_execution_is_refused() {
        for bad in [
            "null",
            "\"gone\"",
            "{}",
            r#"{"id":""}"#,
            r#"{"id":null}"#,
            r#"{"id":"e1","started_at":"yesterday"}"#,
            r#"{"id":"e1","ended_at":1733419200}"#,
            r#"{"id":"e1","status":7}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_single_execution_may_come_bare_or_wrapped() {
        let bare = workflow_execution(br#"{"id":"e1","status":"ended"}"#).unwrap();
        let wrapped = workflow_execution(br#"{"data":{"id":"e1","status":"ended"}}"#).unwrap();
        assert_eq!(bare, wrapped);
    }
}
