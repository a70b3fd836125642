//! The platform's objects as JSON, with the variety that clients must put up with.

use serde_json::{Value, json};

use super::{
    conversation::Standing,
    execution::Execution,
    random::{choose, hash, uuid},
    times::wire,
    view::View,
    webhooks::{FAILURE, Handoff},
    world::{Row, World},
};

/// Step identifiers of the workflows, and the type of each.
const STEPS: [(&str, Option<&str>); 8] = [
    ("answer_customer", Some("FlowAgentStep")),
    ("classify_intent", Some("FlowDecideStep")),
    ("send_confirmation", Some("FlowActionStep")),
    ("look_up_order", Some("FlowActionStep")),
    ("collect_details", Some("FlowAgentStep")),
    ("check_opening_hours", Some("FlowDecideStep")),
    ("start", None),
    ("escalate", Some("FlowActionStep")),
];
const WAITS: [&str; 3] = ["wait_response", "wait_payment", "wait_one_hour"];
const WAITING_REASONS: [&str; 3] = ["wait_for_response", "timeout", "webhook"];

/// Leaves a field out or sets it to null where it has no value, as the API does by turns.
fn set_optional(item: &mut Value, id: &str, field: &str, value: Option<Value>) {
    if value.is_some() || hash(&[id, field, "null"]).is_multiple_of(2) {
        item[field] = value.unwrap_or(Value::Null);
    }
}

impl View<'_> {
    /// A list item of a conversation.
    pub fn conversation_item(&self, row: Row) -> Value {
        let conversation = &self.world.conversations[row];
        let standing = self.standing(row);
        let id = conversation.id.as_str();
        let person = &self.world.people[conversation.person];
        let phone = (!hash(&[id, "phone"]).is_multiple_of(20)).then_some(&person.phone);
        let metadata =
            choose(&[Value::Null, json!({}), json!({"note": "marzipan for tea"})], &[id, "metadata"]).clone();
        let mut item = json!({
            "id": id,
            "status": standing.status(),
            "created_at": wire(id, "created_at", conversation.created_at),
            "updated_at": wire(id, "updated_at", standing.updated_at),
            "phone_number": phone,
            "phone_number_id": conversation.phone_number_id(),
            "metadata": metadata,
        });
        let known = !hash(&[id, "kapso"]).is_multiple_of(10);
        set_optional(&mut item, id, "kapso", known.then(|| kapso(id, &standing, &person.name)));
        if self.tells_activity(row) {
            item["last_active_at"] = wire(id, "last_active_at", standing.last_active_at).into();
        }
        item
    }

    /// A list item of a workflow.
    pub fn workflow_item(&self, row: Row) -> Value {
        let workflow = &self.world.workflows[row];
        let id = workflow.id.as_str();
        let (count, last) = self.executions_of(workflow);
        let last = last.map(|at| Value::from(wire(id, "last_executed_at", at)));
        let mut item = json!({
            "id": id,
            "name": self.name(workflow),
            "description": null,
            "status": "active",
            "created_at": wire(id, "created_at", workflow.created_at),
            "updated_at": wire(id, "updated_at", workflow.updated_at),
            "execution_count": count,
        });
        set_optional(&mut item, id, "last_executed_at", last);
        item
    }

    /// A list item of a platform execution.
    pub fn execution_item(&self, row: Row) -> Value {
        self.edits.apply(row, self.summary(row))
    }

    fn summary(&self, row: Row) -> Value {
        let execution = &*self.execution(row);
        let id = execution.id.as_str();
        let workflow = &self.world.workflows[execution.workflow];
        let mut item = json!({
            "id": id,
            "status": execution.status(),
            "started_at": wire(id, "started_at", execution.started_at),
            "last_event_at": wire(id, "last_event_at", execution.last_event_at),
            "workflow": {"id": workflow.id, "name": self.name(workflow), "status": "active"},
        });
        let ended_at = execution.ended_at().map(|at| Value::from(wire(id, "ended_at", at)));
        set_optional(&mut item, id, "ended_at", ended_at);
        set_optional(&mut item, id, "tracking_id", self.world.tracking_id(row).map(Value::from));
        let conversation = execution.conversation.map(|row| &self.world.conversations[row]);
        let conversation = conversation.map(|conversation| Value::from(conversation.id.as_str()));
        set_optional(&mut item, id, "whatsapp_conversation_id", conversation);
        set_optional(&mut item, id, "current_step", current_step(execution));
        item
    }

    /// Everything about one platform execution.
    pub fn execution_detail(&self, row: Row) -> Value {
        let execution = &*self.execution(row);
        let mut detail = self.summary(row);
        detail["error_details"] = match execution.status() {
            "failed" => json!({"message": FAILURE}),
            _ => Value::Null,
        };
        let conversation = execution.conversation.map(|row| &self.world.conversations[row]);
        let person = conversation.map(|conversation| &self.world.people[conversation.person]);
        detail["execution_context"] = json!({
            "vars": {"last_user_input": "Do you still have marzipan?"},
            "system": {"trigger_type": "inbound_message"},
            "context": {"phone_number": person.map(|p| &p.phone), "contact_name": person.map(|p| &p.name)},
            "metadata": {},
        });
        let history = execution.history.iter().enumerate();
        detail["events"] = history.map(|(position, _)| event(self.world.seed, execution, position)).collect();
        self.edits.apply(row, detail)
    }
}

