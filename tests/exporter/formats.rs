//! What a scrape asks for it gets, and what only some formats have is as it should be: start timestamps and exemplars.

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario},
};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};

use crate::support::{
    Exporter, Exposition, Kapso,
    simulated::{Setup, Simulated},
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Scraped {
    content_type: String,
    encoding: Option<String>,
    vary: String,
    body: Vec<u8>,
}

async fn scrape(exporter: &Exporter, accept: &str, encoding: &str) -> Scraped {
    let client = reqwest::Client::builder().gzip(false).build().unwrap();
    let request = client.get(format!("{}/metrics", exporter.url));
    let answer = request.header(ACCEPT, accept).header(ACCEPT_ENCODING, encoding).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Scraped {
        content_type: header(CONTENT_TYPE).unwrap(),
        encoding: header(CONTENT_ENCODING),
        vary: header(VARY).unwrap(),
        body: answer.bytes().await.unwrap().to_vec(),
    }
}

async fn text(exporter: &Exporter, accept: &str) -> String {
    String::from_utf8(scrape(exporter, accept, "identity").await.body).unwrap()
}

#[tokio::test]
async fn a_scrape_gets_the_format_and_the_compression_that_it_asks_for() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&["--scrape.interval=1h"]).await.ready().await;
    let protobuf =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    for (accept, content_type) in [
        ("*/*", plain),
        ("application/openmetrics-text", OPEN_METRICS),
        (protobuf, protobuf),
        (
            "text/plain; version=1.0.0; escaping=dots",
            "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
        ),
    ] {
        for (asked, given) in [("identity", None), ("gzip", Some("gzip")), ("gzip, zstd", Some("zstd"))] {
            let scraped = scrape(&exporter, accept, asked).await;
            assert_eq!((&*scraped.content_type, scraped.encoding.as_deref()), (content_type, given));
            assert_eq!(scraped.vary, "Accept, Accept-Encoding");
            let mut body = Vec::new();
            match given {
                Some("gzip") => drop(GzDecoder::new(&scraped.body[..]).read_to_end(&mut body).unwrap()),
                Some(_) => body = zstd::stream::decode_all(&scraped.body[..]).unwrap(),
                None => body = scraped.body,
            }
            let holds = |text: &[u8]| body.windows(text.len()).any(|window| window == text);
            assert!(holds(b"kapso_executions_started"), "{accept} {asked}");
            assert_eq!(holds(b"# EOF"), content_type == OPEN_METRICS);
        }
    }
}

/// The lines of a metric in `OpenMetrics`.
fn lines<'a>(text: &'a str, name: &str, label: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_start_timestamp_stays_through_renderings_and_restarts_and_ends_with_a_name() {
    let setup = Setup { sources: vec![Source::Workflows], ..Setup::default() };
    let mut world = Simulated::start(Scenario::quiet(1), &setup).await;
    let workflow = world.simulator.workflow_ids(Api::Platform).remove(0);
    let conversation = world.simulator.conversation_ids(Api::Platform).remove(0);
    let label = format!("workflow_id=\"{workflow}\"");
    let created = |world: &Simulated| {
        let text = world.open_metrics();
        lines(&text, "kapso_executions_started_created", &label).concat()
    };
    world.sweeps(2).await;
    let first = created(&world);
    assert!(!first.is_empty());
    for _ in 0..3 {
        world.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
        world.simulator.message(Api::Platform, &conversation).unwrap();
        world.sweeps(4).await;
        assert_eq!(created(&world), first);
        let kept = world.keep();
        world.restart_with(&kept, &setup);
        assert_eq!(created(&world), first, "before anything is asked");
    }
    world.simulator.rename_workflow(&workflow, "Another").unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    world.sweeps(4).await;
    assert!(world.open_metrics().contains("\"Another\""));
    assert_eq!(created(&world), "", "its series goes on from another");
}

#[tokio::test(start_paused = true)]
async fn a_series_begins_when_all_was_last_published_without_it() {
    let mut world = Simulated::start(Scenario::quiet(1), &Setup::default()).await;
    let workflow = world.simulator.workflow_ids(Api::Platform).remove(0);
    world.sweeps(2).await;
    let seconds = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    let created = |world: &Simulated, name: &str| {
        let text = world.open_metrics();
        lines(&text, name, &workflow).first().map(|line| seconds(line))
    };
    let of_all = created(&world, "kapso_executions_started_created").unwrap();
    assert_eq!(
        created(&world, "kapso_execution_handoffs_created"),
        Some(of_all),
        "zero is shown from then on"
    );
    tokio::time::sleep(Duration::from_hours(1)).await;
    world.open_metrics();
    let (before, id) = (world.simulator.now(), "late");
    world.simulator.add_workflow(Api::Platform, id, "Late");
    tokio::time::sleep(Duration::from_mins(10)).await;
    world.sweeps(4).await;
    let text = world.open_metrics();
    let late = lines(&text, "kapso_executions_started_created", id).concat();
    assert!((seconds(&late) - before.as_millisecond() as f64 / 1e3).abs() < 2.0, "{late}");
}

#[tokio::test]
async fn exemplars_name_executions_and_nothing_else_unless_they_are_switched_off() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let flags = ["--scrape.interval=1s", "--scrape.source=conversations"];
    let with = kapso.watched(&flags).await.ready().await;
    let without = kapso.watched(&[&flags[..], &["--metrics.exemplars=false"]].concat()).await.ready().await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let failed = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.transition(&failed, "failed").unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
    kapso.swept_twice(&with).await;
    kapso.swept_twice(&without).await;
    let text_of = async |exporter| text(exporter, "application/openmetrics-text").await;
    let (rich, plain) = (text_of(&with).await, text_of(&without).await);
    let exemplar = format!(" # {{execution_id=\"{failed}\"}} ");
    for name in [
        "kapso_executions_finished_total",
        "kapso_execution_duration_seconds_bucket",
        "kapso_execution_detection_delay_seconds_bucket",
    ] {
        let found = lines(&rich, name, &workflow).iter().filter(|line| line.contains(&exemplar)).count();
        assert_eq!(found, 1, "{name}");
    }
    assert!(!rich.contains(&conversation));
    assert!(plain.contains("kapso_executions_finished_total") && !plain.contains("# {"));
    assert!(!text(&with, "text/plain").await.contains("# {"), "the text format has none");
}

#[tokio::test]
async fn native_histograms_alone_leave_count_and_sum_of_the_classic_ones() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&["--metrics.native-histograms=only"]).await.ready().await;
    let exposition: Exposition = exporter.scrape().await;
    for (name, labels, _) in exposition.series().filter(|(name, ..)| name.ends_with("_bucket")) {
        let is_snapshot = name == "kapso_open_execution_idle_seconds_bucket";
        assert!(is_snapshot || labels["le"] == "+Inf", "{name} {labels:?}");
    }
    assert!(exposition.has("kapso_execution_duration_seconds_count", &[]));
    let series = exposition.value("kapso_exporter_series", &[]);
    assert_eq!(series, Some(exposition.len() as f64));
}
