//! How fresh the numbers are on a small budget: hours of a simulated Kapso in simulated time.
//! `cargo bench --bench freshness` prints the table of `docs/freshness.md`.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

#[path = "../tests/exporter/support/exposition.rs"]
mod exposition;
#[path = "../tests/exporter/support/simulated.rs"]
mod simulated;

use std::time::{Duration, Instant};

use exposition::Exposition;
use kapso_exporter::{
    simulator::{Api, Scenario, Traffic},
    source::Source,
};
use simulated::{Setup, Simulated};

const HOUR: Duration = Duration::from_hours(1);
const DELAY: &str = "kapso_execution_detection_delay_seconds";

/// A row of the table.
struct Case {
    conversations: usize,
    open: usize,
    limit: u32,
}

/// Executions live for some three hours, so that about `open` are open at any time.
fn scenario(case: &Case) -> Scenario {
    let minutes = |from, to| Duration::from_mins(from)..Duration::from_mins(to);
    Scenario {
        seed: 7,
        conversations: case.conversations,
        open_history: case.open,
        workflows: (1..=20).map(|n| format!("Workflow {n}")).collect(),
        rate_limit: Some(case.limit),
        traffic: Traffic {
            starts_per_minute: case.open as f64 / 170.0,
            dwell: minutes(15, 45),
            handoff_dwell: minutes(30, 90),
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

/// The upper bound of the bucket that holds this share of all detection delays, and how many there are.
fn quantile(scrape: &Exposition, share: f64) -> (String, f64) {
    let count = scrape.sum(&format!("{DELAY}_count"), &[]);
    let bucket = format!("{DELAY}_bucket");
    let mut bounds: Vec<f64> =
        scrape.values_of(&bucket, "le").into_iter().filter_map(|le| le.parse().ok()).collect();
    bounds.sort_by(f64::total_cmp);
    let holds = |bound: &&f64| scrape.sum(&bucket, &[("le", &label(**bound))]) >= share * count;
    let bound = bounds.iter().find(holds).copied().unwrap_or(f64::INFINITY);
    (format!("≤ {bound} s"), count)
}

fn label(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".into() } else { bound.to_string() }
}

async fn measure(case: Case) {
    let setup = Setup {
        sources: vec![Source::Conversations],
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(10),
        requests_per_minute: None,
        ..Setup::default()
    };
    let begun = Instant::now();
    let simulated = Simulated::start(scenario(&case), &setup).await;
    // Until everything was discovered and listed once.
    let due = |scrape: &Exposition| scrape.sum("kapso_exporter_sweeps_total", &[("result", "complete")]);
    let mut first = Duration::ZERO;
    while due(&simulated.scrape()) < 1.0 {
        tokio::time::sleep(Duration::from_mins(5)).await;
        first += Duration::from_mins(5);
    }
    tokio::time::sleep(4 * HOUR).await;
    let scrape = simulated.scrape();
    let (p50, count) = quantile(&scrape, 0.5);
    let (p95, _) = quantile(&scrape, 0.95);
    let refused = scrape.sum("kapso_exporter_api_requests_total", &[("code", "429")]) + 0.0;
    let open: f64 = ["running", "waiting", "handoff"]
        .iter()
        .map(|status| scrape.sum("kapso_executions", &[("status", status)]))
        .sum();
    println!(
        "| {} | {open} | {} | {} | {count} | {p50} | {p95} | {} | {refused} | {:.1} s |",
        case.conversations,
        case.limit,
        humantime::format_duration(first),
        simulated.simulator.busiest_minute(),
        begun.elapsed().as_secs_f64(),
    );
    assert!(simulated.simulator.conversation_ids(Api::Platform).len() >= case.conversations);
}

fn main() {
    println!(
        "| conversations | open | limit | first sweep within | outcomes | p50 | p95 | busiest minute | 429s | took |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (conversations, open, limit) in
        [(1_000, 10, 100), (1_000, 50, 100), (10_000, 100, 100), (10_000, 300, 100), (10_000, 300, 500)]
    {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(measure(Case { conversations, open, limit }));
    }
}
