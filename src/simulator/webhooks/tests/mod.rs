//! What deliveries hold, and when they come.
#![allow(clippy::unwrap_used)]

mod conduct;

mod retries;
mod wire;

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{delivery::signature, *};
use crate::simulator::{
    Api, Scenario, Traffic,
    testing::{get, noon, simulator},
};

const SECRET: &str = "webhook-secret";
const HANDOFF: &str = "workflow.execution.handoff";

fn webhook(conduct: Conduct) -> Webhook {
    Webhook { secret: SECRET.to_owned(), conduct, ..Webhook::default() }
}

/// A quiet world with a webhook.
fn quiet(conduct: Conduct) -> Simulator {
    let simulator = simulator(Scenario::quiet(1));
    simulator.set_webhook(Some(webhook(conduct)));
    simulator
}

/// A conduct without any latency.
fn prompt() -> Conduct {
    Conduct { latency: (Duration::ZERO, Duration::ZERO), ..Conduct::default() }
}

/// An execution in handoff, since now; its id.
fn hand_off(simulator: &Simulator) -> String {
    let id = simulator.start(Api::Platform, "flow_1", None).unwrap();
    simulator.transition(&id, "handoff").unwrap();
    id
}

fn body(attempt: &Attempt) -> Value {
    serde_json::from_slice(&attempt.body).unwrap()
}

fn execution_of(attempt: &Attempt) -> String {
    body(attempt)["workflow_execution_id"].as_str().unwrap_or_default().to_owned()
}

fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Takes all that comes within `minutes` at its time, and answers it well.
async fn take_well(simulator: &Simulator, minutes: u64) -> Vec<Attempt> {
    let mut all = Vec::new();
    for _ in 0..minutes * 60 {
        pass(1).await;
        for attempt in simulator.take_deliveries() {
            simulator.answered(attempt.id, Answer::Ok);
            all.push(attempt);
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_handoff_is_told_with_what_the_lists_show_of_it() {
    let simulator = quiet(prompt());
    let conversation = simulator.conversation_ids(Api::Platform).remove(0);
    let id = simulator.start(Api::Platform, "flow_2", Some(&conversation)).unwrap();
    assert_eq!(simulator.take_deliveries(), []);
    tokio::time::sleep(Duration::from_millis(1234)).await;
    simulator.transition(&id, "handoff").unwrap();
    let attempts = simulator.take_deliveries();
    let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!(attempt.header("x-webhook-event"), HANDOFF);
    assert_eq!(attempt.header("content-type"), "application/json");
    assert_eq!(attempt.header("x-webhook-payload-version"), "v2");
    assert_eq!(attempt.header("x-webhook-signature"), signature(SECRET, &attempt.body));
    assert_eq!((attempt.header("x-idempotency-key").len(), attempt.header("x-webhook-batch")), (36, ""));
    let detail = get(&simulator, &format!("/platform/v1/workflow_executions/{id}")).await;
    let (body, detail) = (body(attempt), &detail.body["data"]);
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time(&body["occurred_at"]), time(&detail["last_event_at"]));
    assert_eq!(time(&body["occurred_at"]), noon() + SignedDuration::from_millis(1234));
    assert_eq!(body["workflow_execution_id"], id);
    assert_eq!((&body["workflow_id"], &body["status"]), (&json!("flow_2"), &json!("handoff")));
    assert_eq!(body["tracking_id"], detail.get("tracking_id").cloned().unwrap_or_default());
    assert_eq!(body["whatsapp_conversation_id"], conversation.as_str());
    assert_eq!(body["channel"], "whatsapp");
    assert_eq!(body["handoff"], detail["events"][1]["payload"]);
    assert_eq!(body.get("error"), None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_nothing_else() {
    let simulator = quiet(prompt());
    let id = simulator.start(Api::Platform, "flow_1", None).unwrap();
    for status in ["waiting", "running", "failed", "failed"] {
        simulator.transition(&id, status).unwrap();
    }
    let ended = simulator.start(Api::Platform, "flow_1", None).unwrap();
    simulator.transition(&ended, "ended").unwrap();
    let attempts = simulator.take_deliveries();
    let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!(attempt.header("x-webhook-event"), "workflow.execution.failed");
    let body = body(attempt);
    assert_eq!((&body["status"], &body["whatsapp_conversation_id"]), (&json!("failed"), &Value::Null));
    assert!(body["error"].as_object().unwrap().contains_key("message"));
    assert_eq!(body.get("handoff"), None);
}

#[tokio::test(start_paused = true)]
async fn legacy_agents_are_not_told_of() {
    let simulator = quiet(prompt());
    let conversation = simulator.conversation_ids(Api::Legacy).remove(0);
    let id = simulator.start(Api::Legacy, "agent-sales", Some(&conversation)).unwrap();
    simulator.transition(&id, "handoff").unwrap();
    simulator.end_as(&id, "failed").unwrap();
    assert_eq!((simulator.take_deliveries(), simulator.next_delivery()), (Vec::new(), None));
    assert_eq!(simulator.incidents(), []);
}

#[tokio::test(start_paused = true)]
async fn what_happens_without_a_webhook_is_never_told() {
    let simulator = simulator(Scenario::quiet(1));
    hand_off(&simulator);
    assert_eq!(simulator.webhook_status(), WebhookStatus::Absent);
    simulator.set_webhook(Some(webhook(prompt())));
    assert_eq!(simulator.webhook_status(), WebhookStatus::Active);
    let id = hand_off(&simulator);
    let told: Vec<String> = simulator.take_deliveries().iter().map(execution_of).collect();
    assert_eq!(told, [id]);
    hand_off(&simulator);
    simulator.set_webhook(None);
    pass(60).await;
    assert_eq!((simulator.take_deliveries(), simulator.next_delivery()), (Vec::new(), None));
    let counts = simulator.delivery_tally().events[HANDOFF];
    assert_eq!(counts, DeliveryCounts { queued: 2, lost: 0, sent: 1, answered: 0, given_up: 2 });
    assert_eq!(simulator.incidents().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn everything_that_the_traffic_does_is_told_however_seldom_one_looks() {
    let traffic = Traffic { starts_per_minute: 30.0, handoff_ratio: 0.6, ..Traffic::lively() };
    let lively = || {
        let simulator = simulator(Scenario { traffic: traffic.clone(), ..Scenario::demo(5) });
        simulator.set_webhook(Some(webhook(Conduct::default())));
        simulator
    };
    let (often, once) = (lively(), lively());
    let seen = take_well(&often, 20).await;
    // Answers would come too late where nobody looks: what is due is the same all the same.
    let at_once = once.take_deliveries();
    let what = |attempts: &[Attempt]| -> BTreeSet<(String, Vec<u8>)> {
        let pair = |attempt: &Attempt| (attempt.header("x-idempotency-key").to_owned(), attempt.body.clone());
        attempts.iter().map(pair).collect()
    };
    assert_eq!(what(&seen), what(&at_once));
    let tally = often.delivery_tally();
    let handoffs = often.tally(noon(), Duration::ZERO).workflows;
    let handoffs: u64 = handoffs.iter().filter(|one| one.api == Api::Platform).map(|one| one.handoffs).sum();
    assert!(handoffs > 100);
    assert_eq!(tally.events[HANDOFF].queued, handoffs);
    assert_eq!(tally.handoffs_by_reason.values().sum::<u64>(), tally.events[HANDOFF].answered);
    assert!(tally.handoffs_by_reason.len() > 10);
    let incidents = often.incidents();
    let since = |event| incidents.iter().filter(|i| i.event == event && i.at >= noon()).count() as u64;
    assert_eq!(since(WebhookEvent::Handoff), handoffs);
    assert_eq!(since(WebhookEvent::Failed), tally.events["workflow.execution.failed"].queued);
    let told = incidents.iter().filter(|incident| incident.told_at.is_some()).count();
    assert_eq!(told, seen.len());
    assert!(incidents.iter().all(|one| one.told_at.is_none_or(|told| told > one.at)));
}

#[tokio::test(start_paused = true)]
async fn a_world_is_the_same_with_a_webhook() {
    let plain = simulator(Scenario::demo(3));
    let watched = simulator(Scenario::demo(3));
    let all = Conduct {
        lost: 0.3,
        repeated: 0.3,
        disorder: 0.3,
        tests: 0.3,
        unknown: 0.3,
        batch: Some(3),
        ..Conduct::default()
    };
    watched.set_webhook(Some(webhook(all)));
    take_well(&watched, 10).await;
    let lookback = Duration::from_hours(1);
    assert_eq!(watched.tally(noon(), lookback), plain.tally(noon(), lookback));
}
