//! Real receivers take what `once --remote-write` sends, and have every series of the exposition then.

use std::collections::{BTreeMap, BTreeSet};

use kapso_exporter::simulator::{Api, Scenario};
use tempfile::TempDir;

use super::prometheus::{Labels, Prometheus};
use crate::support::{Exposition, Finished, Kapso, wait_for};

/// Values by labels, the name among them.
type Series = BTreeMap<Labels, f64>;

const ALL: &str = "{job=\"kapso-exporter\"}";
const DURATION: &str = "kapso_execution_duration_seconds";

/// A small business and an exporter that runs once in a while, with state.
struct Pushed {
    kapso: Kapso,
    folder: TempDir,
}

impl Pushed {
    async fn new() -> Self {
        let scenario = Scenario { conversations: 8, history: 30, open_history: 6, ..Scenario::quiet(1) };
        Self { kapso: Kapso::start(scenario).await, folder: tempfile::tempdir().unwrap() }
    }

    /// What a run writes to stdout.
    async fn run(&self, more: &[&str]) -> String {
        let state = format!("--state.path={}", self.folder.path().join("state.redb").display());
        let args = ["--scrape.requests-per-minute=100000", "--scrape.conversation-max-age=3650d", &state];
        let Finished { code, stdout, stderr } = self.kapso.run("once", &[&args, more].concat()).await;
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    }

    /// Sends twice, with a failure in between: the id of the execution that failed, and the exposition.
    async fn fail(&self, receiver: &Prometheus, more: &[&str]) -> (String, Series) {
        let url = format!("--remote-write={}", receiver.at("/api/v1/write"));
        wait_for("the receiver", async || receiver.get("/api/v1/query", &[("query", "1")]).await.is_some())
            .await;
        let push = [&[url.as_str()], more].concat();
        self.run(&push).await;
        let (workflow, conversation) = self.kapso.first(Api::Platform);
        let failed = self.kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
        self.kapso.simulator.transition(&failed, "failed").unwrap();
        self.run(&push).await;
        let written = Exposition::parse(&self.run(&[]).await);
        let named = written.series().map(|(name, labels, value)| {
            let mut labels = labels.clone();
            labels.insert("__name__".into(), name.into());
            (normal(labels), value)
        });
        (failed, named.collect())
    }
}

async fn taken(receiver: &Prometheus) -> Series {
    receiver.query(ALL).await.into_iter().map(|(labels, value)| (normal(labels), value)).collect()
}

/// Without `job` and labels without a value, and bounds as numbers.
fn normal(mut labels: Labels) -> Labels {
    labels.retain(|name, value| name != "job" && !value.is_empty());
    if let Some(bound) = labels.get_mut("le") {
        *bound = bound.parse::<f64>().unwrap().to_string();
    }
    labels
}

/// What is of the business and does not move with the time.
fn still(series: &Series) -> Series {
    let is_still =
        |name: &str| name.starts_with("kapso_") && !name.contains("exporter") && !name.contains("idle");
    let still = series.iter().filter(|(labels, _)| is_still(&labels["__name__"]));
    still.map(|(labels, value)| (labels.clone(), *value)).collect()
}

/// All is there, and what does not move has its value.
fn assert_alike(taken: &Series, written: &Series) {
    let labels = |series: &Series| series.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(labels(taken), labels(written));
    assert!(still(written).len() > 100);
    assert_eq!(still(taken), still(written));
    println!("{} series, {} of them compared by value", taken.len(), still(taken).len());
}

/// The executions that stand for counts of this metric.
async fn exemplars(prometheus: &Prometheus, metric: &str) -> BTreeSet<String> {
    let now = jiff::Timestamp::now().as_second();
    let (from, until) = ((now - 600).to_string(), (now + 60).to_string());
    let params = [("query", metric), ("start", from.as_str()), ("end", until.as_str())];
    let found = prometheus.get("/api/v1/query_exemplars", &params).await.unwrap();
    let all = found.as_array().unwrap().iter().flat_map(|series| series["exemplars"].as_array().unwrap());
    all.map(|exemplar| exemplar["labels"]["execution_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn prometheus_takes_every_series_with_exemplars_and_native_histograms() {
    let flags = ["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage,native-histograms"];
    let (pushed, prometheus) = (Pushed::new().await, Prometheus::start_with(&flags.map(str::to_owned), ""));
    let (failed, written) = pushed.fail(&prometheus, &["--metrics.native-histograms=on"]).await;
    assert_alike(&taken(&prometheus).await, &written);
    for metric in ["kapso_executions_finished_total", &format!("{DURATION}_bucket"), DURATION] {
        assert_eq!(exemplars(&prometheus, metric).await, BTreeSet::from([failed.clone()]), "{metric}");
    }
    assert_eq!(prometheus.value(&format!("sum(histogram_count({DURATION}))")).await, Some(1.0));
    assert_eq!(prometheus.value(&format!("sum({DURATION}_count)")).await, Some(1.0));
    assert_eq!(prometheus.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs VictoriaMetrics"]
async fn victoria_metrics_takes_every_series() {
    let pushed = Pushed::new().await;
    // As with the other tests of it: what is not there is not tested.
    let Some(receiver) = Prometheus::victoria_metrics("").await else { return };
    let (_, written) = pushed.fail(&receiver, &[]).await;
    // It shows what it was sent a moment later.
    let all = async || still(&taken(&receiver).await) == still(&written);
    wait_for("all series and their last values", all).await;
    assert_alike(&taken(&receiver).await, &written);
}
