//! A log that nobody reads and a disk that hangs stop neither counting nor serving nor a stop.

use std::time::{Duration, Instant};

use kapso_exporter::simulator::{Api, DEFAULT_KEY, Scenario};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Disk, Exporter, Exposition, Kapso, run_unread, wait_for};

const EVERY_SECOND: &str = "--scrape.interval=1s";
const EVER: &str = "--scrape.conversation-max-age=3650d";
/// From a signal to the end, whatever hangs.
const STOP: Duration = Duration::from_secs(5);
/// For an answer of `/metrics` and the probes, whatever hangs.
const ANSWER: Duration = Duration::from_secs(3);

/// Starts an execution that the next sweep finds.
fn start(kapso: &Kapso) {
    let (workflow, conversation) = kapso.first(Api::Platform);
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
}

/// What is published now, which is to be told soon.
async fn scrape(exporter: &Exporter) -> Exposition {
    let begun = Instant::now();
    let scrape = exporter.scrape().await;
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    assert!(begun.elapsed() < ANSWER, "{:?}", begun.elapsed());
    scrape
}

async fn started(exporter: &Exporter) -> f64 {
    scrape(exporter).await.sum("kapso_executions_started_total", &[])
}

async fn wait_until_started(exporter: &Exporter, count: f64) {
    wait_for("the start of an execution", async || started(exporter).await == count).await;
}

async fn dropped(exporter: &Exporter) -> Option<f64> {
    scrape(exporter).await.value("kapso_exporter_log_lines_dropped_total", &[])
}

/// Stops it, and returns its exit code.
async fn stop(exporter: Exporter) -> Option<i32> {
    exporter.signal("TERM").await;
    exporter.end(STOP).await
}

/// An exporter with its state on this disk.
async fn on(disk: &Disk, kapso: &Kapso) -> Exporter {
    let [platform, legacy] = kapso.flags();
    let state = format!("--state.path={}", disk.state().display());
    let [preload, hangs] = disk.environment();
    let flags =
        [platform.as_str(), &legacy, "--scrape.requests-per-minute=100000", EVERY_SECOND, EVER, &state];
    Exporter::start(&flags, &[("KAPSO_API_KEY", DEFAULT_KEY), preload, hangs]).await
}

/// An exporter whose log nobody reads.
async fn unread(kapso: &Kapso) -> Exporter {
    let [platform, legacy] = kapso.flags();
    let flags = [
        platform.as_str(),
        &legacy,
        "--scrape.requests-per-minute=100000",
        "--log.level=debug",
        EVERY_SECOND,
        EVER,
    ];
    Exporter::start_unread(&flags, &[("KAPSO_API_KEY", DEFAULT_KEY)]).await
}

/// Connections with garbage, each of which is a line of the log at level debug.
async fn make_it_log(exporter: &Exporter, lines: usize) {
    for _ in 0..lines {
        let mut stream = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(b"garbage\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_sweeps_nor_serving_nor_a_stop() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = unread(&kapso).await.ready().await;
    assert_eq!(dropped(&exporter).await, Some(0.0));
    make_it_log(&exporter, 1500).await;
    start(&kapso);
    wait_until_started(&exporter, 1.0).await;
    wait_for("lines that are dropped and counted", async || dropped(&exporter).await > Some(100.0)).await;
    assert_eq!(stop(exporter).await, Some(0));
}

#[tokio::test]
async fn an_error_that_nobody_reads_is_an_exit_code_all_the_same() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    assert_eq!(run_unread(&["--demo", &address], &[]).await, Some(1));
}

#[tokio::test]
async fn a_log_that_is_read_at_last_tells_what_it_lacks_and_goes_on() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let mut exporter = unread(&kapso).await.ready().await;
    make_it_log(&exporter, 1500).await;
    exporter.read_at_last();
    wait_for("word of what is lacking", async || exporter.log().contains("lines of the log were dropped"))
        .await;
    let log = exporter.log();
    let (_, told) = log.split_once("lines of the log were dropped").unwrap();
    let told = told.split_once("lines=").unwrap().1.lines().next().unwrap().parse().ok();
    wait_for("the same number in the metrics", async || dropped(&exporter).await == told).await;
    assert!(exporter.log().contains("listening"), "what was waiting is written: {}", exporter.log());
    let sweeps = || exporter.log().matches("message=sweep").count();
    let before = sweeps();
    wait_for("more sweeps in the log", async || sweeps() > before + 1).await;
    assert_eq!(stop(exporter).await, Some(0));
}

#[tokio::test]
async fn numbers_go_on_while_the_disk_hangs_and_everything_is_written_afterwards() {
    let (kapso, disk) = (Kapso::start(Scenario::quiet(1)).await, Disk::new());
    let exporter = on(&disk, &kapso).await.ready().await;
    start(&kapso);
    wait_until_started(&exporter, 1.0).await;
    disk.hang();
    for count in [2.0, 3.0] {
        start(&kapso);
        wait_until_started(&exporter, count).await;
    }
    let said = "state is not written: the disk has not answered for 5s";
    assert_eq!(exporter.log().matches(said).count(), 1, "{}", exporter.log());
    wait_for("failures that go on being counted", async || {
        scrape(&exporter).await.sum("kapso_exporter_state_errors_total", &[]) >= 2.0
    })
    .await;
    disk.recover();
    wait_for("state that is written", async || exporter.log().contains("state is written again")).await;
    assert_eq!(exporter.log().matches("state is not written").count(), 1, "{}", exporter.log());
    assert_eq!(stop(exporter).await, Some(0));

    let exporter = on(&disk, &kapso).await;
    assert_eq!(started(&exporter).await, 3.0, "all of it was written");
}

#[tokio::test]
async fn what_is_served_is_saved_as_long_as_the_disk_answers_in_time() {
    let (kapso, disk) = (Kapso::start(Scenario::quiet(1)).await, Disk::new());
    let exporter = on(&disk, &kapso).await.ready().await;
    start(&kapso);
    disk.hang();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(started(&exporter).await, 0.0, "it waits for the disk");
    disk.recover();
    wait_until_started(&exporter, 1.0).await;
    assert!(!exporter.log().contains("state is not written"), "{}", exporter.log());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_disk_that_hangs() {
    let (kapso, disk) = (Kapso::start(Scenario::quiet(1)).await, Disk::new());
    let exporter = on(&disk, &kapso).await.ready().await;
    disk.hang();
    start(&kapso);
    wait_until_started(&exporter, 1.0).await;
    exporter.signal("TERM").await;
    let (code, log) = exporter.end_with_log(STOP).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("error: state is not written: the disk has not answered for"), "{log}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_state_file_that_cannot_be_opened() {
    let (kapso, disk) = (Kapso::start(Scenario::quiet(1)).await, Disk::new());
    disk.hang();
    let exporter = on(&disk, &kapso).await;
    wait_for("word of the disk", async || exporter.log().contains("the state file is not open after 5s"))
        .await;
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    assert_eq!(exporter.get("/-/ready").await.0, 503);
    assert_eq!(stop(exporter).await, Some(1));
}
