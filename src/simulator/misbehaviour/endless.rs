//! A list without an end: behind its last page come made-up executions, page after page.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::simulator::{Api, answer::Answer, random::uuid, world::World};

const CURSOR: &str = "endless-";
/// Made-up executions ended so long before now.
const AGE: SignedDuration = SignedDuration::from_hours(24 * 60);

/// The number of the made-up page that a cursor leads to.
pub fn page_of(cursor: &str) -> Option<usize> {
    cursor.strip_prefix(CURSOR)?.parse().ok()
}

/// Lets the last page of a list lead on.
pub fn lead_on(body: &mut Value) {
    let Some(paging) = body.get_mut("paging") else {
        return;
    };
    if paging["next"].is_null() {
        paging["next"] = format!("{CURSOR}1").into();
    }
}

/// A page of made-up executions of this conversation or workflow.
pub fn page(world: &World, owner: &str, number: usize, size: usize, now: Timestamp) -> Answer {
    let workflow = workflow(world, owner);
    let items = (0..size).map(|place| item(owner, &workflow, number.saturating_mul(size) + place, now));
    let (before, after) = (format!("{CURSOR}{number}"), format!("{CURSOR}{}", number + 1));
    Answer::ok(json!({
        "data": items.collect::<Vec<_>>(),
        "paging": {"cursors": {"before": before, "after": after}, "next": after, "previous": before},
    }))
}

/// The workflow that is named, or the first one.
fn workflow(world: &World, owner: &str) -> Value {
    let row = world.workflow_row(Api::Platform, owner);
    let row = row.or_else(|| world.present_workflows(Api::Platform).first().copied());
    row.map_or(Value::Null, |row| {
        let workflow = &world.workflows[row];
        json!({"id": workflow.id, "name": workflow.name, "status": "active"})
    })
}

fn item(owner: &str, workflow: &Value, serial: usize, now: Timestamp) -> Value {
    let age = SignedDuration::from_secs(i64::try_from(serial).unwrap_or(i64::MAX / 2));
    let at = now.saturating_sub(AGE).and_then(|at| at.saturating_sub(age)).unwrap_or(Timestamp::MIN);
    json!({
        "id": uuid(0, owner, serial),
        "status": "ended",
        "started_at": at.to_string(),
        "last_event_at": at.to_string(),
        "ended_at": at.to_string(),
        "workflow": workflow,
    })
}
