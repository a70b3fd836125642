//! The Prometheus and Alertmanager of the PATH on loopback, with our rules and configuration, and somebody to be told.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::scaled;

/// All of it; stopped when dropped.
pub struct Stack {
    prometheus: String,
    received: Arc<Mutex<Vec<Value>>>,
    _processes: [Child; 2],
    _directory: TempDir,
}

impl Stack {
    /// Starts it, and waits until the exporter at this address was scraped.
    pub async fn watching(exporter: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (received, told_at) = receive().await;
        let (prometheus, alertmanager) = (free_address(), free_address());
        let processes = [
            start_alertmanager(&directory, &alertmanager, &told_at),
            start_prometheus(&directory, &prometheus, &alertmanager, exporter),
        ];
        let stack = Self {
            prometheus: format!("http://{prometheus}"),
            received,
            _processes: processes,
            _directory: directory,
        };
        stack
            .wait(Duration::from_secs(30), "a scrape", async || !stack.query("up == 1").await.is_empty())
            .await;
        stack
    }

    /// Waits until `condition` holds; says after how long.
    pub async fn wait(
        &self,
        at_most: Duration,
        what: &str,
        mut condition: impl AsyncFnMut() -> bool,
    ) -> Duration {
        let begun = Instant::now();
        while !condition().await {
            assert!(begun.elapsed() < at_most, "waited in vain for {what}; told so far: {:#?}", self.told());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        begun.elapsed()
    }

    /// Waits until somebody was told that an alert is `firing` or `resolved`; says after how long.
    pub async fn wait_for(&self, alert: &str, status: &str, at_most: Duration) -> Duration {
        let what = format!("{alert} {status}");
        self.wait(at_most, &what, async || self.told().contains(&(alert.to_owned(), status.to_owned()))).await
    }

    /// Which alerts somebody was told of, and that they were firing or resolved.
    pub fn told(&self) -> BTreeSet<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let received = self.received.lock().unwrap();
        received.iter().map(|alert| (text(&alert["labels"]["alertname"]), text(&alert["status"]))).collect()
    }

    /// The first notification of an alert.
    pub fn first(&self, alert: &str) -> Value {
        let received = self.received.lock().unwrap();
        received.iter().find(|received| received["labels"]["alertname"] == alert).unwrap().clone()
    }

    /// Which alerts have fired since the start, whether somebody was told or not.
    pub async fn fired(&self) -> BTreeSet<String> {
        let series =
            self.query("count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[10m]))").await;
        series.iter().map(|series| series["metric"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// The series that a query answers with; panics if it is refused.
    pub async fn query(&self, query: &str) -> Vec<Value> {
        let url =
            reqwest::Url::parse_with_params(&format!("{}/api/v1/query", self.prometheus), [("query", query)]);
        // Until it listens.
        let Ok(answer) = reqwest::get(url.unwrap()).await else { return Vec::new() };
        let Ok(answer) = answer.json::<Value>().await else { return Vec::new() };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Every rule as Prometheus holds it.
    pub async fn rules(&self) -> Vec<Value> {
        let answer: Value =
            reqwest::get(format!("{}/api/v1/rules", self.prometheus)).await.unwrap().json().await.unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
    }
}

/// An address on loopback that nobody listens on.
pub(super) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Somebody who is told of alerts, and what he was told.
async fn receive() -> (Arc<Mutex<Vec<Value>>>, String) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let take = |State(received): State<Arc<Mutex<Vec<Value>>>>, Json(body): Json<Value>| async move {
        received.lock().unwrap().extend(body["alerts"].as_array().unwrap().clone());
    };
    let router = Router::new().route("/", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (received, address)
}

fn start_prometheus(directory: &TempDir, address: &str, alertmanager: &str, exporter: &str) -> Child {
    let rules = directory.path().join("rules");
    fs::create_dir(&rules).unwrap();
    scaled::write_rules(&rules);
    let configuration = scaled::configuration(
        "deploy/prometheus.yml",
        &[
            ("30s", "1s"),
            ("/etc/prometheus/alerts/", &format!("{}/", rules.display())),
            ("alertmanager:9093", alertmanager),
            ("exporter:10110", exporter),
        ],
    );
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    start(
        "prometheus",
        &[
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={address}"),
        ],
    )
}

fn start_alertmanager(directory: &TempDir, address: &str, receiver: &str) -> Child {
    let configuration = scaled::configuration(
        "deploy/alertmanager.yml",
        &[
            ("group_wait: 30s", "group_wait: 1s"),
            ("group_interval: 5m", "group_interval: 1s"),
            ("http://127.0.0.1:9095/", receiver),
        ],
    );
    let file = directory.path().join("alertmanager.yml");
    fs::write(&file, configuration).unwrap();
    start(
        "prometheus-alertmanager",
        &[
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", directory.path().join("alertmanager").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".to_owned(),
        ],
    )
}

pub(super) fn start(program: &str, args: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| {
        panic!("{program} cannot be started ({error}): apt-get install prometheus prometheus-alertmanager")
    })
}
