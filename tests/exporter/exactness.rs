//! The numbers are right: after a time of traffic, every one of them equals the simulator's own tally.

use std::{env, time::Duration};

use kapso_exporter::simulator::{Api, Fault, Faults, Scenario, Traffic};

use crate::support::{Kapso, wait_until_equal};

/// Two conversations a second on each API; every state lasts longer than a few sweeps, so that polling can see
/// it.
fn busy(seed: u64) -> Scenario {
    Scenario {
        seed,
        conversations: 150,
        history: 200,
        open_history: 20,
        busy_conversation: 130,
        workflows: ["Order Support", "Booking", "Leads", "Returns", "FAQ"].map(Into::into).into(),
        agents: ["agent-sales", "agent-support"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute: 120.0,
            reply_delay: Duration::from_millis(50)..Duration::from_millis(500),
            dwell: Duration::from_secs(4)..Duration::from_secs(9),
            handoff_dwell: Duration::from_secs(5)..Duration::from_secs(9),
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            conversation_changes_per_minute: 60.0,
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

/// Seconds of traffic; more of it for a longer look.
fn traffic_time() -> Duration {
    let seconds = env::var("KAPSO_TEST_TRAFFIC_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

async fn every_number_equals_the_tally(scenario: Scenario, faults: Faults, flags: &[&str]) {
    let kapso = Kapso::start(scenario).await;
    let common = [
        "--scrape.interval=1s",
        "--scrape.source=conversations,agents",
        "--scrape.conversation-max-age=3650d",
    ];
    let flags = [&common, flags].concat();
    let exporter = kapso.watched(&flags).await.ready().await;
    kapso.simulator.set_faults(faults);
    tokio::time::sleep(traffic_time()).await;
    kapso.simulator.stop_traffic();
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform, Api::Legacy]).await;
    let scrape = exporter.scrape().await;
    for name in [
        "kapso_executions_started_total",
        "kapso_executions_finished_total",
        "kapso_execution_handoffs_total",
    ] {
        for api in ["platform", "legacy"] {
            assert!(scrape.sum(name, &[("api", api)]) > 0.0, "{name} of {api}: there was something to count");
        }
    }
}

#[tokio::test]
async fn both_apis_are_counted_to_the_last_execution() {
    every_number_equals_the_tally(busy(1), Faults::default(), &[]).await;
}

#[tokio::test]
async fn both_apis_are_counted_to_the_last_execution_while_one_request_in_seven_fails() {
    let faults = Faults { one_in: 7, kinds: Fault::ALL.to_vec() };
    every_number_equals_the_tally(busy(2), faults, &["--scrape.timeout", "500ms"]).await;
}
