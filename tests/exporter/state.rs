//! With `--state.path` a restart, however sudden, changes no number.

use std::{env, fs, time::Duration};

use kapso_exporter::simulator::{Api, Scenario, Traffic};
use tempfile::TempDir;

use crate::support::{Exposition, Finished, Kapso, differences, wait_for, wait_until_equal};

const EVERY_SECOND: &str = "--scrape.interval=1s";
const EVER: &str = "--scrape.conversation-max-age=3650d";
const ALL: &str = "--scrape.source=conversations,agents,workflows";

/// A folder, and the flag that puts the state file into it.
fn state() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let flag = format!("--state.path={}", folder.path().join("state.redb").display());
    (folder, flag)
}

fn counted(scrape: &Exposition) -> [f64; 3] {
    ["kapso_executions_started_total", "kapso_executions_finished_total", "kapso_execution_handoffs_total"]
        .map(|name| scrape.sum(name, &[]))
}

#[tokio::test]
async fn what_happened_while_it_was_down_is_counted_once_it_is_back() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (_folder, state) = state();
    let (workflow, conversation) = kapso.first(Api::Platform);
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, &state]).await.ready().await;
    let first = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
    kapso.swept_twice(&exporter).await;
    let before = exporter.scrape().await;
    assert_eq!(counted(&before), [1.0, 0.0, 0.0]);
    exporter.signal("TERM").await;
    assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0));

    kapso.simulator.transition(&first, "failed").unwrap();
    let second = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.transition(&second, "handoff").unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, &state]).await.ready().await;
    kapso.swept_twice(&exporter).await;
    let after = exporter.scrape().await;
    assert_eq!(counted(&after), [2.0, 1.0, 1.0]);
    let watch_start = |scrape: &Exposition| scrape.value("kapso_exporter_watch_start_timestamp_seconds", &[]);
    assert_eq!(watch_start(&after), watch_start(&before), "watching goes on");
    assert_eq!(differences(&kapso.simulator, &after, &[Api::Platform]), Vec::<String>::new());
}

#[tokio::test]
async fn restored_state_is_ready_and_served_before_kapso_answers() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (_folder, state) = state();
    let (workflow, conversation) = kapso.first(Api::Platform);
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, &state]).await.ready().await;
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.message(Api::Platform, &conversation).unwrap();
    kapso.swept_twice(&exporter).await;
    exporter.signal("TERM").await;
    exporter.end(Duration::from_secs(5)).await;

    kapso.simulator.set_latency(Duration::from_mins(1));
    let exporter = kapso.watched(&["--scrape.interval=1h", EVER, &state]).await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(counted(&scrape), [1.0, 0.0, 0.0]);
    assert_eq!(scrape.sum("kapso_executions", &[("status", "running")]), 1.0);
    assert_eq!(scrape.value("kapso_up", &[("api", "platform")]), Some(0.0));
}

#[tokio::test]
async fn once_goes_on_counting_from_one_run_to_the_next() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (_folder, state) = state();
    let (workflow, conversation) = kapso.first(Api::Platform);
    for expected in [0.0, 1.0, 2.0] {
        let Finished { code, stdout, stderr } = kapso.run("once", &[EVER, &state]).await;
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(Exposition::parse(&stdout).sum("kapso_executions_started_total", &[]), expected);
        kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
        kapso.simulator.message(Api::Platform, &conversation).unwrap();
    }
}

#[tokio::test]
async fn a_second_exporter_on_the_same_file_is_refused() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (_folder, state) = state();
    let _first = kapso.watched(&[EVERY_SECOND, &state]).await.ready().await;
    let Finished { code, stdout, stderr } = kapso.run("once", &[EVER, &state]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("is in use by another process: stop the other exporter"), "{stderr}");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (folder, state) = state();
    let path = folder.path().join("state.redb");
    fs::write(&path, "precious").unwrap();
    let Finished { code, stderr, .. } = kapso.run("once", &[EVER, &state]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is not a state file of this program"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn the_state_file_tells_its_size_and_when_it_was_written() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (folder, state) = state();
    let exporter = kapso.watched(&[EVERY_SECOND, &state]).await.ready().await;
    let scrape = exporter.scrape().await;
    let size = fs::metadata(folder.path().join("state.redb")).unwrap().len();
    assert_eq!(scrape.value("kapso_exporter_state_errors_total", &[]), Some(0.0));
    kapso.swept_twice(&exporter).await;
    let scrape = exporter.scrape().await;
    assert!(scrape.value("kapso_exporter_state_size_bytes", &[]) >= Some(size as f64));
    assert!(scrape.value("kapso_exporter_state_last_write_timestamp_seconds", &[]) > Some(1.7e9));
}

/// How often the program is killed; more for a longer look.
fn kills() -> usize {
    env::var("KAPSO_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(15)
}

/// Every state lasts long enough to be seen between two deaths.
fn busy() -> Scenario {
    let seconds = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
    Scenario {
        seed: 5,
        conversations: 60,
        history: 100,
        open_history: 10,
        workflows: ["Order Support", "Booking", "Leads"].map(Into::into).into(),
        agents: ["agent-sales", "agent-support"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute: 60.0,
            reply_delay: Duration::from_millis(50)..Duration::from_millis(500),
            dwell: seconds(60, 90),
            handoff_dwell: seconds(60, 90),
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            without_conversation: 0.2,
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

#[tokio::test]
async fn killed_at_any_moment_it_counts_nothing_twice_and_loses_nothing() {
    let kapso = Kapso::start(busy()).await;
    let (_folder, state) = state();
    let flags = [EVERY_SECOND, EVER, ALL, &state];
    let mut rng = fastrand::Rng::with_seed(1);
    let mut seen = [0.0; 3];
    for _ in 0..kills() {
        let exporter = kapso.watched(&flags).await;
        let life = Duration::from_millis(rng.u64(0..3000));
        tokio::time::sleep(life / 2).await;
        for _ in 0..2 {
            let now = counted(&exporter.scrape().await);
            assert!(now.iter().zip(seen).all(|(now, seen)| *now >= seen), "{now:?} after {seen:?}");
            seen = now;
            tokio::time::sleep(life / 2).await;
        }
        exporter.signal("KILL").await;
        exporter.end(Duration::from_secs(5)).await;
    }
    let exporter = kapso.watched(&flags).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    kapso.simulator.stop_traffic();
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform, Api::Legacy]).await;
    assert!(counted(&exporter.scrape().await)[0] > 10.0);
}

/// The program under a limit on the size of the files that it writes, which stands for a full disk.
#[tokio::test]
async fn a_disk_that_is_full_is_said_and_counted_and_the_numbers_go_on() {
    let kapso = Kapso::start(busy()).await;
    let (_folder, state) = state();
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, ALL, &state]).await.ready().await;
    exporter.limit_files(1 << 16).await;
    wait_for("a failure to write", async || {
        exporter.scrape().await.sum("kapso_exporter_state_errors_total", &[]) > 0.0
    })
    .await;
    assert_eq!(exporter.log().matches("state is not written").count(), 1);
    let before = counted(&exporter.scrape().await)[0];
    wait_for("counting that goes on", async || counted(&exporter.scrape().await)[0] > before).await;
    exporter.limit_files(u64::MAX).await;
    wait_for("state that is written again", async || exporter.log().contains("state is written again")).await;
}
