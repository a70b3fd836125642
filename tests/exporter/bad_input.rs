//! What Kapso may do to us: keys that are refused, an API that is not there, answers that are odd. The loop goes
//! on, the metrics tell, and the log does not repeat itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{
    Timestamp,
    tz::{self, TimeZone},
};
use kapso_exporter::{
    model::Source,
    simulator::{Api, DEFAULT_KEY, Scenario},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Exporter, Kapso, Setup, Simulated, differences, wait_for, watch};

const EVERY_SECOND: &str = "--scrape.interval=1s";

/// Waits until so many sweeps were incomplete.
async fn incomplete_sweeps(exporter: &Exporter, count: f64) {
    wait_for("incomplete sweeps", async || {
        exporter.scrape().await.sum("kapso_exporter_sweeps_total", &[("result", "incomplete")]) >= count
    })
    .await;
}

#[tokio::test]
async fn a_refused_key_is_said_once_and_the_loop_goes_on() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched_with_key("wrong-key", &[EVERY_SECOND]).await;
    incomplete_sweeps(&exporter, 3.0).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(0.0));
    assert!(scrape.sum("kapso_exporter_errors_total", &[("reason", "unauthorized")]) >= 3.0);
    let log = exporter.log();
    assert_eq!(log.matches("Kapso refused the API key").count(), 1, "{log}");
    assert!(!log.contains("wrong-key"));

    kapso.simulator.set_key("wrong-key");
    wait_for("the key that is right now", async || {
        exporter.scrape().await.value("kapso_up", &[("api", "platform")]) == Some(1.0)
    })
    .await;
}

#[tokio::test]
async fn a_refused_key_costs_one_request_a_sweep() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched_with_key("wrong-key", &[EVERY_SECOND]).await;
    incomplete_sweeps(&exporter, 3.0).await;
    let scrape = exporter.scrape().await;
    let sweeps = scrape.sum("kapso_exporter_sweeps_total", &[]);
    let requests = scrape.sum("kapso_exporter_api_requests_total", &[]);
    assert!((sweeps..=sweeps + 1.0).contains(&requests), "{requests} requests in {sweeps} sweeps");
}

