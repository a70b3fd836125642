//! The legacy API: its endpoints and what their items mean.
//!
//! Its agent executions become [`Execution`]s whose workflow is the agent. `last_event_at` does not exist
//! here; the association's `updated_at` stands in for it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    Endpoint,
    items::Item,
    page_token::Resume,
    paging::{List, Pagination},
    platform::conversation_status,
    times::Dated,
    wire::{self, Number},
};
use crate::model::{
    Conversation, ConversationId, Execution, Handoff, HandoffReason, HandoffSource, ReasonRule, Status,
    Workflow,
};

/// `GET /whatsapp_conversations`, in no documented order.
pub(super) fn conversations(active_since: Option<Timestamp>) -> List<Conversation> {
    List {
        endpoint: Endpoint::Conversations,
        path: vec!["whatsapp_conversations".into()],
        query: active_since.map(|at| ("q[last_active_at_gteq]", at.to_string())).into_iter().collect(),
        pagination: Pagination::Number,
        item: Box::new(|raw| {
            serde_json::from_str::<WireConversation>(raw.get()).map(Into::into).map(Item::Known)
        }),
        mend: Dated::mend,
        resume: Resume::FromStart,
    }
}

/// `GET /whatsapp_conversations/{id}/agent_executions`.
pub(super) fn executions(conversation: &ConversationId, reasons: &Arc<[ReasonRule]>) -> List<Execution> {
    let reasons = reasons.clone();
    List {
        endpoint: Endpoint::AgentExecutions,
        path: ["whatsapp_conversations", conversation.as_str(), "agent_executions"].map(Into::into).into(),
        query: Vec::new(),
        pagination: Pagination::Number,
        item: Box::new(move |raw| Ok(associated(serde_json::from_str(raw.get())?, &reasons))),
        mend: Dated::mend,
        resume: Resume::FromStart,
    }
}

#[derive(Deserialize)]
struct WireConversation {
    #[serde(deserialize_with = "wire::id")]
    id: String,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::time")]
    last_active_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct WireAssociation {
    #[serde(deserialize_with = "wire::id")]
    id: String,
    handoff_reason: Option<String>,
    #[serde(default, deserialize_with = "wire::time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    updated_at: Option<Timestamp>,
    agent_execution: Option<WireAgentExecution>,
}

#[derive(Deserialize)]
struct WireAgentExecution {
    #[serde(default, deserialize_with = "wire::optional_id")]
    id: Option<String>,
    #[serde(default, deserialize_with = "wire::optional_id")]
    agent_id: Option<String>,
    status: Option<String>,
    #[serde(default, deserialize_with = "wire::time")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::time")]
    ended_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wire::lenient")]
    duration: Option<Number>,
}

impl From<WireConversation> for Conversation {
    fn from(wire: WireConversation) -> Self {
        Self {
            id: wire.id.as_str().into(),
            status: conversation_status(wire.status.as_deref()),
            last_active_at: wire.last_active_at,
        }
    }
}

/// An association is listed a moment before its agent execution exists. Until then it is nothing, since the execution's
/// id is not known.
fn associated(mut wire: WireAssociation, reasons: &[ReasonRule]) -> Item<Execution> {
    let agent = wire.agent_execution.take().filter(|agent| agent.id.is_some() || agent.status.is_some());
    let Some(agent) = agent else { return Item::NotYet(wire.created_at) };
    let named = agent.status.clone();
    Item::of(execution(wire, agent, reasons), named.as_deref())
}

fn execution(wire: WireAssociation, agent: WireAgentExecution, reasons: &[ReasonRule]) -> Execution {
    let wire_status = status(agent.status.as_deref());
    let in_handoff = wire_status == Status::Handoff;
    // A handoff that has an end is over.
    let status = if in_handoff && agent.ended_at.is_some() { Status::Ended } else { wire_status };
    let started_at = agent.started_at.or(wire.created_at);
    let by_duration = || after(started_at?, agent.duration?.value()?);
    let ended_at = match status {
        Status::Ended | Status::Failed => agent.ended_at.or_else(by_duration).or(wire.updated_at),
        // It is over if it has an end, whatever its name is.
        Status::Unknown => agent.ended_at,
        Status::Handoff | Status::Running | Status::Waiting => None,
    };
    let handoff = Handoff {
        // The association may be updated after the end, the handoff was before it.
        at: wire.updated_at.into_iter().chain(agent.ended_at).min(),
        source: HandoffSource::Unknown,
        // The text goes no further than this.
        reason: HandoffReason::of(wire.handoff_reason.as_deref(), reasons),
    };
    Execution {
        id: agent.id.unwrap_or(wire.id).as_str().into(),
        workflow: agent.agent_id.map(|id| Workflow { id: id.as_str().into(), name: None }),
        conversation: None,
        status,
        started_at,
        last_event_at: wire.updated_at,
        ended_at,
        handoff: in_handoff.then_some(handoff),
        step: None,
    }
}

fn after(start: Timestamp, seconds: f64) -> Option<Timestamp> {
    start.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

fn status(wire: Option<&str>) -> Status {
    match wire {
        Some("started" | "running") => Status::Running,
        Some("paused" | "waiting") => Status::Waiting,
        Some("handoff") => Status::Handoff,
        Some("ended") => Status::Ended,
        Some("failed") => Status::Failed,
        _ => Status::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(agent_execution: &str) -> Execution {
        match item(agent_execution) {
            Item::Known(execution) | Item::Odd(execution, _) => execution,
            Item::NotYet(_) => panic!("an execution is there"),
        }
    }

    fn item(agent_execution: &str) -> Item<Execution> {
        let json = format!(
            r#"{{"id":"a1","active":true,"handoff_reason":"angry","created_at":"2025-12-05T17:00:00Z",
                "updated_at":"2025-12-05T18:00:00Z","agent_execution":{agent_execution}}}"#
        );
        associated(serde_json::from_str(&json).unwrap(), &[])
    }

    #[allow(clippy::unnecessary_wraps, reason = "reads like the field it is compared with")]
    fn at(time: &str) -> Option<Timestamp> {
        Some(time.parse().unwrap())
    }

    #[test]
    fn an_agent_execution_as_documented() {
        let expected = Execution {
            id: "execution-789ghi".into(),
            workflow: Some(Workflow { id: "agent-123abc".into(), name: None }),
            conversation: None,
            status: Status::Running,
            started_at: at("2025-12-05T17:00:01Z"),
            last_event_at: at("2025-12-05T18:00:00Z"),
            ended_at: None,
            handoff: None,
            step: None,
        };
        let json = r#"{"id":"execution-789ghi","agent_id":"agent-123abc","thread_id":"t","status":"started",
            "started_at":"2025-12-05T17:00:01Z","ended_at":null,"duration":123}"#;
        assert_eq!(read(json), expected);
    }

