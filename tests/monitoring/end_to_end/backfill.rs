//! The past in a real Prometheus, and a running exporter scraped on top of it: over the seam nothing is counted
//! twice and nothing is lost.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::simulator::{Api, Scenario, Traffic, WorkflowTally};
use serde_json::Value;

use super::{
    healthy,
    stack::{free_address, start},
};
use crate::support::{Exporter, Kapso, wait_for};

/// Long enough ago for nothing to be older.
const SINCE: &str = "4d";

#[tokio::test]
#[ignore = "needs Prometheus, and a minute"]
async fn increases_over_the_seam_of_backfill_and_live_counters_equal_the_tally() {
    // Handoffs are not in question, and such short ones are not seen.
    let traffic = Traffic { failure_ratio: 0.2, handoff_ratio: 0.0, ..healthy().traffic };
    let kapso = Kapso::start(Scenario { history: 3000, open_history: 40, traffic, ..healthy() }).await;
    let since = kapso.simulator.now() - SignedDuration::from_hours(96);
    let exporter = kapso.watched(&["--scrape.interval=1s", "--scrape.source=workflows"]).await.ready().await;
    let address = exporter.url.strip_prefix("http://").unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let files = backfill(&kapso, &exporter, &address, folder.path()).await;
    let data = folder.path().join("data");
    let begun = Instant::now();
    for file in &files {
        import(file, &data);
    }
    println!("{} files imported in {:.1?}", files.len(), begun.elapsed());
    let prometheus = Prometheus::start(folder.path(), &data, &address);

    tokio::time::sleep(Duration::from_secs(15)).await;
    kapso.simulator.stop_traffic();
    let watch_start = watch_start(&exporter).await.parse::<f64>().unwrap();
    let watch_start = Timestamp::from_microsecond((watch_start * 1e6).round() as i64).unwrap();
    let tally = platform(&kapso, watch_start);
    for (name, status, count) in counted() {
        let counted = tally.iter().map(count).sum::<f64>();
        let what = format!("{name} {status} of {counted} in Prometheus");
        wait_for(&what, async || prometheus.holds(name, status, counted).await).await;
    }

    let tally = platform(&kapso, since);
    let live = exporter.scrape().await;
    for (name, status, count) in counted() {
        let increases = prometheus.increases(name, status).await;
        for workflow in &tally {
            let increase = increases.get(&workflow.workflow_id).copied().unwrap_or_default();
            let expected = count(workflow);
            assert!(
                (increase - expected).abs() < 1e-3,
                "{name} {status} of {}: {increase}, {expected}",
                workflow.workflow_id
            );
        }
        let (all, of_live) = (increases.values().sum::<f64>(), live.sum(name, &labels(status)));
        println!("{name} {status}: {all}, of which {of_live} were counted live");
        assert!(of_live > 0.0 && all > of_live, "something on either side");
    }
}

/// A series' name, its status, and what the tally has of it.
type Counted = (&'static str, &'static str, fn(&WorkflowTally) -> f64);

fn counted() -> [Counted; 6] {
    [
        ("kapso_executions_started_total", "", |tally| tally.started as f64),
        ("kapso_executions_finished_total", "ended", |tally| tally.ended as f64),
        ("kapso_executions_finished_total", "failed", |tally| tally.failed as f64),
        ("kapso_execution_duration_seconds_count", "ended", |tally| tally.ended_duration.count as f64),
        ("kapso_execution_duration_seconds_sum", "ended", |tally| tally.ended_duration.seconds),
        ("kapso_execution_duration_seconds_sum", "failed", |tally| tally.failed_duration.seconds),
    ]
}

fn matchers(status: &str) -> String {
    let matchers = labels(status).into_iter().map(|(label, value)| format!("{label}=\"{value}\""));
    matchers.collect::<Vec<_>>().join(",")
}

fn labels(status: &str) -> Vec<(&str, &str)> {
    let status = Some(("status", status)).filter(|(_, status)| !status.is_empty());
    [("api", "platform")].into_iter().chain(status).collect()
}

/// Up to the moment at which the exporter began to watch. Returns the files.
async fn backfill(kapso: &Kapso, exporter: &Exporter, address: &str, folder: &Path) -> Vec<String> {
    let start = watch_start(exporter).await;
    let args = [
        "--scrape.requests-per-minute=100000",
        "--scrape.source=workflows",
        "--step=15m",
        &format!("--since={SINCE}"),
        &format!("--until={start}"),
        &format!("--output={}", folder.join("backfill").display()),
        "--label=job=kapso",
        &format!("--label=instance={address}"),
    ];
    let finished = kapso.run("backfill", &args).await;
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished.stdout.lines().map(ToOwned::to_owned).collect()
}

fn import(file: &str, data: &Path) {
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics", file]).arg(data);
    let output = promtool.output().expect("apt-get install prometheus");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// When the exporter began to watch, as it tells itself.
async fn watch_start(exporter: &Exporter) -> String {
    let (_, text) = exporter.get("/metrics").await;
    let name = "kapso_exporter_watch_start_timestamp_seconds{api=\"platform\",project=\"default\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
}

/// What the simulated Kapso tallied since then.
fn platform(kapso: &Kapso, since: Timestamp) -> Vec<WorkflowTally> {
    let all = kapso.simulator.tally(since, Duration::from_hours(24)).workflows;
    all.into_iter().filter(|workflow| workflow.api == Api::Platform).collect()
}

struct Prometheus {
    url: String,
    _process: tokio::process::Child,
}

impl Prometheus {
    fn start(folder: &Path, data: &Path, exporter: &str) -> Self {
        let file = folder.join("prometheus.yml");
        let text = format!(
            "scrape_configs:\n- job_name: kapso\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
             static_configs: [{{targets: ['{exporter}']}}]\n"
        );
        fs::write(&file, text).unwrap();
        let address = free_address();
        let flags = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address={address}"),
        ];
        Self { url: format!("http://{address}/api/v1/query"), _process: start("prometheus", &flags) }
    }

    async fn query(&self, query: &str) -> Vec<Value> {
        let url = reqwest::Url::parse_with_params(&self.url, [("query", query)]).unwrap();
        let Ok(answer) = reqwest::get(url).await else { return Vec::new() };
        let answer: Value = answer.json().await.unwrap_or_default();
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Whether its newest scrape shows so much in all.
    async fn holds(&self, name: &str, status: &str, expected: f64) -> bool {
        let sums = self.query(&format!("sum({name}{{{}}})", matchers(status))).await;
        sums.first().is_some_and(|sum| (number(&sum["value"][1]) - expected).abs() < 1e-3)
    }

    /// By how much a counter of each workflow has grown in all, a fall taken for a beginning at zero, as Prometheus does it;
    /// without what it adds for the time between the samples and the ends.
    async fn increases(&self, name: &str, status: &str) -> BTreeMap<String, f64> {
        let series = self.query(&format!("{name}{{{}}}[5d]", matchers(status))).await;
        let mut increases = BTreeMap::new();
        for series in series {
            let values = series["values"].as_array().unwrap().iter().map(|sample| number(&sample[1]));
            let values: Vec<_> = values.collect();
            let steps =
                values.windows(2).map(|pair| if pair[1] < pair[0] { pair[1] } else { pair[1] - pair[0] });
            let workflow = series["metric"]["workflow_id"].as_str().unwrap().to_owned();
            let before = increases.insert(workflow, steps.sum::<f64>());
            assert_eq!(before, None, "the live series goes on in the one of the past: {}", series["metric"]);
        }
        increases
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}
