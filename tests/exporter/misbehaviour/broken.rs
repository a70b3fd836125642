//! Lists that never work, while all others are well.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Breakage, Scenario, Simulator},
};

use super::{INTERVAL, PLATFORM, SOON, is_up, move_to, only, right_within, start_in, throughout, watching};
use crate::support::{Setup, Simulated};

fn break_lists(simulator: &Simulator, ids: &[String], breakage: Breakage) {
    let broken = ids.iter().cloned().map(|id| (id, breakage)).collect();
    simulator.misbehave(only(|wrong| wrong.broken = broken));
}

/// A request that hangs does so for a whole interval.
fn impatient() -> Setup {
    let interval = Duration::from_secs(10);
    Setup { interval, timeout: interval, ..watching(&[Source::Conversations]) }
}

/// Of sixty conversations, so many lists stop working after a while: the others go on as if nothing had happened.
/// All have open executions, which move without a message, so that only their lists can tell.
async fn the_healthy_are_asked_while_some_are_broken(count: usize, breakage: Breakage) {
    let scenario = Scenario { conversations: 60, ..Scenario::quiet(1) };
    let kapso = Simulated::start(scenario, &impatient()).await;
    let ids = kapso.simulator.conversation_ids(Api::Platform);
    let started = start_in(&kapso, &ids);
    right_within(&kapso, PLATFORM, SOON).await;
    break_lists(&kapso.simulator, &ids[..count], breakage);
    for turn in 0..20 {
        tokio::time::sleep(INTERVAL).await;
        move_to(&kapso, &started[count..], ["waiting", "running"][turn % 2]);
        right_within(&kapso, PLATFORM, impatient().interval * 3).await;
        assert!(!is_up(&kapso.scrape(), "platform"), "{count} lists fail");
    }
    assert!(kapso.scrape().sum("kapso_exporter_failing_lists", &[]) >= 1.0);
    kapso.simulator.behave();
    move_to(&kapso, &started[..count], "ended");
    right_within(&kapso, PLATFORM, Duration::from_mins(30)).await;
    tokio::time::sleep(INTERVAL * 2).await;
    assert!(is_up(&kapso.scrape(), "platform"));
    assert_eq!(kapso.scrape().value("kapso_exporter_failing_lists", &[]), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn lists_that_fail_for_good_keep_nobody_from_being_asked() {
    the_healthy_are_asked_while_some_are_broken(20, Breakage::ServerError).await;
}

#[tokio::test(start_paused = true)]
async fn lists_that_are_forbidden_keep_nobody_from_being_asked() {
    the_healthy_are_asked_while_some_are_broken(20, Breakage::Forbidden).await;
}

#[tokio::test(start_paused = true)]
async fn lists_that_hang_keep_nobody_from_being_asked() {
    the_healthy_are_asked_while_some_are_broken(8, Breakage::Hangs).await;
}

#[tokio::test(start_paused = true)]
async fn lists_that_were_broken_from_the_first_keep_nobody_from_being_asked() {
    for (count, breakage) in [(20, Breakage::ServerError), (12, Breakage::Hangs)] {
        let scenario = Scenario { conversations: 60, ..Scenario::quiet(1) };
        let kapso = Simulated::start_after(scenario, &impatient(), |simulator| {
            let ids = simulator.conversation_ids(Api::Platform);
            let (broken, healthy) = ids.split_at(count);
            for id in healthy {
                simulator.start(Api::Platform, "flow_1", Some(id)).unwrap();
            }
            // The most active ones are found first.
            for id in broken {
                simulator.message(Api::Platform, id).unwrap();
            }
            break_lists(simulator, broken, breakage);
        })
        .await;
        right_within(&kapso, PLATFORM, impatient().interval * 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn workflows_lists_that_never_work_keep_no_other_from_being_asked() {
    for breakage in [Breakage::ServerError, Breakage::Hangs] {
        let workflows = (1..=30).map(|number| format!("Workflow {number}")).collect();
        let scenario = Scenario { workflows, ..Scenario::quiet(1) };
        let kapso = Simulated::start(scenario, &watching(&[Source::Workflows])).await;
        let ids = kapso.simulator.workflow_ids(Api::Platform);
        let start = |id: &String| kapso.simulator.start(Api::Platform, id, None).unwrap();
        let started: Vec<String> = ids.iter().map(start).collect();
        right_within(&kapso, PLATFORM, SOON).await;
        break_lists(&kapso.simulator, &ids[..15], breakage);
        for turn in 0..20 {
            tokio::time::sleep(INTERVAL).await;
            move_to(&kapso, &started[15..], ["waiting", "running"][turn % 2]);
            right_within(&kapso, PLATFORM, INTERVAL * 3).await;
        }
        throughout(INTERVAL * 3, || assert!(!is_up(&kapso.scrape(), "platform"))).await;
    }
}
