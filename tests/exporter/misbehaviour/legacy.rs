//! What the legacy API may do.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Lie, Scenario, Subject, Totals, Untruth},
};

use super::{INTERVAL, SOON, business, is_up, only, open, right_within, something_happens, watching};
use crate::support::{Setup, Simulated};

const LEGACY: &[Api] = &[Api::Legacy];

fn absent() -> Vec<Lie> {
    let lie = |about| Lie { about, untruth: Untruth::NotFound, one_in: 1 };
    [Subject::LegacyConversations, Subject::AgentExecutions].map(lie).into()
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_absent_for_seconds_is_asked_again_soon() {
    let kapso = Simulated::start(business(), &watching(&[Source::Agents])).await;
    right_within(&kapso, LEGACY, SOON).await;
    kapso.simulator.misbehave(only(|wrong| wrong.lies = absent()));
    tokio::time::sleep(INTERVAL).await;
    kapso.simulator.behave();
    assert_eq!(open(&kapso.scrape(), "legacy"), 60.0);
    something_happens(&kapso, Api::Legacy);
    right_within(&kapso, LEGACY, SOON).await;
    tokio::time::sleep(INTERVAL).await;
    assert!(is_up(&kapso.scrape(), "legacy"));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_absent_for_the_first_seconds_is_asked_again_soon() {
    let setup = watching(&[Source::Agents]);
    let kapso = Simulated::start_after(business(), &setup, |simulator| {
        simulator.misbehave(only(|wrong| wrong.lies = absent()));
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    kapso.simulator.behave();
    right_within(&kapso, LEGACY, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn an_association_that_comes_before_its_agent_execution_is_one_start() {
    let setup = Setup { interval: Duration::from_secs(5), ..watching(&[Source::Agents]) };
    let kapso = Simulated::start(Scenario::quiet(1), &setup).await;
    let associated_after = Duration::from_secs(12);
    kapso.simulator.misbehave(only(|wrong| wrong.associated_after = associated_after));
    tokio::time::sleep(INTERVAL).await;
    something_happens(&kapso, Api::Legacy);
    tokio::time::sleep(Duration::from_mins(2)).await;
    right_within(&kapso, LEGACY, SOON).await;
    let agents = kapso.scrape();
    let agents = agents.values_of("kapso_executions", "workflow_id");
    assert_eq!(agents, ["agent-sales"].into(), "there is no agent without a name");
}

#[tokio::test(start_paused = true)]
async fn pages_that_tell_no_totals_are_read_to_the_last() {
    let scenario = Scenario { conversations: 250, busy_conversation: 130, ..business() };
    let kapso = Simulated::start_after(scenario, &watching(&[Source::Agents]), |simulator| {
        simulator.misbehave(only(|wrong| wrong.totals = Totals::Missing));
    })
    .await;
    right_within(&kapso, LEGACY, SOON).await;
    let last = kapso.simulator.conversation_ids(Api::Legacy).pop().unwrap();
    kapso.simulator.start(Api::Legacy, "agent-sales", Some(&last)).unwrap();
    right_within(&kapso, LEGACY, SOON).await;
}
