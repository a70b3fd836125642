//! What a large project costs the exporter: `cargo bench --bench scale` starts the simulated Kapso and the exporter as
//! processes of their own and prints the rows of `docs/freshness.md`.
//!
//! Words after `--` choose rows, as `conversations` or `workflows` (the source) and a number of conversations.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "support/program.rs"]
mod program;

use std::time::{Duration, Instant};

use program::{KEY, Program};

/// From one sweep to the next.
const INTERVAL: &str = "20s";
/// From one scrape to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// How long steady sweeps are measured.
const STEADY: Duration = Duration::from_mins(2);

/// The simulated Kapso with so many conversations, ten times as many executions that the source sees, and a
/// hundredth of them with open ones, once it answers.
async fn kapso(source: &str, conversations: usize) -> Program {
    // One execution in ten belongs to no conversation.
    let history = if source == "workflows" { 10 * conversations } else { 100 * conversations / 9 };
    let [open, history, conversations] = [conversations / 100, history, conversations].map(|n| n.to_string());
    let kapso = Program::with_key(&[
        "simulate",
        "--workflows=20",
        "--starts-per-minute=10",
        "--rate-limit=0",
        "--latency=0s",
        "--conversations",
        &conversations,
        "--history",
        &history,
        "--open-history",
        &open,
    ]);
    let workflows = format!("{}/platform/v1/workflows", kapso.url);
    reqwest::Client::new().get(workflows).header("X-API-Key", KEY).send().await.unwrap();
    kapso
}

fn exporter(kapso: &Program, source: &str) -> Program {
    let platform = format!("--kapso.platform-url={}/platform/v1", kapso.url);
    Program::with_key(&[
        &platform,
        "--scrape.source",
        source,
        "--scrape.interval",
        INTERVAL,
        "--scrape.requests-per-minute=100000",
        "--scrape.lookback=365d",
        "--scrape.conversation-max-age=365d",
    ])
}

/// Scrapes: how long each took, and what the last one said.
#[derive(Default)]
struct Scrapes {
    client: reqwest::Client,
    millis: Vec<f64>,
    text: String,
}

impl Scrapes {
    async fn scrape(&mut self, exporter: &Program) {
        let begun = Instant::now();
        let answer = self.client.get(format!("{}/metrics", exporter.url)).send().await.unwrap();
        self.text = answer.text().await.unwrap();
        self.millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(PAUSE).await;
    }

    /// The sum of all series that begin so.
    fn sum(&self, series: &str) -> f64 {
        let values = self.text.lines().filter(|line| line.starts_with(series));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn sweeps(&self) -> f64 {
        self.sum("kapso_exporter_sweeps_total{")
    }

    fn quantile(&mut self, share: f64) -> f64 {
        self.millis.sort_by(f64::total_cmp);
        let place = (share * self.millis.len() as f64).ceil() as usize;
        self.millis[place - 1]
    }
}

async fn measure(source: &str, conversations: usize) -> String {
    let kapso = kapso(source, conversations).await;
    let (mut first, mut steady) = (Scrapes::default(), Scrapes::default());
    let begun = Instant::now();
    let exporter = exporter(&kapso, source);
    first.scrape(&exporter).await;
    let exposed = begun.elapsed().saturating_sub(PAUSE);
    while first.sweeps() < 1.0 {
        first.scrape(&exporter).await;
    }
    let (swept, cpu_first) = (begun.elapsed(), exporter.cpu());
    // The history of workflows is read in sweeps of its own.
    while first.sum("kapso_exporter_state_executions{") < (conversations * 99 / 10) as f64 {
        first.scrape(&exporter).await;
    }
    let learned = begun.elapsed();
    tokio::time::sleep(Duration::from_mins(1)).await;
    steady.scrape(&exporter).await;
    let (sweeps, requests, cpu) =
        (steady.sweeps(), steady.sum("kapso_exporter_api_requests_total{"), exporter.cpu());
    let end = Instant::now() + STEADY;
    while Instant::now() < end {
        steady.scrape(&exporter).await;
    }
    let sweeps = steady.sweeps() - sweeps;
    format!(
        "| {source} | {} | {} | {:.0} ms | {:.0} s ({:.0} s CPU) | {:.0} s | {:.0} | {:.2} s | {:.1} / {:.1} ms | {:.0} / {:.0} MB |",
        conversations,
        steady.sum("kapso_exporter_state_executions{"),
        exposed.as_secs_f64() * 1000.0,
        swept.as_secs_f64(),
        cpu_first,
        learned.as_secs_f64(),
        (steady.sum("kapso_exporter_api_requests_total{") - requests) / sweeps,
        (exporter.cpu() - cpu) / sweeps,
        first.quantile(0.5),
        steady.quantile(0.5),
        exporter.memory("VmRSS:"),
        exporter.memory("VmHWM:"),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!(
        "| source | conversations | executions known | first exposition | first sweep | all known | requests a sweep | CPU a sweep | scrape, first sweep / later | memory, now / peak |"
    );
    println!("|{}", "---|".repeat(10));
    for conversations in [1_000, 10_000, 100_000] {
        for source in ["conversations", "workflows"] {
            let words = [source.to_owned(), conversations.to_string()];
            if std::env::args()
                .skip(1)
                .filter(|word| !word.starts_with('-'))
                .all(|word| words.contains(&word))
            {
                println!("{}", measure(source, conversations).await);
            }
        }
    }
}
