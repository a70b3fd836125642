//! Replicas that are killed, stand still, stop and start again, at random: the numbers are right afterwards, and were
//! never shown twice.

use std::time::{Duration, Instant};

use crate::{
    balancer::Balancer,
    events::{Event, draw},
    fleet::{Database, Fleet},
    machine::{left_out, number, turn},
    projects::{AMPLE, Life, Projects, TAKES_DELIVERIES},
};

const TTL: Duration = Duration::from_secs(3);
/// Requests a minute for a project that would like to make more.
const TIGHT: u32 = 120;

/// So many projects: one key that two have, which are not told of anything, those that are, and some that would like to
/// make more requests than they may.
async fn projects(count: usize) -> Projects {
    let (mut projects, tight) = (Projects::new(), count / 6);
    projects.add(Life::Starts, AMPLE).await;
    projects.add_twin();
    for _ in 2 + tight..count {
        projects.add(Life::Told, AMPLE).await;
    }
    for _ in 0..tight {
        projects.add(Life::Starts, TIGHT).await;
    }
    projects.write(TAKES_DELIVERIES);
    projects
}

async fn happen(fleet: &mut Fleet, event: Event) {
    match event {
        Event::Kill { slot, away } => {
            fleet.kill(slot).await;
            tokio::time::sleep(away).await;
            fleet.start_again(slot).await;
        }
        Event::KillTwo { slots, away } => {
            for slot in slots {
                fleet.kill(slot).await;
            }
            tokio::time::sleep(away).await;
            for slot in slots {
                fleet.start_again(slot).await;
            }
        }
        Event::Freeze { slot, time } => fleet.freeze(slot, time).await,
        Event::Stop { slot, away } => {
            fleet.stop(slot).await;
            tokio::time::sleep(away).await;
            fleet.start_again(slot).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_replicas_each_project_is_shown_once_and_every_number_is_right_afterwards() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("replicas that are killed, stand still and stop at random");
    };
    let (seed, events) =
        (number("KAPSO_TEST_SEED", fastrand::u64(..1_000_000)), number("KAPSO_TEST_EVENTS", 12));
    let projects = projects(number("KAPSO_TEST_PROJECTS", 12) as usize).await;
    eprintln!("KAPSO_TEST_SEED={seed} KAPSO_TEST_EVENTS={events}");
    let mut fleet = Fleet::start(3, &database, &projects, &["--replica.lease-ttl=3s"]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    let balancer = Balancer::start(&fleet.addresses()).await;
    projects.tell(&balancer);
    let begun = Instant::now();
    for (number, drawn) in draw(seed, events, 3, TTL).into_iter().enumerate() {
        eprintln!("{:6.1} s, event {number}: {:?}", begun.elapsed().as_secs_f64(), drawn.event);
        happen(&mut fleet, drawn.event).await;
        tokio::time::sleep(drawn.pause).await;
    }
    projects.stop_traffic();
    let quiet = Instant::now();
    fleet.wait_until_exact(&projects).await;
    eprintln!("exact after {:.1} s; {}", quiet.elapsed().as_secs_f64(), projects.busiest_minutes());
    fleet.assert_no_faults();
    let counted = fleet.scrape().await;
    let told = |result| {
        counted
            .iter()
            .map(|all| all.sum("kapso_exporter_webhook_deliveries_total", &[("result", result)]))
            .sum::<f64>()
    };
    eprintln!(
        "{:.1} s, told {} times, and {} times again",
        begun.elapsed().as_secs_f64(),
        told("accepted"),
        told("duplicate")
    );
    assert_eq!(projects.over_budget(), Vec::<String>::new(), "{}", fleet.logs_in_file());
    let started: f64 =
        fleet.scrape().await.iter().map(|all| all.sum("kapso_executions_started_total", &[])).sum();
    assert!(started > 50.0, "{started} executions started");
}
