//! What is served: the pages, the probes, the demo, the end.

use std::{collections::BTreeSet, io::Read, time::Duration};

use kapso_exporter::{metrics::TABLE, simulator::Scenario};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Exporter, Kapso};

#[tokio::test]
async fn the_demo_shows_every_family_that_the_reference_and_the_dashboard_name() {
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.path={}", folder.path().join("state.redb").display());
    let exporter = Exporter::start(&["--demo", &state], &[]).await.ready().await;
    let families = exporter.scrape().await.families;
    let of_files = ["kapso_exporter_config_", "kapso_exporter_web_"];
    let of_replicas = ["kapso_exporter_lease", "kapso_exporter_replicas", "kapso_exporter_store_"];
    let is_of_others = |name: &str| of_files.iter().chain(&of_replicas).any(|start| name.starts_with(start));
    let missing: BTreeSet<_> = TABLE
        .iter()
        .map(|row| row.name)
        .filter(|name| !is_of_others(name))
        .filter(|name| !families.contains(*name))
        .collect();
    assert_eq!(missing, BTreeSet::new());
    let reference = include_str!("../../docs/metrics.md");
    for family in families.iter().filter(|name| !name.starts_with("process_")) {
        assert!(reference.contains(&format!("\n## {family}\n")), "docs/metrics.md describes {family}");
    }
    for name in metrics_in(include_str!("../../dashboards/overview.json")) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        let known = families.contains(name) || family.is_some_and(|family| families.contains(family));
        assert!(known, "the dashboard asks for {name}");
    }
    for own in [
        "kapso_up",
        "kapso_exporter_sweep_duration_seconds",
        "kapso_exporter_sweep_last_success_timestamp_seconds",
        "kapso_exporter_sweep_interval_seconds",
        "kapso_exporter_sweeps_total",
        "kapso_exporter_errors_total",
        "kapso_exporter_api_requests_total",
        "kapso_exporter_api_request_duration_seconds",
        "kapso_exporter_api_rate_limit",
        "kapso_exporter_api_rate_limit_remaining",
        "kapso_exporter_api_request_budget",
        "kapso_exporter_series",
        "kapso_exporter_series_dropped_total",
        "kapso_exporter_build_info",
        "process_resident_memory_bytes",
    ] {
        assert!(families.contains(own), "{own}");
    }
}

/// Everything in a text that is named like a metric.
fn metrics_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).filter(|word| word.starts_with("kapso_"))
}

#[tokio::test]
async fn it_is_not_ready_before_the_first_complete_sweep() {
    let kapso = Kapso::start(Scenario { latency: Duration::from_millis(700), ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[]).await;
    assert_eq!(exporter.get("/-/ready").await, (503, "not ready: no complete sweep yet\n".into()));
    assert_eq!(exporter.get("/-/healthy").await, (200, "healthy\n".into()));
    let (status, text) = exporter.get("/metrics").await;
    assert!(status == 200 && text.contains("kapso_up{api=\"platform\",project=\"default\"} 0\n"), "{text}");
    assert_eq!(exporter.ready().await.get("/-/ready").await, (200, "ready\n".into()));
}

#[tokio::test]
async fn it_is_ready_after_one_interval_although_it_is_blind() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched_with_key("wrong-key", &["--scrape.interval=2s"]).await;
    assert_eq!(exporter.get("/-/ready").await.0, 503);
    exporter.ready().await;
}

#[tokio::test]
async fn the_exposition_is_the_same_plain_and_compressed() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[]).await.ready().await;
    let ask = async |encoding: &str| {
        let request = reqwest::Client::new().get(format!("{}/metrics", exporter.url));
        request.header("Accept-Encoding", encoding).send().await.unwrap()
    };
    let plain = ask("identity").await;
    assert_eq!(plain.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(plain.headers()["vary"], "Accept, Accept-Encoding");
    assert!(!plain.headers().contains_key("content-encoding"));
    let text = plain.text().await.unwrap();
    let mut stream = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(String::from_utf8_lossy(&answer[..body]).contains("content-encoding: gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&answer[body..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405() {
    let exporter = Exporter::start(&["--demo"], &[]).await;
    assert_eq!(exporter.get("/metric").await.0, 404);
    let post = reqwest::Client::new().post(format!("{}/metrics", exporter.url)).send().await.unwrap();
    assert_eq!(post.status(), 405);
    let head = reqwest::Client::new().head(format!("{}/metrics", exporter.url)).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn an_oversized_head_is_refused_and_the_server_goes_on() {
    let exporter = Exporter::start(&["--demo"], &[]).await;
    let address = exporter.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
}

#[tokio::test]
async fn it_ends_with_success_on_sigterm_and_on_sigint() {
    for signal in ["TERM", "INT"] {
        let exporter = Exporter::start(&["--demo"], &[]).await.ready().await;
        // A connection that stays open must not hold the end up.
        let _idle = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await.unwrap();
        exporter.signal(signal).await;
        assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn json_logs_are_one_object_a_line() {
    let exporter = Exporter::start(&["--demo", "--log.format=json"], &[]).await.ready().await;
    let log = exporter.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sweep = lines.iter().find(|line| line["message"] == "sweep").unwrap();
    assert_eq!((&sweep["level"], &sweep["result"]), (&"INFO".into(), &"complete".into()));
}

#[tokio::test]
async fn the_simulator_can_be_served_on_its_own() {
    let simulator = Exporter::start_command(&["simulate"]).await;
    let (status, tally) = simulator.get("/_simulator/tally").await;
    assert_eq!(status, 200);
    let tally: serde_json::Value = serde_json::from_str(&tally).unwrap();
    assert!(tally["workflows"].as_array().is_some_and(|workflows| !workflows.is_empty()));
}
