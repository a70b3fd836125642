//! What many projects cost one exporter: `cargo bench --bench projects` starts the simulated Kapso and the exporter as
//! processes of their own and prints the rows of `docs/config.md`.
//!
//! Each project has 100 conversations, ten workflows and ten starts a minute. Words after `--` choose rows by the number
//! of projects.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

#[path = "support/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    time::{Duration, Instant},
};

use program::{KEY, Program};

/// From one sweep to the next, as by default.
const INTERVAL: f64 = 60.0;
/// How long steady sweeps are measured.
const STEADY: Duration = Duration::from_mins(4);
/// From one scrape to the next.
const PAUSE: Duration = Duration::from_secs(5);
const DELAYS: &str = "kapso_execution_detection_delay_seconds_bucket";

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("| projects | series | memory | processor | a scrape, gzip | its size | p95 detection delay |");
    println!("|---|---|---|---|---|---|---|");
    for projects in [10, 100, 1000] {
        if words.is_empty() || words.contains(&projects.to_string()) {
            println!("{}", row(projects).await);
        }
    }
}

async fn row(projects: usize) -> String {
    let keys = projects.to_string();
    let kapso = Program::start(&[
        "simulate",
        "--keys",
        &keys,
        "--workflows",
        "10",
        "--conversations",
        "100",
        "--history",
        "1000",
        "--open-history",
        "10",
        "--starts-per-minute",
        "10",
        "--rate-limit",
        "0",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, configuration(projects, &kapso.url)).unwrap();
    for number in 1..=projects {
        fs::write(folder.path().join(format!("key-{number}")), format!("{KEY}-{number}")).unwrap();
    }
    let exporter = Program::start(&["--config.file", file.to_str().unwrap()]);
    tokio::time::sleep(Duration::from_secs(90)).await;
    let (before, cpu, begun) =
        (delays(&scrape(&exporter, "identity").await.1), exporter.cpu(), Instant::now());
    let (mut times, mut size) = (Vec::new(), 0);
    while begun.elapsed() < STEADY {
        tokio::time::sleep(PAUSE).await;
        let (took, body) = scrape(&exporter, "gzip").await;
        (times, size) = ([&times[..], &[took]].concat(), body.len());
    }
    let load = (exporter.cpu() - cpu) / begun.elapsed().as_secs_f64();
    let text = scrape(&exporter, "identity").await.1;
    let delay = quantile(&before, &delays(&text));
    times.sort_unstable();
    let series = String::from_utf8_lossy(&text).lines().filter(|line| !line.starts_with('#')).count();
    format!(
        "| {projects} | {series} | {:.0} MB | {:.0} % | {:.1} ms | {:.1} MB | {:.2} intervals |",
        exporter.memory("VmRSS:"),
        100.0 * load,
        1000.0 * times[times.len() / 2].as_secs_f64(),
        size as f64 / 1e6,
        delay / INTERVAL
    )
}

/// How long a scrape took, and its body as it came.
async fn scrape(exporter: &Program, encoding: &str) -> (Duration, Vec<u8>) {
    let client = reqwest::Client::builder().gzip(false).build().unwrap();
    let begun = Instant::now();
    let request = client.get(format!("{}/metrics", exporter.url)).header("Accept-Encoding", encoding);
    let body = request.send().await.unwrap().bytes().await.unwrap();
    (begun.elapsed(), body.to_vec())
}

fn configuration(projects: usize, url: &str) -> String {
    let mut text = String::from("projects:\n");
    for number in 1..=projects {
        writeln!(
            text,
            "- {{name: p{number}, api_key: {{file: key-{number}}}, platform_url: '{url}/platform/v1', \
             requests_per_minute: 1000}}"
        )
        .unwrap();
    }
    text
}

/// Detection delays by bound, of all workflows of all projects together.
fn delays(exposition: &[u8]) -> BTreeMap<u64, f64> {
    let mut delays = BTreeMap::new();
    for line in String::from_utf8_lossy(exposition).lines().filter(|line| line.starts_with(DELAYS)) {
        let bound = line.split("le=\"").nth(1).unwrap().split('"').next().unwrap();
        let bound = bound.parse::<f64>().unwrap();
        let count = line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        *delays.entry(bound.to_bits()).or_default() += count;
    }
    delays
}

/// The 95th percentile of what was added, as Prometheus estimates it.
fn quantile(before: &BTreeMap<u64, f64>, after: &BTreeMap<u64, f64>) -> f64 {
    let added: Vec<_> = after
        .iter()
        .map(|(bits, count)| (f64::from_bits(*bits), count - before.get(bits).copied().unwrap_or_default()))
        .collect();
    let rank = 0.95 * added.last().unwrap().1;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in added {
        if count >= rank {
            return lower + (bound - lower) * (rank - below) / (count - below);
        }
        (lower, below) = (bound, count);
    }
    lower
}
