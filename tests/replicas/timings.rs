//! How long a project has no owner: after a SIGKILL, and after a SIGTERM.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    fleet::{Database, Fleet},
    machine::{BUSY, left_out, number, turn_alone},
    projects::{AMPLE, Life, Projects},
    support::Exposition,
};

/// How a replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Killed,
    Stopped,
}

/// So many quiet projects on three replicas with this time to live.
async fn started(count: usize, ttl: &str) -> Option<(Database, Projects, Fleet)> {
    let (database, mut projects) = (Database::start().await?, Projects::new());
    for _ in 0..count {
        projects.add(Life::Quiet, AMPLE).await;
    }
    // Who takes over does not wait for an interval to pass.
    projects.write("    interval: 30s\n");
    let flag = format!("--replica.lease-ttl={ttl}");
    let fleet = Fleet::start(3, &database, &projects, &[&flag]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    Some((database, projects, fleet))
}

/// Ends the replica that shows the most, and starts another in its place. For each of its projects: how long it took
/// until another replica had swept it (after a SIGKILL), or showed it (after a SIGTERM).
async fn take_overs(fleet: &mut Fleet, end: End) -> Vec<Duration> {
    let (mut projects, mut slot) = (BTreeSet::new(), 0);
    for candidate in fleet.slots_running() {
        let shown: BTreeSet<_> = fleet.shown_by(candidate).await.into_iter().collect();
        if shown.len() > projects.len() {
            (projects, slot) = (shown, candidate);
        }
    }
    assert!(!projects.is_empty(), "{}", fleet.logs_in_file());
    let (begun, at) = (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap());
    match end {
        End::Killed => fleet.kill(slot).await,
        End::Stopped => _ = fleet.stop(slot).await,
    }
    let mut took = Vec::new();
    while !projects.is_empty() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "nobody takes {projects:?}: {}",
            fleet.logs_in_file()
        );
        for exposition in fleet.scrape().await {
            let taken = |project: &String| is_taken(&exposition, project, end, at.as_secs_f64());
            let taken: Vec<_> = projects.extract_if(.., |project| taken(project)).collect();
            took.extend(taken.iter().map(|_| begun.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fleet.start_again(slot).await;
    took
}

fn is_taken(exposition: &Exposition, project: &str, end: End, at: f64) -> bool {
    let labels = [("project", project)];
    if end == End::Stopped {
        return exposition.has("kapso_up", &labels);
    }
    let success = exposition.value("kapso_exporter_sweep_last_success_timestamp_seconds", &labels);
    success.is_some_and(|success| success > at)
}

/// Prints how long so many ends took, and returns the 95th percentile.
async fn measured(fleet: &mut Fleet, end: End, events: u64) -> Duration {
    let mut took = Vec::new();
    for _ in 0..events {
        took.extend(take_overs(fleet, end).await);
    }
    took.sort_unstable();
    let quantile = |q: f64| took[((took.len() - 1) as f64 * q).ceil() as usize];
    let (p50, p95, max) = (quantile(0.5), quantile(0.95), quantile(1.0));
    eprintln!("{end:?}: {} take-overs: p50 {p50:.2?}, p95 {p95:.2?}, max {max:.2?}", took.len());
    p95
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_has_swept_soon_after_a_sigkill_and_shows_at_once_after_a_sigterm() {
    let _turn = turn_alone().await;
    let Some((_database, _projects, mut fleet)) = started(6, "3s").await else {
        return left_out("how long a project has no owner");
    };
    let stopped = measured(&mut fleet, End::Stopped, 2).await;
    assert!(stopped < BUSY, "{stopped:?} after SIGTERM");
    let killed = measured(&mut fleet, End::Killed, 2).await;
    assert!(killed < Duration::from_secs(3) + BUSY, "{killed:?} after SIGKILL");
    fleet.assert_no_faults();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes ten minutes"]
async fn as_by_default_another_replica_has_swept_17_s_after_a_sigkill_and_shows_2_s_after_a_sigterm() {
    let _turn = turn_alone().await;
    let Some((_database, _projects, mut fleet)) = started(60, "15s").await else {
        return left_out("how long a project has no owner, as by default");
    };
    let events = number("KAPSO_TEST_EVENTS", 12);
    let stopped = measured(&mut fleet, End::Stopped, events).await;
    let killed = measured(&mut fleet, End::Killed, events).await;
    fleet.assert_no_faults();
    assert!(stopped < Duration::from_secs(2), "{stopped:?} after SIGTERM");
    assert!(killed < Duration::from_secs(15 + 2), "{killed:?} after SIGKILL");
}
