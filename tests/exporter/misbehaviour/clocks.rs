//! Clocks that are wrong, and clocks that are set.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_exporter::{
    simulator::{Api, Scenario},
    source::Source,
};

use super::{INTERVAL, LATER, SOON, apis, business, is_up, right_within, something_happens, watching};
use crate::support::{Setup, Simulated};

const SOURCES: [&[Source]; 2] = [&[Source::Conversations, Source::Agents], &[Source::Workflows]];

/// News goes on, and after each of the jumps everything is asked again and right.
async fn survives(jump: impl AsyncFn(&Simulated)) {
    for sources in SOURCES {
        let apis = apis(sources);
        let kapso = Simulated::start(business(), &watching(sources)).await;
        right_within(&kapso, &apis, SOON).await;
        jump(&kapso).await;
        for _ in 0..3 {
            for &api in &apis {
                something_happens(&kapso, api);
            }
            right_within(&kapso, &apis, LATER).await;
            tokio::time::sleep(INTERVAL * 3).await;
        }
        for api in apis {
            assert!(is_up(&kapso.scrape(), api.name()));
        }
    }
}

/// Kapso's `Date` is ahead for ten seconds and more, so that several answers tell so.
async fn kapso_is_ahead_for_a_while(kapso: &Simulated, ahead: SignedDuration) {
    kapso.simulator.set_date_offset(ahead);
    tokio::time::sleep(INTERVAL + Duration::from_secs(10)).await;
    kapso.simulator.set_date_offset(SignedDuration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_ahead_by_two_minutes_for_a_while() {
    survives(async |kapso| kapso_is_ahead_for_a_while(kapso, SignedDuration::from_mins(2)).await).await;
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_ahead_by_an_hour_for_a_while() {
    survives(async |kapso| kapso_is_ahead_for_a_while(kapso, SignedDuration::from_hours(1)).await).await;
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_behind_by_an_hour_for_a_while() {
    survives(async |kapso| kapso_is_ahead_for_a_while(kapso, SignedDuration::from_hours(-1)).await).await;
}

#[tokio::test(start_paused = true)]
async fn our_clock_may_be_set_back_by_an_hour() {
    survives(async |kapso| kapso.step_clock(SignedDuration::from_hours(-1))).await;
}

#[tokio::test(start_paused = true)]
async fn our_clock_may_be_set_forward_by_an_hour() {
    survives(async |kapso| kapso.step_clock(SignedDuration::from_hours(1))).await;
}

#[tokio::test(start_paused = true)]
async fn our_clock_may_run_astray_and_come_back_many_times() {
    survives(async |kapso| {
        for hours in [48, -72, 1, -1, 24, 0] {
            kapso.step_clock(SignedDuration::from_hours(hours));
            tokio::time::sleep(INTERVAL / 2).await;
        }
    })
    .await;
}

/// Our clock is behind by days at the start and set so soon after.
async fn history_is_no_news_when_the_clock_is_set(after: Duration) {
    let scenario = Scenario {
        history: 300,
        conversations: 40,
        latency: Duration::from_millis(500),
        ..Scenario::quiet(1)
    };
    for sources in SOURCES {
        let apis = apis(sources);
        let skew = SignedDuration::from_hours(-72);
        let kapso = Simulated::start(scenario.clone(), &Setup { skew, ..watching(sources) }).await;
        tokio::time::sleep(after).await;
        kapso.step_clock(SignedDuration::from_hours(72));
        tokio::time::sleep(LATER).await;
        let scrape = kapso.scrape();
        assert_eq!(scrape.sum("kapso_executions_finished_total", &[]), 0.0, "{sources:?} after {after:?}");
        assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 0.0, "{sources:?} after {after:?}");
        something_happens(&kapso, apis[0]);
        right_within(&kapso, &apis, LATER).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_days_behind_at_the_start_makes_no_news_of_history() {
    for after in [0, 250, 750, 20_000, 600_000] {
        history_is_no_news_when_the_clock_is_set(Duration::from_millis(after)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_within_a_restart_counts_nothing_twice() {
    for jump in [-1, 1, -72] {
        let kapso_apis = [Api::Platform];
        let setup = watching(&[Source::Conversations]);
        let mut kapso = Simulated::start(business(), &setup).await;
        right_within(&kapso, &kapso_apis, SOON).await;
        something_happens(&kapso, Api::Platform);
        right_within(&kapso, &kapso_apis, SOON).await;
        let kept = kapso.keep();
        kapso.step_clock(SignedDuration::from_hours(jump));
        kapso.restart_with(&kept, &setup);
        something_happens(&kapso, Api::Platform);
        right_within(&kapso, &kapso_apis, LATER).await;
    }
}
