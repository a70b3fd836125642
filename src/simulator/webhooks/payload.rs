//! The bodies of deliveries.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    delivery::Kind,
    incident::{FAILURE, Place, WebhookEvent},
};
use crate::simulator::{
    random::{hash, uuid},
    times::wire,
    world::World,
};

/// What else Kapso may send. Message events belong to webhooks of another kind, but carry the most personal
/// data; a project's own events go to project webhooks.
const UNKNOWN: [&str; 2] = ["whatsapp.message.received", "project.event"];

/// What tells of the incident. Fields that have no value are null.
pub fn incident(world: &World, place: Place) -> Option<Value> {
    let incident = world.incident(place)?;
    let id = incident.execution_id.as_str();
    let mut body = json!({
        "event": incident.event.name(),
        "occurred_at": wire(id, "occurred_at", incident.at),
        "project_id": uuid(world.seed, "project", 0),
        "workflow_id": incident.workflow_id,
        "workflow_execution_id": id,
        "status": incident.event.status(),
        "tracking_id": world.tracking_id(place.0),
        "channel": incident.conversation_id.is_some().then_some("whatsapp"),
        "whatsapp_conversation_id": incident.conversation_id,
    });
    if let Some(handoff) = incident.handoff {
        body["handoff"] = json!({"reason": handoff.reason, "source": handoff.source.name()});
    } else {
        let said = !hash(&[id, "error message"]).is_multiple_of(4);
        body["error"] = json!({"message": said.then_some(FAILURE)});
    }
    Some(body)
}

/// What somebody who tries the webhook out makes Kapso send: nothing in it exists.
pub fn test(variety: u64, at: Timestamp) -> (Kind, Value) {
    let event = if variety.is_multiple_of(2) { WebhookEvent::Handoff } else { WebhookEvent::Failed };
    let body = match variety % 3 {
        0 => json!({
            "event": event.name(), "occurred_at": null, "project_id": null, "workflow_id": null,
            "workflow_execution_id": null, "status": null, "tracking_id": null, "channel": null,
            "whatsapp_conversation_id": null, "handoff": null, "error": null,
        }),
        1 => json!({
            "event": event.name(), "occurred_at": at.to_string(), "project_id": 1, "workflow_id": 42,
            "workflow_execution_id": "exec_123", "status": event.status(), "test": true,
            "handoff": {"reason": "This is a test", "source": null}, "error": "This is a test",
        }),
        _ => json!({
            "event": event.name(), "occurred_at": at.to_string(), "project_id": "test",
            "workflow_id": "workflow-test", "workflow_execution_id": uuid(0, "nil", 0),
            "status": event.status(), "tracking_id": "test/../tracking", "channel": "whatsapp",
            "whatsapp_conversation_id": "00000000-0000-0000-0000-000000000000",
            "handoff": {"reason": null, "source": "agent_tool"}, "error": {"message": "This is a test"},
        }),
    };
    (Kind::Test(event), body)
}

/// An event that has nothing to do with executions.
pub fn unknown(variety: u64, at: Timestamp) -> (Kind, Value) {
    let name = UNKNOWN[usize::from(variety.is_multiple_of(3))];
    let person = json!({"contact_name": "Ada Zebulon", "phone_number": "+15550000001"});
    let body = match name {
        "project.event" => json!({
            "event": name, "occurred_at": at.to_string(), "id": uuid(0, "event", 0), "name": "lead.qualified",
            "properties": {"note": "Loves marzipan", "contact": person},
        }),
        _ => json!({
            "message": {
                "id": "wamid.111", "timestamp": at.as_second().to_string(), "type": "text",
                "from": "15550000001", "text": {"body": "Do you still have marzipan?"},
                "kapso": {"direction": "inbound", "status": "received"},
            },
            "conversation": {"id": uuid(0, "conversation", 0), "status": "active", "kapso": person},
            "is_new_conversation": false,
            "phone_number_id": "100000000000001",
        }),
    };
    (Kind::Unknown(name), body)
}

/// Several bodies in one, as Kapso's documentation shows it for buffered events
/// (docs.kapso.ai/docs/platform/webhooks/advanced, "Batched webhook format": `type`, `batch`, `data`). That
/// page knows batches of message events alone, and public clients have seen `batch_info`, whose fields vary.
pub fn batch(event: &str, bodies: &[Value]) -> Value {
    json!({
        "type": event,
        "batch": true,
        "batch_info": {"size": bodies.len(), "window_ms": 1000},
        "data": bodies,
    })
}