    #[test]
    fn a_handoff_is_open_until_it_has_an_end() {
        let open = read(r#"{"id":"e1","status":"handoff"}"#);
        let handoff = Handoff {
            at: at("2025-12-05T18:00:00Z"),
            source: HandoffSource::Unknown,
            reason: HandoffReason::Other,
        };
        assert_eq!(
            (open.status, open.handoff.as_ref(), open.ended_at),
            (Status::Handoff, Some(&handoff), None)
        );

        let over = read(r#"{"id":"e1","status":"handoff","ended_at":"2025-12-05T17:30:00Z"}"#);
        let handoff = open.handoff.map(|open| Handoff { at: at("2025-12-05T17:30:00Z"), ..open });
        assert_eq!(
            (over.status, over.handoff, over.ended_at),
            (Status::Ended, handoff, at("2025-12-05T17:30:00Z"))
        );
    }

    #[test]
    fn duration_counts_only_where_the_end_is_missing() {
        let both = r#"{"status":"ended","started_at":"2025-12-05T17:00:00Z","ended_at":"2025-12-05T17:00:09Z","duration":5}"#;
        assert_eq!(read(both).duration(), Some(9.0));
        let text = r#"{"status":"ended","started_at":"2025-12-05T17:00:00Z","duration":"5"}"#;
        assert_eq!(read(text).duration(), Some(5.0));
        let neither = r#"{"status":"ended","started_at":"2025-12-05T17:00:00Z","duration":"soon"}"#;
        assert_eq!(read(neither).duration(), Some(3600.0), "the last update stands in");
    }

    #[test]
    fn an_association_without_its_execution_is_nothing_yet() {
        for nothing in ["null", "{}", r#"{"id":null,"status":null,"agent_id":"a"}"#] {
            assert_eq!(item(nothing), Item::NotYet(at("2025-12-05T17:00:00Z")), "{nothing}");
        }
    }

    #[test]
    fn in_an_unknown_status_only_an_end_that_is_told_is_one() {
        let over = r#"{"id":"e1","status":"cancelled","ended_at":"2025-12-05T17:30:00Z","duration":5}"#;
        assert_eq!((read(over).status, read(over).ended_at), (Status::Unknown, at("2025-12-05T17:30:00Z")));
        let open = r#"{"id":"e1","status":"cancelled","duration":5}"#;
        assert_eq!(read(open).ended_at, None);
        assert!(matches!(item(open), Item::Odd(_, name) if name == "cancelled"));
    }
}
