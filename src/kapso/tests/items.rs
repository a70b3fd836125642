//! What is read of the items of an answer.

use super::*;
use crate::model::Flaws;

#[tokio::test(start_paused = true)]
async fn a_bad_item_is_counted_and_the_others_are_kept() {
    let body = r#"{"data":[{"id":"b"},{"no":"id"},7,{"id":"a","started_at":"never"},{"id":"c"}]}"#;
    let scene = scene(Api::Platform, [Say(200, &[], body)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "c"]);
    assert_eq!(*scene.failures.0.lock().unwrap(), [(Reason::Decode, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_time_that_cannot_be_is_counted_once_for_its_item() {
    let body = r#"{"data":[
        {"id":"a","status":"ended","started_at":"1970-01-01T00:00:00Z","last_event_at":"2026-11-22T09:00:00Z","ended_at":"9999-12-30T00:00:00Z"},
        {"id":"b","status":"ended","started_at":"2026-11-22T08:00:00Z","ended_at":"2026-11-22T09:00:00Z"}]}"#;
    let scene = scene(Api::Platform, [Say(200, &[], body)]);
    let page = scene.client.executions(&"c".into()).next().await.unwrap().unwrap();
    assert_eq!((page.items[0].started_at, page.items[0].ended_at), (None, page.items[0].last_event_at));
    assert!(page.items[0].ended_at.is_some() && page.items[1].ended_at.is_some());
    assert_eq!(page.flaws, Flaws::default(), "the items are there");
    assert_eq!(*scene.failures.0.lock().unwrap(), [(Reason::Time, 1)]);
}

#[tokio::test(start_paused = true)]
async fn times_are_possible_up_to_five_minutes_after_kapsos_clock() {
    let body = r#"{"data":[
        {"id":"a","started_at":"2026-11-22T12:04:59Z"},
        {"id":"b","started_at":"2026-11-22T12:05:02Z"}]}"#;
    let date = &[("date", "Sun, 22 Nov 2026 12:00:00 GMT")];
    let scene = scene(Api::Platform, [Say(200, date, body), Say(200, date, body)]);
    let page = scene.client.executions(&"c".into()).next().await.unwrap().unwrap();
    let started: Vec<_> = page.items.iter().map(|item| item.started_at.is_some()).collect();
    assert_eq!(started, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn without_kapsos_clock_ten_years_ahead_of_ours_are_possible() {
    let body = r#"{"data":[{"id":"a","started_at":"2036-11-01T00:00:00Z"},{"id":"b","started_at":"2037-01-01T00:00:00Z"}]}"#;
    let scene = scene(Api::Platform, [Say(200, &[], body)]);
    let page = scene.client.executions(&"c".into()).next().await.unwrap().unwrap();
    let started: Vec<_> = page.items.iter().map(|item| item.started_at.is_some()).collect();
    assert_eq!(started, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn times_of_conversations_workflows_and_single_executions_are_checked_too() {
    let conversation = r#"{"data":[{"id":"c","last_active_at":"2200-01-01T00:00:00Z"}]}"#;
    let workflow = r#"{"data":[{"id":"w","last_executed_at":"1970-01-01T00:00:00Z"}]}"#;
    let single = r#"{"id":"e","started_at":"1970-01-01T00:00:00Z"}"#;
    let scene = scene(Api::Platform, [conversation, workflow, single].map(|body| Say(200, &[], body)));
    let page = scene.client.conversations(None).next().await.unwrap().unwrap();
    assert_eq!(page.items[0].last_active_at, None);
    let page = scene.client.workflows().unwrap().next().await.unwrap().unwrap();
    assert_eq!(page.items[0].last_executed_at, None);
    let page = scene.client.workflow_execution(&"e".into()).await.unwrap();
    assert_eq!(page.items[0].started_at, None);
    assert_eq!(scene.reasons(), [Reason::Time; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_not_known_is_told_by_its_name() {
    let body = r#"{"data":[{"id":"a","status":"cancelled"},{"id":"b","status":"+1555 Ada"},{"id":"c"},{"id":"d","status":"ended"}]}"#;
    let single = r#"{"id":"e","status":"expired"}"#;
    let scene = scene(Api::Platform, [Say(200, &[], body), Say(200, &[], single)]);
    assert_eq!(scene.ids().await.unwrap(), ["a", "b", "c", "d"]);
    scene.client.workflow_execution(&"e".into()).await.unwrap();
    assert_eq!(*scene.failures.1.lock().unwrap(), ["cancelled", "other", "missing", "expired"]);
}

#[tokio::test(start_paused = true)]
async fn an_association_without_its_execution_is_pending_for_ten_minutes() {
    let body = r#"{"data":[
        {"id":"a1","created_at":"2026-11-22T09:50:01Z","agent_execution":null},
        {"id":"a2","created_at":"2026-11-22T09:50:00Z","agent_execution":null},
        {"id":"a3"},
        {"id":"a4","agent_execution":{"id":"e4","status":"running"}}]}"#;
    let scene = scene(Api::Legacy, [Say(200, &[], body)]);
    let page = scene.client.executions(&"c".into()).next().await.unwrap().unwrap();
    let ids: Vec<_> = page.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["e4"]);
    assert_eq!(page.flaws, Flaws { pending: 2, ..Flaws::default() });
    assert!(!page.is_clean());
    assert_eq!(scene.reasons(), []);
}
