//! Items whose times and statuses can't be.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, OddTime, OddTimes, Scenario},
};

use super::{INTERVAL, PLATFORM, SOON, move_to, only, open, right_within, start_in, watching};
use crate::support::{Setup, Simulated};

fn fifty_conversations() -> Scenario {
    Scenario { conversations: 50, ..Scenario::quiet(1) }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_cannot_be_is_an_end_and_in_no_sum() {
    for source in [Source::Conversations, Source::Workflows] {
        for what in [OddTime::EndIn2200, OddTime::EndIn9999, OddTime::EndAtEpoch, OddTime::EndBeforeStart] {
            let kapso = Simulated::start(fifty_conversations(), &watching(&[source])).await;
            let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform)[..10]);
            right_within(&kapso, PLATFORM, SOON).await;
            let odd = OddTimes { what, percent: 100 };
            kapso.simulator.misbehave(only(|wrong| wrong.odd_times = Some(odd)));
            move_to(&kapso, &started, "ended");
            tokio::time::sleep(INTERVAL * 3).await;
            let scrape = kapso.scrape();
            let sum = scrape.sum("kapso_execution_duration_seconds_sum", &[]);
            assert!((0.0..3600.0 * 10.0).contains(&sum), "{sum} s for {what:?}");
            assert_eq!(open(&scrape, "platform"), 0.0, "{what:?}: they are over");
            assert_eq!(scrape.sum("kapso_executions_finished_total", &[]), 10.0, "{what:?}");
            let delay = scrape.sum("kapso_execution_detection_delay_seconds_sum", &[]);
            assert!((0.0..3600.0).contains(&delay), "{delay} s for {what:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn conversations_that_claim_to_be_active_next_year_hide_no_other() {
    let kapso = Simulated::start(fifty_conversations(), &watching(&[Source::Conversations])).await;
    right_within(&kapso, PLATFORM, SOON).await;
    let odd = OddTimes { what: OddTime::ActiveNextYear, percent: 30 };
    kapso.simulator.misbehave(only(|wrong| wrong.odd_times = Some(odd)));
    tokio::time::sleep(INTERVAL * 3).await;
    let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform));
    right_within(&kapso, PLATFORM, SOON).await;
    kapso.simulator.behave();
    move_to(&kapso, &started, "ended");
    right_within(&kapso, PLATFORM, SOON).await;
    start_in(&kapso, &[kapso.simulator.add_conversation(Api::Platform)]);
    right_within(&kapso, PLATFORM, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_status_with_an_end_is_over_and_not_asked_for_any_more() {
    for source in [Source::Conversations, Source::Workflows] {
        let lookback = Duration::from_mins(5);
        let kapso = Simulated::start(fifty_conversations(), &Setup { lookback, ..watching(&[source]) }).await;
        let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform));
        tokio::time::sleep(SOON).await;
        for id in &started {
            kapso.simulator.end_as(id, "evaporated").unwrap();
        }
        tokio::time::sleep(SOON).await;
        let unknown = kapso.scrape().sum("kapso_executions", &[("status", "unknown")]);
        assert_eq!((unknown, open(&kapso.scrape(), "platform")), (50.0, 0.0), "within the lookback");
        tokio::time::sleep(Duration::from_mins(15)).await;
        let scrape = kapso.scrape();
        assert_eq!(scrape.sum("kapso_executions", &[]), 0.0, "after the lookback");
        assert_eq!(scrape.sum("kapso_executions_finished_total", &[]), 0.0);
        let before = kapso.simulator.requests().len();
        tokio::time::sleep(INTERVAL * 10).await;
        let asked = kapso.simulator.requests().len() - before;
        assert!(asked < 150, "{asked} requests in ten sweeps after {source:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_resumed_long_after_its_end_is_no_second_start() {
    for source in [Source::Conversations, Source::Workflows] {
        let lookback = Duration::from_mins(5);
        let kapso = Simulated::start(fifty_conversations(), &Setup { lookback, ..watching(&[source]) }).await;
        let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform)[..10]);
        tokio::time::sleep(SOON).await;
        move_to(&kapso, &started, "failed");
        tokio::time::sleep(Duration::from_mins(30)).await;
        move_to(&kapso, &started, "running");
        tokio::time::sleep(Duration::from_mins(75)).await;
        let scrape = kapso.scrape();
        let counted = |name| scrape.sum(name, &[]);
        let counts = (
            counted("kapso_executions_started_total"),
            counted("kapso_executions_finished_total"),
            open(&scrape, "platform"),
        );
        assert_eq!(counts, (10.0, 10.0, 10.0), "{source:?}");
        move_to(&kapso, &started, "ended");
        tokio::time::sleep(SOON).await;
        assert_eq!(kapso.scrape().sum("kapso_executions_finished_total", &[]), 10.0, "{source:?}");
    }
}
