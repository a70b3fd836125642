//! A long run: a million executions pass through an exporter of the demo's size, with its state on disk, in
//! simulated time. Memory and the state file have to stay as they are.
//! `cargo bench --bench soak`; `cargo bench --bench soak -- 50000` for a short one.
//!
//! Kapso is arithmetic here: what an execution is at a time follows from its number, so that it takes no memory
//! whatever happened before.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

use std::{collections::HashMap, fs, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    account::Settings,
    app::{App, Store},
    clock::Clock,
    config::{Config, KeyFrom, MetricsConfig, ProjectConfig, RawProject, StateConfig},
    kapso::{Answer, Transport},
    model::Api,
    project::Transports,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

const CONVERSATIONS: i64 = 60;
/// Seconds from one start in a conversation to the next, and from a start to its end.
const PERIOD: i64 = 60;
const LASTS: i64 = 150;
const PAGE: i64 = 100;

/// Execution `n` of a conversation starts `n` periods after the beginning.
#[derive(Clone)]
struct Arithmetic {
    beginning: Timestamp,
    clock: Clock,
}

impl Arithmetic {
    fn now(&self) -> i64 {
        self.clock.wall().duration_since(self.beginning).as_secs()
    }

    fn at(&self, second: i64) -> String {
        (self.beginning + SignedDuration::from_secs(second)).to_string()
    }

    fn conversations(&self) -> Value {
        let newest = self.now() / PERIOD * PERIOD;
        let item = |n| json!({"id": format!("c{n}"), "status": "active", "last_active_at": self.at(newest)});
        json!({"data": (0..CONVERSATIONS).map(item).collect::<Vec<_>>(), "paging": {"next": null}})
    }

    /// A page of a conversation's executions, newest first; the cursor is the number of its first one.
    fn executions(&self, conversation: &str, after: Option<&String>) -> Value {
        let first = after.map_or(self.now() / PERIOD, |after| after.parse().unwrap());
        let last = (first - PAGE + 1).max(0);
        let items: Vec<_> = (last..=first).rev().map(|n| self.execution(conversation, n)).collect();
        let next = (last > 0).then(|| (last - 1).to_string());
        json!({"data": items, "paging": {"next": next}})
    }

    fn execution(&self, conversation: &str, n: i64) -> Value {
        let (start, end) = (n * PERIOD, n * PERIOD + LASTS);
        let is_over = self.now() >= end;
        let outcome = if n % 10 == 0 { "failed" } else { "ended" };
        json!({
            "id": format!("{conversation}-{n}"),
            "status": if is_over { outcome } else { "running" },
            "started_at": self.at(start),
            "last_event_at": self.at(if is_over { end } else { start }),
            "ended_at": is_over.then(|| self.at(end)),
            "workflow": {"id": format!("flow_{}", n % 6), "name": "Order Support"},
        })
    }
}

impl Transport for Arithmetic {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        let path: Vec<_> = url.path_segments().unwrap().collect();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let body = match path[..] {
            ["workflows"] => json!({"data": []}),
            ["whatsapp", "conversations"] => self.conversations(),
            ["whatsapp", "conversations", id, "flow_executions"] => self.executions(id, query.get("after")),
            _ => panic!("{url}"),
        };
        let answer = Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: serde_json::to_vec(&body).unwrap().into(),
        };
        Box::pin(async { Ok(answer) })
    }
}

impl Transports for Arithmetic {
    fn open(&self, _: Api, _: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        Ok(Box::new(self.clone()))
    }
}

/// Resident memory of this process, in megabytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

async fn soak(executions: u64) {
    let beginning: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let clock = Clock::following_tokio(beginning);
    let folder = tempfile::tempdir_in("target").unwrap();
    let interval = Duration::from_mins(1);
    let settings = Settings {
        lookback: SignedDuration::from_hours(1),
        remembered: SignedDuration::from_hours(1),
        ..Settings::default()
    };
    let config = Config {
        projects: vec![ProjectConfig {
            platform_url: Url::parse("http://kapso.invalid").unwrap(),
            interval,
            requests_per_minute: Some(100_000),
            account: settings,
            ..ProjectConfig::resolve(RawProject::new("default", KeyFrom::Value("key".into()))).unwrap()
        }],
        metrics: MetricsConfig::default(),
        state: StateConfig { path: Some(folder.path().join("state.redb")), ..StateConfig::default() },
        file: None,
        secret_files: Vec::new(),
        text: String::new(),
    };
    let store = Store::open(&config.state, &clock).unwrap();
    let transports = Arc::new(Arithmetic { beginning, clock: clock.clone() });
    let app = App::build(config, transports, clock, store, CancellationToken::new()).unwrap();
    let watched = &app.projects["default"];
    for (source, stream) in watched.sources() {
        let status = stream.clone();
        tokio::spawn(watched.sweeper(source, stream).run(move |source, event| status.record(source, &event)));
    }
    println!("| hours | executions counted | remembered | memory | state file |");
    println!("|---|---|---|---|---|");
    let hours = executions / (CONVERSATIONS as u64 * 60) + 1;
    let report = (hours / 10).max(1);
    for hour in 1..=hours {
        for _ in 0..60 {
            tokio::time::sleep(interval).await;
            app.publisher.publish().await.unwrap();
        }
        if hour % report == 0 || hour == 1 {
            let account = watched.streams[&Api::Platform].account.lock();
            let counted: u64 =
                account.ledger.workflows().iter().map(|workflow| workflow.totals.started).sum();
            let remembered = account.ledger.remembered();
            let size = fs::metadata(folder.path().join("state.redb")).unwrap().len() / 1024;
            println!("| {hour} | {counted} | {remembered} | {} MB | {size} kB |", memory());
        }
    }
}

fn main() {
    let given = std::env::args().find_map(|argument| argument.parse().ok());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(soak(given.unwrap_or(1_000_000)));
}
