#![allow(clippy::unwrap_used)]

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::simulator::{
    Api, Ids, Scenario, Traffic,
    testing::{Reply, get, noon, simulator},
};

const CONVERSATIONS: &str = "/platform/v1/whatsapp/conversations";
const EXECUTIONS: &str = "/platform/v1/workflows/flow_1/executions?limit=100";
const DAY: Duration = Duration::from_hours(24);

/// An execution of the first workflow in the first conversation, and the list of the latter.
fn one(simulator: &Simulator) -> (String, String) {
    let conversation = simulator.conversation_ids(Api::Platform).remove(0);
    let id = simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
    (id, format!("{CONVERSATIONS}/{conversation}/flow_executions?limit=100"))
}

async fn statuses(simulator: &Simulator, path: &str, times: usize) -> Vec<u16> {
    let mut all = Vec::new();
    for _ in 0..times {
        all.push(get(simulator, path).await.status);
    }
    all
}

fn status(reply: &Reply) -> &str {
    reply.body["data"][0]["status"].as_str().unwrap()
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn lists_lie_by_turns_and_the_tally_stays() {
    let simulator = simulator(Scenario::quiet(1));
    let (_, path) = one(&simulator);
    let truth = simulator.tally(noon(), DAY);
    let lie = |untruth, one_in| Lie { about: Subject::FlowExecutions, untruth, one_in };
    let lies = |lie| Misbehaviour { lies: vec![lie], ..Misbehaviour::default() };
    simulator.misbehave(lies(lie(Untruth::NotFound, 2)));
    assert_eq!(statuses(&simulator, &path, 4).await, [200, 404, 200, 404]);
    simulator.misbehave(lies(lie(Untruth::Empty, 1)));
    let empty = get(&simulator, &path).await;
    assert_eq!((empty.status, empty.ids().len(), empty.next()), (200, 0, None));
    assert_eq!(get(&simulator, EXECUTIONS).await.ids().len(), 1);
    assert_eq!(simulator.tally(noon(), DAY), truth);
    simulator.behave();
    assert_eq!(get(&simulator, &path).await.ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_shows_the_world_as_it_was() {
    let simulator = simulator(Scenario::quiet(1));
    seconds(60).await;
    let (id, path) = one(&simulator);
    seconds(10).await;
    simulator.transition(&id, "handoff").unwrap();
    let lag = Some(Lag { behind: Duration::from_secs(5), one_in: 2 });
    simulator.misbehave(Misbehaviour { lag, ..Misbehaviour::default() });
    let (current, behind) = (get(&simulator, &path).await, get(&simulator, &path).await);
    assert_eq!((status(&current), status(&behind)), ("handoff", "running"));
    let event = |reply: &Reply| -> jiff::Timestamp {
        reply.body["data"][0]["last_event_at"].as_str().unwrap().parse().unwrap()
    };
    assert_eq!(event(&current).duration_since(event(&behind)), SignedDuration::from_secs(10));
    seconds(5).await;
    let (_, behind) = (get(&simulator, &path).await, get(&simulator, &path).await);
    assert_eq!(status(&behind), "handoff");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_knows_neither_the_new_nor_who_was_active() {
    let simulator = simulator(Scenario::quiet(1));
    seconds(60).await;
    let list = format!("{CONVERSATIONS}?limit=100");
    let before = get(&simulator, &list).await;
    let (id, path) = one(&simulator);
    let new = simulator.add_conversation(Api::Platform);
    let lag = Some(Lag { behind: Duration::from_secs(5), one_in: 1 });
    seconds(1).await;
    simulator.misbehave(Misbehaviour { lag, ..Misbehaviour::default() });
    assert_eq!(get(&simulator, &list).await.body, before.body);
    assert_eq!(get(&simulator, &path).await.ids(), Vec::<String>::new());
    assert_eq!(get(&simulator, &format!("{CONVERSATIONS}/{new}/flow_executions")).await.status, 404);
    assert_eq!(get(&simulator, &format!("/platform/v1/workflow_executions/{id}")).await.status, 404);
    assert_eq!(get(&simulator, "/platform/v1/workflows").await.body["data"][0]["execution_count"], 0);
}

#[tokio::test(start_paused = true)]
async fn broken_lists_fail_for_good_and_the_others_are_well() {
    let simulator = simulator(Scenario::quiet(1));
    let ids = simulator.conversation_ids(Api::Platform);
    let breakages = [Breakage::ServerError, Breakage::Forbidden];
    let broken = ids.iter().cloned().zip(breakages).chain([("flow_1".to_owned(), Breakage::Hangs)]);
    simulator.misbehave(Misbehaviour { broken: broken.collect(), ..Misbehaviour::default() });
    for (id, expected) in ids.iter().zip([500, 403, 200]) {
        let path = format!("{CONVERSATIONS}/{id}/flow_executions?limit=100");
        assert_eq!(get(&simulator, &path).await.status, expected);
    }
    let hour = Duration::from_hours(1);
    assert!(tokio::time::timeout(hour, get(&simulator, EXECUTIONS)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_leads_on_with_fresh_items() {
    let simulator = simulator(Scenario::quiet(1));
    let (id, _) = one(&simulator);
    let endless = Some("flow_1".to_owned());
    simulator.misbehave(Misbehaviour { endless, ..Misbehaviour::default() });
    let mut page = get(&simulator, EXECUTIONS).await;
    assert_eq!(page.ids(), [id]);
    let mut seen = page.ids();
    for _ in 0..5 {
        page = get(&simulator, &format!("{EXECUTIONS}&after={}", page.next().unwrap())).await;
        seen.extend(page.ids());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 501);
}

#[tokio::test(start_paused = true)]
async fn one_page_of_the_conversations_fails_and_cursors_expire() {
    let simulator = simulator(Scenario { conversations: 9, ..Scenario::quiet(1) });
    let list = format!("{CONVERSATIONS}?limit=3");
    let first = get(&simulator, &list).await;
    let second = format!("{list}&after={}", first.next().unwrap());
    let failing = get(&simulator, &second).await.ids().remove(1);
    simulator.misbehave(Misbehaviour { failing_page_of: Some(failing), ..Misbehaviour::default() });
    assert_eq!(statuses(&simulator, &list, 1).await, [200]);
    assert_eq!(statuses(&simulator, &second, 2).await, [500, 500]);
    let cursor_lifetime = Some(Duration::from_secs(8));
    simulator.misbehave(Misbehaviour { cursor_lifetime, ..Misbehaviour::default() });
    get(&simulator, &list).await;
    seconds(8).await;
    assert_eq!(get(&simulator, &second).await.status, 200);
    seconds(1).await;
    assert_eq!(get(&simulator, &second).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn lists_disagree_about_executions_names_and_activity() {
    let simulator = simulator(Scenario::quiet(1));
    let (id, path) = one(&simulator);
    let disagreement = Disagreement {
        hidden_percent: 100,
        without_activity_percent: 100,
        conversation_ids: ConversationIds::Omitted,
        names: Names::Alternating,
    };
    simulator.misbehave(Misbehaviour { disagreement, ..Misbehaviour::default() });
    assert!(get(&simulator, &path).await.ids().is_empty());
    let (first, second) = (get(&simulator, EXECUTIONS).await, get(&simulator, EXECUTIONS).await);
    assert_eq!(first.ids(), [id]);
    let item = &first.body["data"][0];
    assert_eq!(item.get("whatsapp_conversation_id"), None);
    assert_ne!(item["workflow"]["name"], second.body["data"][0]["workflow"]["name"]);
    let all = get(&simulator, &format!("{CONVERSATIONS}?limit=100")).await;
    assert_eq!((all.ids().len(), all.body["data"][0].get("last_active_at")), (3, None));
    let filtered = format!("{CONVERSATIONS}?limit=100&last_active_after=2020-01-01T00:00:00Z");
    assert!(get(&simulator, &filtered).await.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lists_are_capped_or_tell_no_totals_and_times_cannot_be() {
    let simulator = simulator(Scenario { history: 30, ..Scenario::quiet(1) });
    let odd_times = Some(OddTimes { what: OddTime::EndIn2200, percent: 100 });
    simulator.misbehave(Misbehaviour { odd_times, capped_at: Some(5), ..Misbehaviour::default() });
    let page = get(&simulator, EXECUTIONS).await;
    assert_eq!((page.ids().len(), page.body.get("paging")), (5, None));
    assert_eq!(page.body["data"][0]["ended_at"], "2200-01-01T00:00:00Z");
    let limits_told = Some([100, 200]);
    simulator.misbehave(Misbehaviour { totals: Totals::Missing, limits_told, ..Misbehaviour::default() });
    let legacy = "/api/v1/whatsapp_conversations?page=1&per_page=2";
    let (page, next) = (get(&simulator, legacy).await, get(&simulator, legacy).await);
    assert_eq!(page.body["meta"], serde_json::json!({"page": 1, "per_page": 2}));
    let limits = [&page, &next].map(|reply| reply.header("x-ratelimit-limit"));
    assert_eq!(limits, ["200", "100"]);
}

#[tokio::test(start_paused = true)]
async fn a_legacy_association_may_come_before_its_agent_execution() {
    let simulator = simulator(Scenario::quiet(1));
    let conversation = simulator.conversation_ids(Api::Legacy).remove(0);
    let id = simulator.start(Api::Legacy, "agent-sales", Some(&conversation)).unwrap();
    let associated_after = Duration::from_secs(3);
    simulator.misbehave(Misbehaviour { associated_after, ..Misbehaviour::default() });
    let path = format!("/api/v1/whatsapp_conversations/{conversation}/agent_executions?per_page=100");
    let early = get(&simulator, &path).await;
    assert_eq!((early.ids().len(), &early.body["data"][0]["agent_execution"]), (1, &serde_json::Value::Null));
    seconds(3).await;
    assert_eq!(get(&simulator, &path).await.body["data"][0]["agent_execution"]["id"], id);
}

#[tokio::test(start_paused = true)]
async fn hostile_ids_are_found_under_their_encoded_paths() {
    let simulator = simulator(Scenario { ids: Ids::Hostile, conversations: 20, ..Scenario::quiet(1) });
    let workflow = simulator.workflow_ids(Api::Platform).remove(0);
    assert_eq!(workflow, "..");
    let encoded =
        |id: &str| -> String { id.bytes().fold(String::new(), |path, byte| format!("{path}%{byte:02X}")) };
    for conversation in simulator.conversation_ids(Api::Platform) {
        let id = simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
        let path = format!("{CONVERSATIONS}/{}/flow_executions", encoded(&conversation));
        assert_eq!(get(&simulator, &path).await.ids(), [id]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_in_an_unknown_status_is_shown_for_the_lookback_and_no_outcome() {
    let simulator = simulator(Scenario::quiet(1));
    let (id, _) = one(&simulator);
    simulator.end_as(&id, "evaporated").unwrap();
    let tally = |lookback| simulator.tally(noon(), lookback).workflows.remove(0);
    assert_eq!((tally(DAY).executions["unknown"], tally(DAY).ended, tally(DAY).failed), (1, 0, 0));
    assert!(tally(DAY).oldest_start.is_empty());
    seconds(60).await;
    assert_eq!(tally(Duration::from_mins(1)).executions["unknown"], 0);
    assert!(get(&simulator, EXECUTIONS).await.body["data"][0]["ended_at"].is_string());
}

#[tokio::test(start_paused = true)]
async fn traffic_resumes_what_was_over_and_erases_contacts() {
    let traffic = Traffic {
        starts_per_minute: 6.0,
        dwell: Duration::from_secs(1)..Duration::from_secs(5),
        resumed_ratio: 1.0,
        resumed_after: Duration::from_mins(1)..Duration::from_secs(90),
        conversation_changes_per_minute: 1.0,
        erasures: 1.0,
        ..Traffic::default()
    };
    let simulator = simulator(Scenario { traffic, conversations: 30, ..Scenario::quiet(1) });
    seconds(600).await;
    assert!(simulator.conversation_ids(Api::Platform).len() < 30);
    let resumed = simulator.with(|state, _| {
        let platform = state.world.executions.iter().filter(|execution| execution.api == Api::Platform);
        platform.filter(|execution| execution.history.iter().filter(|entry| entry.ends).count() > 1).count()
    });
    assert!(resumed > 5, "{resumed}");
}
