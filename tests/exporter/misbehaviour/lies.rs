//! Answers that say that there is nothing.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Lie, Subject, Untruth},
};

use super::{
    INTERVAL, LATER, SOON, apis, business, is_up, only, open, right_within, something_happens, throughout,
    watching,
};
use crate::support::Simulated;

fn lies(about: &[Subject], untruth: Untruth, one_in: u32) -> Vec<Lie> {
    about.iter().map(|&about| Lie { about, untruth, one_in }).collect()
}

/// While these are lied about for so long, all open executions stay; then all is right, and news is seen.
async fn nothing_is_taken_away(sources: &[Source], about: &[Subject], one_in: u32, time: Duration) {
    let apis = apis(sources);
    for untruth in [Untruth::NotFound, Untruth::Empty] {
        let kapso = Simulated::start(business(), &watching(sources)).await;
        right_within(&kapso, &apis, SOON).await;
        kapso.simulator.misbehave(only(|wrong| wrong.lies = lies(about, untruth, one_in)));
        throughout(time, || {
            for api in &apis {
                let scrape = kapso.scrape();
                // Where nothing at all is learned, the gauges are withdrawn after ten minutes.
                let stale = scrape.value("kapso_exporter_data_stale", &[("api", api.name())]) == Some(1.0);
                assert!(stale || open(&scrape, api.name()) == 60.0, "{untruth:?} about {about:?}");
            }
        })
        .await;
        kapso.simulator.behave();
        for &api in &apis {
            something_happens(&kapso, api);
        }
        right_within(&kapso, &apis, LATER).await;
        // What a lie about conversations takes out of the plans would show later.
        tokio::time::sleep(Duration::from_mins(10)).await;
        for &api in &apis {
            something_happens(&kapso, api);
        }
        right_within(&kapso, &apis, SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_conversations_executions_that_lie_for_a_sweep_take_nothing_away() {
    nothing_is_taken_away(&[Source::Conversations], &[Subject::FlowExecutions], 1, INTERVAL).await;
}

#[tokio::test(start_paused = true)]
async fn lists_of_a_workflows_executions_that_lie_for_a_sweep_take_nothing_away() {
    nothing_is_taken_away(&[Source::Workflows], &[Subject::WorkflowExecutions], 1, INTERVAL).await;
}

#[tokio::test(start_paused = true)]
async fn lists_of_agent_executions_that_lie_for_a_sweep_take_nothing_away() {
    nothing_is_taken_away(&[Source::Agents], &[Subject::AgentExecutions], 1, INTERVAL).await;
}

#[tokio::test(start_paused = true)]
async fn lists_of_executions_of_both_sources_that_lie_take_nothing_away() {
    let sources = [Source::Conversations, Source::Workflows];
    let about = [Subject::FlowExecutions, Subject::WorkflowExecutions];
    nothing_is_taken_away(&sources, &about, 1, INTERVAL * 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_conversations_that_lies_takes_nothing_away() {
    let about = [Subject::Conversations, Subject::LegacyConversations];
    nothing_is_taken_away(&[Source::Agents, Source::Conversations], &about, 1, INTERVAL * 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_workflows_that_lies_takes_nothing_away() {
    nothing_is_taken_away(&[Source::Workflows], &[Subject::Workflows], 1, INTERVAL * 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_knows_nothing_takes_nothing_away_in_every_second_answer() {
    nothing_is_taken_away(&Source::ALL, &Subject::ALL, 2, Duration::from_mins(20)).await;
}

#[tokio::test(start_paused = true)]
async fn all_executions_may_seem_gone_for_most_of_an_hour() {
    let sources = [Source::Conversations, Source::Workflows];
    let about = [Subject::FlowExecutions, Subject::WorkflowExecutions, Subject::Execution];
    nothing_is_taken_away(&sources, &about, 1, Duration::from_mins(45)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mass_disappearance_is_an_error_and_in_doubt_though_every_answer_is_well_formed() {
    let kapso = Simulated::start(business(), &watching(&[Source::Conversations])).await;
    right_within(&kapso, &[Api::Platform], SOON).await;
    assert!(is_up(&kapso.scrape(), "platform"));
    let about = [Subject::FlowExecutions, Subject::Execution];
    kapso.simulator.misbehave(only(|wrong| wrong.lies = lies(&about, Untruth::Empty, 1)));
    tokio::time::sleep(Duration::from_mins(5)).await;
    throughout(Duration::from_mins(5), || {
        let scrape = kapso.scrape();
        assert!(!is_up(&scrape, "platform"));
        assert!(scrape.sum("kapso_exporter_doubtful_executions", &[]) >= 60.0, "finished ones, too");
    })
    .await;
    kapso.simulator.behave();
    right_within(&kapso, &[Api::Platform], SOON).await;
    tokio::time::sleep(SOON).await;
    let scrape = kapso.scrape();
    assert!(is_up(&scrape, "platform"));
    assert_eq!(scrape.value("kapso_exporter_doubtful_executions", &[]), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn what_is_really_gone_is_believed_within_half_an_hour_and_was_in_doubt_before() {
    let kapso = Simulated::start(business(), &watching(&[Source::Conversations])).await;
    right_within(&kapso, &[Api::Platform], SOON).await;
    let conversation = kapso.simulator.conversation_ids(Api::Platform).remove(0);
    kapso.simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
    right_within(&kapso, &[Api::Platform], SOON).await;
    kapso.simulator.delete_conversation(Api::Platform, &conversation).unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(kapso.scrape().sum("kapso_exporter_doubtful_executions", &[]) >= 1.0);
    right_within(&kapso, &[Api::Platform], Duration::from_mins(25)).await;
}
