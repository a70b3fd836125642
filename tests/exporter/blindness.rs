//! An exporter that learns nothing says so, and shows no old state as if it were new.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, DEFAULT_KEY, Scenario, Traffic},
};

use crate::support::{Exposition, Setup, Simulated};

const CURRENT: [&str; 6] = [
    "kapso_executions",
    "kapso_open_executions_oldest_event_timestamp_seconds",
    "kapso_open_execution_idle_seconds",
    "kapso_execution_last_event_timestamp_seconds",
    "kapso_conversations",
    "kapso_workflow_reported_executions",
];

fn sources(sources: &[Source]) -> Setup {
    Setup { sources: sources.into(), interval: Duration::from_mins(1), ..Setup::default() }
}

fn shown(scrape: &Exposition, name: &str, api: &str) -> bool {
    scrape.has(name, &[("api", api)])
}

#[tokio::test(start_paused = true)]
async fn gauges_are_withdrawn_while_nothing_is_learned_and_counters_stay() {
    let scenario = Scenario { conversations: 10, open_history: 5, history: 10, ..Scenario::quiet(1) };
    let kapso = Simulated::start(scenario, &sources(&[Source::Conversations])).await;
    let workflow = kapso.simulator.workflow_ids(Api::Platform).remove(0);
    let conversation = kapso.simulator.conversation_ids(Api::Platform).remove(0);
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
    tokio::time::sleep(Duration::from_mins(30)).await;
    let scrape = kapso.scrape();
    assert!(CURRENT.iter().all(|name| shown(&scrape, name, "platform")), "a quiet hour is no blindness");

    kapso.simulator.set_key("another");
    tokio::time::sleep(Duration::from_mins(9)).await;
    assert_eq!(kapso.scrape().sum("kapso_exporter_data_stale", &[]), 0.0);
    tokio::time::sleep(Duration::from_mins(3)).await;
    let scrape = kapso.scrape();
    assert_eq!(scrape.value("kapso_exporter_data_stale", &[]), Some(1.0));
    assert_eq!(scrape.value("kapso_up", &[]), Some(0.0));
    for name in CURRENT {
        assert!(!shown(&scrape, name, "platform"), "{name} is withdrawn");
    }
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0);

    kapso.simulator.set_key(DEFAULT_KEY);
    tokio::time::sleep(Duration::from_mins(3)).await;
    let scrape = kapso.scrape();
    assert_eq!(scrape.value("kapso_exporter_data_stale", &[]), Some(0.0));
    assert!(CURRENT.iter().all(|name| shown(&scrape, name, "platform")), "they come back");
}

#[tokio::test(start_paused = true)]
async fn an_api_that_goes_away_takes_no_other_one_with_it() {
    let scenario = Scenario { conversations: 10, open_history: 5, ..Scenario::quiet(1) };
    let kapso = Simulated::start(scenario, &sources(&Source::ALL)).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    kapso.simulator.set_legacy(false);
    tokio::time::sleep(Duration::from_mins(15)).await;
    let scrape = kapso.scrape();
    assert!(!shown(&scrape, "kapso_executions", "legacy"));
    assert!(shown(&scrape, "kapso_executions", "platform"));
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(1.0));
}

/// A third of the executions belong to no conversation.
fn without_conversations() -> Scenario {
    let traffic = Traffic { starts_per_minute: 10.0, without_conversation: 0.3, ..Traffic::default() };
    Scenario { conversations: 20, history: 50, traffic, ..Scenario::quiet(3) }
}

async fn difference_after_ten_minutes(source: Source) -> (f64, f64) {
    let kapso = Simulated::start(without_conversations(), &sources(&[source])).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    kapso.simulator.stop_traffic();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let scrape = kapso.scrape();
    let started: u64 = {
        let since = kapso.simulator.started_at();
        let tally = kapso.simulator.tally(since, Duration::from_hours(24));
        let platform = tally.workflows.iter().filter(|workflow| workflow.api == Api::Platform);
        platform.map(|workflow| workflow.started).sum()
    };
    let counted = scrape.sum("kapso_executions_started_total", &[]);
    (scrape.sum("kapso_workflow_unseen_executions", &[]), started as f64 - counted)
}

#[tokio::test(start_paused = true)]
async fn the_difference_to_the_apis_own_count_is_what_is_not_seen() {
    let (difference, unseen) = difference_after_ten_minutes(Source::Conversations).await;
    assert!(unseen > 10.0);
    // What started within the second before the watch began is in neither.
    assert!((difference - unseen).abs() <= 1.0, "{difference} of {unseen}");
    assert_eq!(difference_after_ten_minutes(Source::Workflows).await.0, 0.0);
}
