//! The numbers are right: after a time of traffic, every one of them equals the simulator's own tally.

use std::{env, sync::Arc, time::Duration};

use jiff::SignedDuration;
use kapso_exporter::{
    ledger::Buckets,
    model::Source,
    simulator::{Api, Fault, Faults, Scenario, Traffic},
};

use crate::support::{
    Exposition, Kapso, Setup, Simulated, differences, judge::differences_within, wait_until_equal,
};

const BOTH: [Api; 2] = [Api::Platform, Api::Legacy];
/// The sources that list executions by conversation.
const LISTS: [Source; 2] = [Source::Agents, Source::Conversations];

/// So many starts a minute on each API. Every state lasts at least `dwell`, so that polling can see it.
fn busy(seed: u64, starts_per_minute: f64, dwell: u64) -> Scenario {
    let seconds = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
    Scenario {
        seed,
        conversations: 150,
        history: 200,
        open_history: 20,
        busy_conversation: 130,
        workflows: ["Order Support", "Booking", "Leads", "Returns", "FAQ"].map(Into::into).into(),
        agents: ["agent-sales", "agent-support"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute,
            reply_delay: Duration::from_millis(50)..Duration::from_millis(500),
            dwell: seconds(dwell, 2 * dwell),
            handoff_dwell: seconds(dwell, 2 * dwell),
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            conversation_changes_per_minute: 60.0,
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

/// All but refusals that do not say for how long: the exporter waits a minute then, longer than states last here.
fn every_fault() -> Faults {
    let kinds = Fault::ALL.into_iter().filter(|&fault| fault != Fault::OddRefusal).collect();
    Faults { one_in: 7, kinds }
}

fn assert_something_was_counted(scrape: &Exposition, apis: &[Api]) {
    for name in [
        "kapso_executions_started_total",
        "kapso_executions_finished_total",
        "kapso_execution_handoffs_total",
    ] {
        for api in apis {
            assert!(scrape.sum(name, &[("api", api.name())]) > 0.0, "{name} of {}", api.name());
        }
    }
}

/// Five minutes of traffic and the time to read the last of it, simulated.
async fn five_minutes_equal_the_tally(scenario: Scenario, faults: Faults, sources: &[Source]) {
    let seed = scenario.seed;
    let setup = Setup { sources: sources.into(), ..Setup::default() };
    let simulated = Simulated::start(scenario, &setup).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    simulated.simulator.set_faults(faults);
    tokio::time::sleep(Duration::from_mins(5)).await;
    simulated.simulator.stop_traffic();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let scrape = simulated.scrape();
    let apis: Vec<_> = BOTH.into_iter().filter(|api| watched(*api, sources)).collect();
    assert_something_was_counted(&scrape, &apis);
    assert_eq!(differences(&simulated.simulator, &scrape, &apis), Vec::<String>::new(), "seed {seed}");
}

fn watched(api: Api, sources: &[Source]) -> bool {
    sources.iter().any(|source| source.api().as_str() == api.name())
}

#[tokio::test(start_paused = true)]
async fn five_minutes_of_traffic_on_both_apis_are_counted_to_the_last_execution() {
    for seed in 1..=3 {
        five_minutes_equal_the_tally(busy(seed, 60.0, 20), Faults::default(), &LISTS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn and_so_they_are_while_one_request_in_seven_fails() {
    for seed in 4..=6 {
        five_minutes_equal_the_tally(busy(seed, 60.0, 40), every_fault(), &LISTS).await;
    }
}

/// A fifth of the executions belong to no conversation.
fn busy_without_conversations(seed: u64, dwell: u64) -> Scenario {
    let busy = busy(seed, 60.0, dwell);
    Scenario { traffic: Traffic { without_conversation: 0.2, ..busy.traffic }, ..busy }
}

#[tokio::test(start_paused = true)]
async fn auto_and_workflows_show_every_execution_also_those_without_a_conversation() {
    for seed in 7..=9 {
        let scenario = busy_without_conversations(seed, 20);
        for source in [Source::Auto, Source::Workflows] {
            five_minutes_equal_the_tally(scenario.clone(), Faults::default(), &[source]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn auto_and_workflows_show_them_while_one_request_in_seven_fails() {
    for seed in 10..=12 {
        let scenario = busy_without_conversations(seed, 40);
        for source in [Source::Auto, Source::Workflows] {
            five_minutes_equal_the_tally(scenario.clone(), every_fault(), &[source]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_sources_together_count_each_execution_once() {
    for (seed, faults) in [(13, Faults::default()), (14, every_fault()), (15, every_fault())] {
        five_minutes_equal_the_tally(busy_without_conversations(seed, 40), faults, &Source::ALL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_starts_again_counts_from_there_on() {
    let (scenario, setup) = (busy(7, 60.0, 20), Setup::default());
    let mut simulated = Simulated::start(scenario, &setup).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    let before = simulated.scrape().sum("kapso_executions_started_total", &[]);
    simulated.restart(&setup);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(simulated.scrape().sum("kapso_executions_started_total", &[]) < before);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_is_killed_every_minute_and_remembers_counts_each_execution_once() {
    let setup = Setup { sources: Source::ALL.into(), ..Setup::default() };
    let mut simulated = Simulated::start(busy_without_conversations(16, 40), &setup).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let kept = simulated.keep();
        tokio::time::sleep(Duration::from_secs(10)).await;
        simulated.restart_with(&kept, &setup);
    }
    simulated.simulator.stop_traffic();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let scrape = simulated.scrape();
    assert_something_was_counted(&scrape, &BOTH);
    assert_eq!(differences(&simulated.simulator, &scrape, &BOTH), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn another_lookback_and_other_buckets_take_effect_without_losing_a_count() {
    let scenario = busy_without_conversations(17, 40);
    let setup = Setup { sources: Source::ALL.into(), ..Setup::default() };
    let mut simulated = Simulated::start(scenario, &setup).await;
    for minutes in 1..=6_u32 {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let bounds: Arc<[f64]> = [30.0 * f64::from(minutes), 600.0].into();
        let buckets = Buckets { duration: bounds.clone(), delay: bounds, ..Buckets::default() };
        let lookback = Duration::from_mins(60 - 5 * u64::from(minutes));
        simulated.reconfigure(&Setup { lookback, buckets, ..setup.clone() });
    }
    simulated.simulator.stop_traffic();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let (scrape, lookback) = (simulated.scrape(), Duration::from_mins(30));
    assert_something_was_counted(&scrape, &BOTH);
    assert_eq!(differences_within(lookback, &simulated.simulator, &scrape, &BOTH), Vec::<String>::new());
    let bounds = scrape.values_of("kapso_execution_duration_seconds_bucket", "le");
    assert_eq!(bounds, ["180", "600", "+Inf"].into());
}

/// Seconds of traffic for the program itself; more of it for a longer look.
fn traffic_time() -> Duration {
    let seconds = env::var("KAPSO_TEST_TRAFFIC_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(35))
}

async fn the_program_equals_the_tally(scenario: Scenario, faults: Faults, timeout: &str) {
    let kapso = Kapso::start(scenario).await;
    let flags = [
        "--scrape.interval=1s",
        "--scrape.source=conversations,agents",
        "--scrape.conversation-max-age=3650d",
        timeout,
    ];
    let exporter = kapso.watched(&flags).await.ready().await;
    kapso.simulator.set_faults(faults);
    tokio::time::sleep(traffic_time()).await;
    kapso.simulator.stop_traffic();
    wait_until_equal(&kapso.simulator, &exporter, &BOTH).await;
    assert!(exporter.scrape().await.sum("kapso_executions_started_total", &[]) > 50.0);
}

#[tokio::test]
async fn the_program_counts_both_apis_to_the_last_execution() {
    the_program_equals_the_tally(busy(1, 120.0, 9), Faults::default(), "--scrape.timeout=10s").await;
}

#[tokio::test]
async fn the_program_counts_to_the_last_execution_while_one_request_in_seven_fails() {
    the_program_equals_the_tally(busy(2, 120.0, 12), every_fault(), "--scrape.timeout=500ms").await;
}

/// Conversations come to rest, are archived, and come back, also after the exporter was started again.
#[tokio::test(start_paused = true)]
async fn conversations_that_rest_for_days_and_come_back_are_counted_to_the_last_execution() {
    let minutes = |from, to| Duration::from_mins(from)..Duration::from_mins(to);
    let scenario = Scenario {
        seed: 11,
        conversations: 40,
        history: 60,
        open_history: 5,
        workflows: ["Order Support", "Booking"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute: 0.02,
            dwell: minutes(40, 80),
            handoff_dwell: minutes(40, 80),
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            silent_starts: 0.2,
            ..Traffic::default()
        },
        ..Scenario::default()
    };
    let setup = Setup {
        sources: vec![Source::Conversations, Source::Workflows],
        interval: Duration::from_mins(5),
        lookback: Duration::from_mins(30),
        remembered: Duration::from_mins(30),
        max_age: SignedDuration::from_hours(3),
        ..Setup::default()
    };
    let mut simulated = Simulated::start(scenario, &setup).await;
    for day in 1..=6 {
        tokio::time::sleep(Duration::from_hours(24)).await;
        let kept = simulated.keep();
        let (_, platform) = kept.iter().find(|(account, _)| account.ends_with("/platform")).unwrap();
        assert!(day < 3 || platform.archive.len() > 5, "{} are archived", platform.archive.len());
        simulated.restart_with(&kept, &setup);
    }
    simulated.simulator.stop_traffic();
    tokio::time::sleep(Duration::from_mins(20)).await;
    let scrape = simulated.scrape();
    assert_something_was_counted(&scrape, &[Api::Platform]);
    let all = differences_within(setup.lookback, &simulated.simulator, &scrape, &[Api::Platform]);
    // Those at rest are not watched: the tally knows them all.
    let differences: Vec<_> = all.iter().filter(|line| !line.starts_with("kapso_conversations")).collect();
    assert!(differences.is_empty(), "{differences:?}");
}