#[tokio::test]
async fn an_api_that_is_down_at_the_start_is_found_when_it_comes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let exporter = watch(port, DEFAULT_KEY, &[EVERY_SECOND]).await;
    assert_eq!(exporter.get("/-/healthy").await, (200, "healthy\n".into()));
    incomplete_sweeps(&exporter, 1.0).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(0.0));
    assert!(scrape.sum("kapso_exporter_errors_total", &[("reason", "connection")]) >= 1.0);

    let kapso = Kapso::start_on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), Scenario::quiet(1));
    wait_for("the API that came", async || {
        differences(&kapso.simulator, &exporter.scrape().await, &[Api::Platform]).is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_absent_legacy_api_is_a_notice_and_no_failure() {
    let kapso = Kapso::start(Scenario { legacy: false, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.source=agents,conversations"]).await.ready().await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("kapso_up", &[("api", "legacy")]), None);
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(1.0));
    assert_eq!(scrape.sum("kapso_exporter_sweeps_total", &[("api", "legacy"), ("result", "absent")]), 1.0);
    assert_eq!(exporter.log().matches("the legacy API is not there").count(), 1);
}

#[tokio::test]
async fn a_wrong_url_is_said_once() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let base = format!("{}/nowhere", kapso.platform_url());
    let exporter = kapso.watched(&[EVERY_SECOND, "--kapso.platform-url", &base]).await;
    incomplete_sweeps(&exporter, 2.0).await;
    assert_eq!(exporter.log().matches("there is no such API: check platform_url").count(), 1);
}

/// Runs one execution whose list item is altered, and returns the exposition once it was swept.
async fn swept_with(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> crate::support::Exposition {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let id = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.edit(&id, edit).unwrap();
    kapso.swept_twice(&exporter).await;
    exporter.scrape().await
}

#[tokio::test]
async fn an_unknown_status_is_open() {
    let scrape = swept_with(|item| item["status"] = json!("meditating")).await;
    assert_eq!(scrape.sum("kapso_executions", &[("status", "unknown")]), 1.0);
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0);
    assert_eq!(scrape.sum("kapso_executions_finished_total", &[]), 0.0);
    let named = [("api", "platform"), ("status", "meditating")];
    assert!(scrape.sum("kapso_exporter_unknown_statuses_total", &named) >= 1.0, "it is named");
}

#[tokio::test]
async fn an_execution_without_workflow_counts_under_unknown() {
    let scrape = swept_with(|item| item["workflow"] = Value::Null).await;
    let unknown = [("workflow_id", "unknown"), ("workflow_name", "unknown")];
    assert_eq!(scrape.sum("kapso_executions_started_total", &unknown), 1.0);
    assert_eq!(scrape.sum("kapso_executions", &unknown), 1.0);
}

#[tokio::test]
async fn an_id_and_nothing_else_is_an_open_execution() {
    let scrape = swept_with(|item| *item = json!({ "id": item["id"] })).await;
    assert_eq!(scrape.sum("kapso_executions", &[("status", "unknown")]), 1.0);
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0, "it was not there before");
}

#[tokio::test]
async fn a_finished_execution_without_times_counts_without_a_duration() {
    let scrape = swept_with(|item| *item = json!({ "id": item["id"], "status": "failed" })).await;
    assert_eq!(scrape.sum("kapso_executions_finished_total", &[("status", "failed")]), 1.0);
    assert_eq!(scrape.sum("kapso_execution_duration_seconds_count", &[]), 0.0);
}

#[tokio::test]
async fn timestamps_may_have_offsets_and_fractions() {
    // In a minute: after the watch began, and no further ahead of Kapso's clock than two machines may be.
    let minute = Timestamp::now().as_second() + 60;
    let written = move |microsecond: i64, hours: i8| {
        let at = Timestamp::from_microsecond(minute * 1_000_000 + microsecond).unwrap();
        let zoned = at.to_zoned(TimeZone::fixed(tz::offset(hours)));
        json!(zoned.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string())
    };
    let scrape = swept_with(move |item| {
        item["status"] = json!("ended");
        item["started_at"] = written(500_000, 2);
        item["last_event_at"] = json!(written(2_000_001, 0).as_str().unwrap().replace("+00:00", "Z"));
        item["ended_at"] = written(2_000_001, -5);
    })
    .await;
    let seconds = scrape.sum("kapso_execution_duration_seconds_sum", &[]);
    assert!((seconds - 1.500_001).abs() < 1e-9, "{seconds}");
}

#[tokio::test]
async fn a_time_that_cannot_be_is_counted_and_kept_out_of_every_sum() {
    let scrape = swept_with(|item| {
        item["status"] = json!("ended");
        item["ended_at"] = json!("2200-01-01T00:00:00Z");
    })
    .await;
    assert_eq!(scrape.sum("kapso_executions_finished_total", &[("status", "ended")]), 1.0, "the item counts");
    assert!(scrape.sum("kapso_execution_duration_seconds_sum", &[]) < 60.0);
    assert!(scrape.sum("kapso_exporter_errors_total", &[("reason", "time")]) >= 1.0);
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_counted_and_the_others_are_kept() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let odd = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    let spoilt = Arc::new(AtomicBool::new(true));
    let still = spoilt.clone();
    let edit = move |item: &mut Value| {
        if still.load(Ordering::Relaxed) {
            item["started_at"] = json!("the day before yesterday");
        }
    };
    kapso.simulator.edit(&odd, edit).unwrap();
    kapso.swept_twice(&exporter).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0);
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(1.0));
    assert!(scrape.sum("kapso_exporter_errors_total", &[("reason", "decode")]) >= 1.0);
    spoilt.store(false, Ordering::Relaxed);
    wait_for("the item that can be read now", async || {
        exporter.scrape().await.sum("kapso_executions_started_total", &[]) == 2.0
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_conversation_leaves_the_gauges_once_that_is_confirmed_and_not_the_counters() {
    let setup = Setup { sources: vec![Source::Conversations], ..Setup::default() };
    let simulated = Simulated::start(Scenario::quiet(1), &setup).await;
    let simulator = &simulated.simulator;
    let conversation = simulator.conversation_ids(Api::Platform).remove(0);
    simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    simulator.delete_conversation(Api::Platform, &conversation).unwrap();
    tokio::time::sleep(Duration::from_mins(9)).await;
    let scrape = simulated.scrape();
    assert_eq!(scrape.sum("kapso_executions", &[]), 1.0);
    assert_eq!(scrape.sum("kapso_exporter_doubtful_executions", &[]), 1.0);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let scrape = simulated.scrape();
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0);
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(1.0));
    assert_eq!(differences(simulator, &scrape, &[Api::Platform]), Vec::<String>::new());
}

#[tokio::test]
async fn a_conversation_that_was_asked_for_and_is_not_there_is_said_once() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.conversation=no-such-one"]).await.ready().await;
    kapso.swept_twice(&exporter).await;
    let log = exporter.log();
    assert_eq!(log.matches("there is no such conversation: check --scrape.conversation").count(), 1, "{log}");
}

#[tokio::test]
async fn it_stops_within_five_seconds_in_the_middle_of_a_backoff() {
    let kapso =
        Kapso::start(Scenario { rate_limit: Some(1), rate_limit_headers: false, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[]).await;
    wait_for("a 429", async || {
        exporter.scrape().await.sum("kapso_exporter_api_requests_total", &[("code", "429")]) >= 1.0
    })
    .await;
    let asked = Instant::now();
    exporter.signal("TERM").await;
    assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
}