impl World {
    /// The id that whoever started a platform execution gave it, if anybody did.
    pub fn tracking_id(&self, row: Row) -> Option<String> {
        let tracked = hash(&[&self.executions[row].id, "tracked"]).is_multiple_of(3);
        tracked.then(|| uuid(self.seed, "tracking", row))
    }
}

fn kapso(id: &str, standing: &Standing, name: &str) -> Value {
    json!({
        "contact_name": name,
        "messages_count": standing.messages,
        "last_inbound_at": wire(id, "last_inbound_at", standing.last_active_at),
        "last_message_text": "Do you still have marzipan?",
    })
}

/// The reason why a waiting execution waits, for the list's filter alone: no list item shows it.
pub fn waiting_reason(execution: &Execution) -> Option<&'static str> {
    let waits = execution.status() == "waiting";
    waits.then(|| *choose(&WAITING_REASONS, &[&execution.id, &execution.history.len().to_string(), "reason"]))
}

fn current_step(execution: &Execution) -> Option<Value> {
    let id = execution.id.as_str();
    let turn = execution.history.len().to_string();
    let over = execution.ended_at().is_some() && !hash(&[id, "over"]).is_multiple_of(4);
    if over || hash(&[id, &turn, "step"]).is_multiple_of(12) {
        return None;
    }
    let (identifier, kind) = match execution.status() {
        "waiting" => (*choose(&WAITS, &[id, &turn]), Some("FlowWaitStep")),
        _ => *choose(&STEPS, &[id, &turn]),
    };
    let mut step = json!({"identifier": identifier, "stepable_type": kind, "position": {"x": 120, "y": 40}});
    let known = hash(&[id, "step id"]).is_multiple_of(2);
    set_optional(&mut step, id, "id", known.then(|| Value::from(uuid(0, identifier, execution.workflow))));
    Some(step)
}

fn event(seed: u64, execution: &Execution, position: usize) -> Value {
    let entry = &execution.history[position];
    let id = format!("{}-{position}", execution.id);
    let kind = if position == 0 { "started" } else { &*entry.status };
    let mut event = json!({
        "id": id,
        "event_type": kind,
        "created_at": wire(&id, "created_at", entry.at),
        "payload": {},
    });
    if entry.status == "handoff" {
        let handoff = Handoff::of(seed, execution, position);
        event["payload"] = json!({"source": handoff.source.name(), "reason": handoff.reason});
    }
    event
}
