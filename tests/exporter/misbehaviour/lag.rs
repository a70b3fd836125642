//! Replicas that lag behind.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Lag, Misbehaviour, Scenario, Traffic},
};

use super::{INTERVAL, PLATFORM, SOON, move_to, only, right_within, start_in, throughout, watching};
use crate::support::{Setup, Simulated};

const BOTH: [Source; 2] = [Source::Conversations, Source::Workflows];

/// Every second answer is so many seconds old.
fn behind(seconds: u64) -> Misbehaviour {
    let lag = Lag { behind: Duration::from_secs(seconds), one_in: 2 };
    only(|wrong| wrong.lag = Some(lag))
}

fn often(sources: &[Source]) -> Setup {
    Setup { interval: Duration::from_secs(5), ..watching(sources) }
}

#[tokio::test(start_paused = true)]
async fn one_handoff_that_every_second_answer_does_not_know_yet_is_counted_once() {
    for sources in [&[Source::Conversations][..], &[Source::Workflows], &BOTH] {
        let kapso = Simulated::start(Scenario::quiet(1), &often(sources)).await;
        let conversation = kapso.simulator.conversation_ids(Api::Platform);
        let started = start_in(&kapso, &conversation[..1]);
        right_within(&kapso, PLATFORM, SOON).await;
        kapso.simulator.misbehave(behind(120));
        tokio::time::sleep(INTERVAL * 5).await;
        move_to(&kapso, &started, "handoff");
        throughout(Duration::from_mins(3), || {
            let handoffs = kapso.scrape().sum("kapso_execution_handoffs_total", &[]);
            assert!(handoffs <= 1.0, "{handoffs} handoffs for one with {sources:?}");
        })
        .await;
        let scrape = kapso.scrape();
        assert!(scrape.sum("kapso_exporter_stale_answers_total", &[]) >= 1.0, "{sources:?}");
        right_within(&kapso, PLATFORM, SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_handoffs_are_counted_once_each_behind_a_realistic_lag() {
    let traffic = Traffic {
        starts_per_minute: 10.0,
        dwell: Duration::from_secs(20)..Duration::from_secs(40),
        handoff_dwell: Duration::from_secs(20)..Duration::from_secs(40),
        handoff_ratio: 1.0,
        ..Traffic::default()
    };
    let scenario = Scenario { conversations: 10, traffic, ..Scenario::quiet(1) };
    let kapso = Simulated::start(scenario, &often(&BOTH)).await;
    kapso.simulator.misbehave(behind(2));
    tokio::time::sleep(Duration::from_mins(30)).await;
    kapso.simulator.stop_traffic();
    kapso.simulator.behave();
    right_within(&kapso, PLATFORM, SOON).await;
    assert!(kapso.scrape().sum("kapso_execution_handoffs_total", &[]) > 250.0);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_know_the_newest_executions_takes_none_of_them_away() {
    for sources in [&[Source::Conversations][..], &[Source::Workflows], &BOTH] {
        let kapso = Simulated::start(Scenario::quiet(1), &often(sources)).await;
        right_within(&kapso, PLATFORM, SOON).await;
        kapso.simulator.misbehave(behind(600));
        let conversations = kapso.simulator.conversation_ids(Api::Platform);
        start_in(&kapso, &conversations);
        tokio::time::sleep(INTERVAL).await;
        throughout(Duration::from_mins(9), || {
            let shown = super::open(&kapso.scrape(), "platform");
            assert_eq!(shown, 3.0, "{sources:?}");
        })
        .await;
        right_within(&kapso, PLATFORM, SOON).await;
    }
}
