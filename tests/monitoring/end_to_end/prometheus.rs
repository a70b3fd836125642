//! The Prometheus of the PATH on loopback, with a scrape configuration of the test's own; or `VictoriaMetrics`, which
//! answers to the same queries, and its agent.

use std::{collections::BTreeMap, fs, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::stack::free_address;

/// One of them; stopped when dropped.
pub struct Prometheus {
    url: String,
    directory: TempDir,
    _processes: Vec<Child>,
}

/// Labels of a series, `__name__` included.
pub type Labels = BTreeMap<String, String>;

impl Prometheus {
    /// Major and minor version.
    pub async fn version() -> (u32, u32) {
        let output = Command::new("prometheus").arg("--version").output().await;
        let output = output.expect("prometheus: apt-get install prometheus");
        // 2.42 tells it on one stream, later ones on the other.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        let version = text.split("version ").nth(1).unwrap();
        let mut numbers = version.split('.').map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// With these features (none if empty), and these scrape configurations.
    pub fn start(features: &str, scrape_configs: &str) -> Self {
        Self::start_with(&[format!("--enable-feature={features}")], scrape_configs)
    }

    /// With these flags.
    pub fn start_with(flags: &[String], scrape_configs: &str) -> Self {
        let (directory, address) = (configured(scrape_configs), free_address());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let mut all = vec![
            format!("--config.file={}", path("scrape.yml")),
            format!("--storage.tsdb.path={}", path("data")),
            format!("--web.listen-address={address}"),
        ];
        all.extend(flags.iter().filter(|flag| !flag.ends_with('=')).cloned());
        let process = start(&directory, "prometheus", &all);
        Self { url: format!("http://{address}"), directory, _processes: vec![process] }
    }

    /// `VictoriaMetrics`, with what its agent scrapes; `None` if it is not on the PATH.
    pub async fn victoria_metrics(scrape_configs: &str) -> Option<Self> {
        Command::new("victoria-metrics").arg("-version").output().await.ok()?;
        let (directory, database, agent) = (configured(scrape_configs), free_address(), free_address());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let of_database = [
            format!("-storageDataPath={}", path("data")),
            format!("-httpListenAddr={database}"),
            "-search.latencyOffset=0s".to_owned(),
            "-search.disableCache".to_owned(),
        ];
        let of_agent = [
            format!("-promscrape.config={}", path("scrape.yml")),
            format!("-remoteWrite.url=http://{database}/api/v1/write"),
            format!("-remoteWrite.tmpDataPath={}", path("agent")),
            format!("-httpListenAddr={agent}"),
        ];
        let processes = vec![
            start(&directory, "victoria-metrics", &of_database),
            start(&directory, "vmagent", &of_agent),
        ];
        Some(Self { url: format!("http://{database}"), directory, _processes: processes })
    }

    /// What it complained of about the targets and their samples.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        let tells = |line: &&str| {
            let line = line.to_lowercase();
            let loud = ["level=warn", "level=error", "\twarn\t", "\terror\t"];
            let is_loud = loud.iter().any(|level| line.contains(level));
            let is_about_samples =
                ["scrape", "append", "ingest", "exemplar"].iter().any(|word| line.contains(word));
            // An older one knows not every feature.
            is_loud && is_about_samples && !line.contains("--enable-feature")
        };
        log.lines().filter(tells).map(str::to_owned).collect()
    }

    /// The URL of this path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The answer to a request of its API; `None` until it answers.
    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.url), params).unwrap();
        let answer: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        assert_eq!(answer["status"], "success", "{path} {params:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// What a query answers with at this time (Unix seconds), or now.
    pub async fn query_at(&self, query: &str, time: Option<&str>) -> Vec<(Labels, f64)> {
        let mut params = vec![("query", query)];
        params.extend(time.map(|time| ("time", time)));
        let data = self.get("/api/v1/query", &params).await.unwrap_or_default();
        let result = data["result"].as_array().cloned().unwrap_or_default();
        let value = |series: &Value| {
            let labels = serde_json::from_value(series["metric"].clone()).unwrap();
            Some((labels, series["value"][1].as_str()?.parse().unwrap()))
        };
        result.iter().filter_map(value).collect()
    }

    /// What a query answers with now.
    pub async fn query(&self, query: &str) -> Vec<(Labels, f64)> {
        self.query_at(query, None).await
    }

    /// The one value that a query answers with.
    pub async fn value(&self, query: &str) -> Option<f64> {
        self.query(query).await.first().map(|(_, value)| *value)
    }

    /// Waits until each of these jobs was scraped so many times.
    pub async fn wait_for_scrapes(&self, jobs: usize, scrapes: usize) {
        let query = format!("count(count_over_time(up[10m]) >= {scrapes}) and min(up) == 1");
        let begun = std::time::Instant::now();
        while self.value(&query).await != Some(jobs as f64) {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_mins(1), "no scrapes: {log}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What it counts of its own scrapes that went wrong.
    pub async fn failures(&self) -> Vec<String> {
        let text = reqwest::get(format!("{}/metrics", self.url)).await.unwrap().text().await.unwrap();
        let counts = |line: &&str| {
            let is_failure = ["duplicate", "out_of_order", "out_of_bounds", "exceeded", "rejected"];
            (line.starts_with("prometheus_target_scrape") || line.starts_with("prometheus_tsdb_exemplar"))
                && is_failure.iter().any(|word| line.contains(word))
                && !line.ends_with(" 0")
        };
        text.lines().filter(counts).map(str::to_owned).collect()
    }
}

fn configured(scrape_configs: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("scrape.yml"), format!("scrape_configs:\n{scrape_configs}")).unwrap();
    directory
}

/// Starts a program that writes its log to a file there.
fn start(directory: &TempDir, program: &str, flags: &[String]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.path().join("log")).unwrap();
    let mut command = Command::new(program);
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("{program} cannot be started: {error}"))
}
