//! The legacy API's endpoints, and its objects as JSON.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Api,
    answer::Answer,
    execution::Execution,
    paging::{List, numbered_window},
    query::Params,
    random::{hash, uuid},
    times::wire,
    view::View,
    world::Row,
};

type Outcome = Result<Answer, Answer>;

/// `GET /whatsapp_conversations`
pub fn conversations(view: &View<'_>, params: &Params) -> Outcome {
    let window = numbered_window(params)?;
    let status = params.get("q[status_eq]");
    let active = params.range("q[last_active_at_gteq]", "q[last_active_at_lteq]")?;
    let matches = |row: Row| {
        let standing = view.standing(row);
        status.is_none_or(|status| status == standing.status())
            && (active.is_unbounded() || view.tells_activity(row))
            && active.contains(standing.last_active_at)
    };
    let keys = &view.by_activity(Api::Legacy);
    let render = |row| conversation_item(view, row);
    Ok(Answer::ok(List { name: "conversations", keys, matches: &matches, render: &render }.page(window)))
}

/// `GET /whatsapp_conversations/{id}/agent_executions`
pub fn agent_executions(view: &View<'_>, params: &Params, id: &str) -> Outcome {
    let not_found = || Answer::error(StatusCode::NOT_FOUND, "Conversation not found");
    let row = view.conversation_row(Api::Legacy, id).ok_or_else(not_found)?;
    let window = numbered_window(params)?;
    let matches = |row: Row| view.is_listed(row);
    let keys = &view.world.conversations[row].executions;
    let render = |row| view.edits.apply(row, association_item(view, row));
    Ok(Answer::ok(List { name: "agent_executions", keys, matches: &matches, render: &render }.page(window)))
}

fn conversation_item(view: &View<'_>, row: Row) -> Value {
    let (conversation, standing) = (&view.world.conversations[row], view.standing(row));
    let person = &view.world.people[conversation.person];
    let active = wire(&conversation.id, "last_active_at", standing.last_active_at);
    json!({
        "id": conversation.id,
        "phone_number": person.phone,
        "status": standing.status(),
        "last_active_at": view.tells_activity(row).then_some(active),
        "contact_name": person.name,
    })
}

fn association_item(view: &View<'_>, row: Row) -> Value {
    let execution = &*view.execution(row);
    let id = uuid(view.world.seed, "association", row);
    let reason = execution.handoffs().next().map(|_| "Asked for a person, because of the marzipan");
    json!({
        "id": id,
        "active": execution.ended_at().is_none(),
        "handoff_reason": reason,
        "created_at": wire(&id, "created_at", execution.started_at),
        "updated_at": wire(&id, "updated_at", execution.last_event_at),
        "agent_execution": view.is_associated(execution).then(|| agent_execution(view, execution, row)),
    })
}

fn agent_execution(view: &View<'_>, execution: &Execution, row: Row) -> Value {
    let id = execution.id.as_str();
    json!({
        "id": id,
        "agent_id": view.world.workflows[execution.workflow].id,
        "thread_id": uuid(view.world.seed, "thread", row),
        "status": execution.status(),
        "started_at": wire(id, "started_at", execution.started_at),
        "ended_at": execution.ended_at().map(|at| wire(id, "ended_at", at)),
        "duration": execution.ended_at().map(|at| duration(execution, at)),
    })
}

/// Whole seconds, for some executions as a string.
fn duration(execution: &Execution, ended_at: Timestamp) -> Value {
    let seconds = ended_at.duration_since(execution.started_at).as_secs();
    let as_text = hash(&[&execution.id, "duration"]).is_multiple_of(5);
    if as_text { Value::from(seconds.to_string()) } else { Value::from(seconds) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulator::{
        Scenario,
        testing::{get, simulator},
    };

    #[tokio::test(start_paused = true)]
    async fn conversations_are_numbered_and_filtered_with_encoded_brackets_or_plain_ones() {
        let simulator = simulator(Scenario { conversations: 30, ..Scenario::quiet(2) });
        let page = get(&simulator, "/api/v1/whatsapp_conversations?page=2&per_page=25").await;
        assert_eq!(page.ids().len(), 5);
        assert_eq!(
            page.body["meta"],
            json!({"page": 2, "per_page": 25, "total_pages": 2, "total_count": 30})
        );
        for query in ["q[status_eq]=ended", "q%5Bstatus_eq%5D=ended"] {
            let page = get(&simulator, &format!("/api/v1/whatsapp_conversations?per_page=100&{query}")).await;
            assert_eq!(page.ids().len(), 10);
        }
        let recent = "/api/v1/whatsapp_conversations?q%5Blast_active_at_gteq%5D=2026-11-02T12:00:00Z";
        assert_eq!(get(&simulator, recent).await.ids().len(), 0);
        let first = simulator.conversation_ids(Api::Legacy).remove(0);
        simulator.message(Api::Legacy, &first).unwrap();
        assert_eq!(get(&simulator, recent).await.ids(), [first]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handoff_ends_as_a_handoff_with_an_end_time() {
        let simulator = simulator(Scenario::quiet(2));
        let conversation = simulator.conversation_ids(Api::Legacy).remove(0);
        let id = simulator.start(Api::Legacy, "agent-sales", Some(&conversation)).unwrap();
        let path = format!("/api/v1/whatsapp_conversations/{conversation}/agent_executions?per_page=100");
        tokio::time::sleep(Duration::from_secs(90)).await;
        simulator.transition(&id, "handoff").unwrap();
        let item = get(&simulator, &path).await.body["data"][0].clone();
        assert_eq!((&item["active"], &item["agent_execution"]["ended_at"]), (&json!(true), &Value::Null));
        assert!(item["handoff_reason"].as_str().unwrap().contains("marzipan"));
        tokio::time::sleep(Duration::from_millis(30_250)).await;
        simulator.finish_handoff(&id).unwrap();
        let item = get(&simulator, &path).await.body["data"][0].clone();
        let execution = &item["agent_execution"];
        assert_eq!((&execution["id"], &execution["status"]), (&json!(id), &json!("handoff")));
        let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(time(&execution["ended_at"]), time(&item["updated_at"]));
        let took = time(&execution["ended_at"]).duration_since(time(&execution["started_at"]));
        assert_eq!(took.as_millis(), 120_250);
        let duration = &execution["duration"];
        assert!(*duration == json!(120) || *duration == json!("120"));
    }
}
