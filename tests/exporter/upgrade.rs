//! State files of earlier versions: every number is as the version that wrote the file published it.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use clap::Parser;
use jiff::Timestamp;
use kapso_exporter::{
    app::{App, Store},
    cli::Cli,
    clock::Clock,
    config::Config,
    project::HttpTransports,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::watch;

const FILE: &str = "tests/golden/state-v1.redb";
const METRICS: &str = include_str!("../golden/state-v1.metrics");
/// When the earlier version published them.
const AT: &str = "2026-11-24T23:18:25Z";
const FLAGS: [&str; 6] = [
    "--scrape.source=conversations,agents,workflows",
    "--scrape.interval=1h",
    "--scrape.lookback=365d",
    "--scrape.conversation-max-age=3650d",
    "--scrape.max-staleness=365d",
    "--metrics.max-conversations=100",
];

/// A folder with a copy of the file, and the flag that names it.
fn copy() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    fs::copy(FILE, &path).unwrap();
    let flag = format!("--state.path={}", path.display());
    (folder, flag)
}

fn name(line: &str) -> &str {
    line.split(['{', ' ']).next().unwrap()
}

/// Lines that are missing, with `-` before them, and lines of the same families that are too many, with `+`.
fn differences(published: &str, is_compared: impl Fn(&str) -> bool) -> Vec<String> {
    let expected: BTreeSet<_> = METRICS.lines().filter(|line| is_compared(name(line))).collect();
    let names: BTreeSet<_> = expected.iter().map(|line| name(line)).collect();
    assert!(expected.len() > 300, "there is something to compare");
    let published: BTreeSet<_> = published.lines().filter(|line| names.contains(name(line))).collect();
    let missing = expected.difference(&published).map(|line| format!("- {line}"));
    missing.chain(published.difference(&expected).map(|line| format!("+ {line}"))).collect()
}

/// What does not change as time passes.
fn is_counted(name: &str) -> bool {
    let idle = name.starts_with("kapso_open_execution_idle_seconds");
    let histogram = ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix)) && !idle;
    histogram
        || name.ends_with("_total")
        || name.starts_with("kapso_exporter_")
        || name == "kapso_execution_last_event_timestamp_seconds"
}

#[tokio::test]
async fn what_an_earlier_version_counted_goes_on() {
    let (_folder, state) = copy();
    let exporter = watch(1, "a-key", &[&FLAGS[..], &[&state]].concat()).await.ready().await;
    let (_, published) = exporter.get("/metrics").await;
    assert_eq!(differences(&published, is_counted), Vec::<String>::new());
}

/// The same without a process, at the time when the earlier version looked at the file, so that gauges are compared too.
fn published_then(folder: &Path, state: &str) -> String {
    let key = folder.join("key");
    fs::write(&key, "a-key").unwrap();
    let key = format!("--kapso.api-key-file={}", key.display());
    let flags = ["kapso-exporter", &key, state].into_iter().chain(FLAGS);
    let config = Config::resolve(Cli::parse_from(flags).serve.watch.into()).unwrap();
    let at: Timestamp = AT.parse().unwrap();
    let (clock, transports) = (Clock::of(move || at), Arc::new(HttpTransports::new().unwrap()));
    let store = Store::open(&config.state, &clock).unwrap();
    let app = App::build(config, transports, clock, store, CancellationToken::new());
    let text = app.unwrap().publisher.renderer().text().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

#[tokio::test]
async fn what_an_earlier_version_knew_is_shown() {
    let (folder, state) = copy();
    assert_eq!(differences(&published_then(folder.path(), &state), |_| true), Vec::<String>::new());
}
