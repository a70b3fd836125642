//! Clocks that are wrong, and clocks that are set.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario, Simulator},
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

/// Kapso's `Date` is off until 20 s after the exporter's start, with traffic all the while.
async fn a_date_is_off_right_after_a_start(offset: SignedDuration, skew: SignedDuration) {
    for sources in SOURCES {
        let apis = apis(sources);
        let setup = Setup { skew, ..watching(sources) };
        let prepare = |simulator: &Simulator| simulator.set_date_offset(offset);
        let kapso = Simulated::start_after(business(), &setup, prepare).await;
        let started = kapso.simulator.now();
        for second in 0..60 {
            if second == 20 {
                kapso.simulator.set_date_offset(SignedDuration::ZERO);
            }
            if second % 10 == 5 {
                something_happens_on(&kapso, &apis);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        right_within(&kapso, &apis, LATER).await;
        watching_since(&kapso, &apis, started);
    }
}

fn something_happens_on(kapso: &Simulated, apis: &[Api]) {
    for &api in apis {
        something_happens(kapso, api);
    }
}

/// Watching began then, give or take what a `Date` leaves open.
fn watching_since(kapso: &Simulated, apis: &[Api], started: Timestamp) {
    let started = started.as_millisecond() as f64 / 1000.0;
    let scrape = kapso.scrape();
    for api in apis {
        let name = "kapso_exporter_watch_start_timestamp_seconds";
        let since = scrape.value(name, &[("api", api.name())]).unwrap();
        assert!((since - started).abs() <= 1.5, "{}: {since} instead of {started}", api.name());
    }
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_ahead_right_after_a_start() {
    a_date_is_off_right_after_a_start(SignedDuration::from_mins(5), SignedDuration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_behind_right_after_a_start() {
    a_date_is_off_right_after_a_start(SignedDuration::from_mins(-5), SignedDuration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn kapsos_clock_may_be_off_right_after_a_start_while_ours_is_wrong() {
    for minutes in [5, -5] {
        for hours in [1, -1] {
            let (offset, skew) = (SignedDuration::from_mins(minutes), SignedDuration::from_hours(hours));
            a_date_is_off_right_after_a_start(offset, skew).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_clock_of_ours_that_is_wrong_takes_half_a_minute_more() {
    for (sources, hours) in SOURCES.into_iter().zip([1, -1]) {
        let apis = apis(sources);
        let setup = Setup { skew: SignedDuration::from_hours(hours), ..watching(sources) };
        let kapso = Simulated::start(business(), &setup).await;
        let started = kapso.simulator.now();
        tokio::time::sleep(Duration::from_secs(5)).await;
        something_happens_on(&kapso, &apis);
        assert!(!is_up(&kapso.scrape(), apis[0].name()));
        right_within(&kapso, &apis, Duration::from_secs(30)).await;
        watching_since(&kapso, &apis, started);
    }
}
