//! Start timestamps: Prometheus counts every event of a series that has just appeared.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use fastrand::Rng;
use kapso_exporter::simulator::{Api, Simulator};

use super::*;
use crate::{
    end_to_end::prometheus::Prometheus,
    support::{Folder, wait_until_equal},
};

/// How long executions start, by default.
const SECONDS: u64 = 45;
/// The most workflows that are made: with many more a sweep takes longer than what follows waits for.
const MOST_WORKFLOWS: usize = 200;

async fn start(kapso: &Kapso, folder: &Folder, listen: &str) -> Exporter {
    let (state, listen) = (
        format!("--state.path={}", folder.path("state.redb").display()),
        format!("--web.listen-address={listen}"),
    );
    // No workflow of an hour is to share the series of `other`.
    let series = "--metrics.max-series=1000000";
    let flags = ["--scrape.interval=1s", "--scrape.source=workflows", series, &state, &listen];
    kapso.watched(&flags).await.ready().await
}

/// Something happens: a workflow is made, an execution starts, fails, ends or is handed off.
fn happen(simulator: &Simulator, draw: &mut Rng, open: &mut Vec<String>) {
    let made = simulator.workflow_ids(Api::Platform).len();
    if draw.u64(..6) == 0 && made < MOST_WORKFLOWS {
        let id = format!("new-{made}");
        simulator.add_workflow(Api::Platform, &id, &format!("New {id}"));
    }
    let workflows = simulator.workflow_ids(Api::Platform);
    let workflow = &workflows[draw.usize(..workflows.len())];
    open.push(simulator.start(Api::Platform, workflow, None).unwrap());
    let chosen = draw.usize(..open.len());
    match draw.u64(..4) {
        0 => simulator.transition(&open.swap_remove(chosen), "failed").unwrap(),
        1 => simulator.transition(&open.swap_remove(chosen), "ended").unwrap(),
        2 => simulator.transition(&open.swap_remove(chosen), "handoff").unwrap(),
        _ => {}
    }
}

/// By how much a counter grew over all that Prometheus has of it, by workflow, evaluated at each series' last sample: there
/// nothing is extrapolated.
async fn increase(prometheus: &Prometheus, counter: &str, matchers: &str) -> BTreeMap<String, f64> {
    let selector = format!("{counter}{{job=\"kapso\"{matchers}}}");
    let at = prometheus.value(&format!("max(timestamp({selector}))")).await.unwrap().to_string();
    let query = format!("sum by (workflow_id) (increase({selector}[2h]))");
    let grown = prometheus.query_at(&query, Some(&at)).await;
    grown.into_iter().map(|(mut labels, value)| (labels.remove("workflow_id").unwrap(), value)).collect()
}

/// `KAPSO_TEST_SECONDS` makes it longer.
#[tokio::test]
#[ignore = "needs Prometheus, and a minute"]
async fn increase_counts_every_event_of_new_series_through_restarts() {
    let version = Prometheus::version().await;
    if version < (2, 53) {
        println!("{version:?} knows no start timestamps");
        return;
    }
    let seconds = env::var("KAPSO_TEST_SECONDS").ok().map_or(SECONDS, |text| text.parse().unwrap());
    let (kapso, folder) = (Kapso::start(quiet()).await, Folder::new());
    let listen = free_address();
    let mut exporter = start(&kapso, &folder, &listen).await;
    let since = kapso.simulator.now();
    let with = Prometheus::start("created-timestamp-zero-ingestion", &job("kapso", &listen, ""));
    let without = Prometheus::start("", &job("kapso", &listen, ""));
    with.wait_for_scrapes(1, 2).await;
    without.wait_for_scrapes(1, 2).await;

    let (begun, mut draw, mut open, mut restarts) = (Instant::now(), Rng::with_seed(7), Vec::new(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) || restarts == 0 {
        happen(&kapso.simulator, &mut draw, &mut open);
        tokio::time::sleep(Duration::from_millis(100 + draw.u64(..900))).await;
        if draw.u64(..20) == 0 {
            exporter.signal(["TERM", "KILL"][restarts % 2]).await;
            exporter.end(Duration::from_secs(10)).await;
            exporter = start(&kapso, &folder, &listen).await;
            restarts += 1;
        }
    }
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let tally = kapso.simulator.tally(since, Duration::from_hours(24));
    let mut seen_without = 0.0;
    let mut all = 0;
    for (counter, matchers, of) in [
        (
            "kapso_executions_started_total",
            "",
            (|w| w.started) as fn(&kapso_exporter::simulator::WorkflowTally) -> u64,
        ),
        ("kapso_executions_finished_total", ",status=\"failed\"", |w| w.failed),
        ("kapso_executions_finished_total", ",status=\"ended\"", |w| w.ended),
        ("kapso_execution_handoffs_total", "", |w| w.handoffs),
    ] {
        let grown = increase(&with, counter, matchers).await;
        for workflow in tally.workflows.iter().filter(|workflow| workflow.api == Api::Platform) {
            let (told, counted) =
                (of(workflow), grown.get(&workflow.workflow_id).copied().unwrap_or_default());
            assert!(
                (counted - told as f64).abs() < 1e-6,
                "{counter}{matchers} {}: {counted}, not {told}",
                workflow.workflow_id
            );
            all += told;
        }
        seen_without += increase(&without, counter, matchers).await.values().sum::<f64>();
    }
    assert_eq!(with.complaints(), Vec::<String>::new());
    println!(
        "{version:?}: {all} events of {} workflows, {restarts} restarts: {all} with start timestamps, {seen_without:.1} without",
        tally.workflows.len()
    );
    assert!(restarts > 0 && all > 0);
}
