//! Lists that tell different things of the same.

use std::{collections::BTreeSet, time::Duration};

use kapso_exporter::{
    model::Source,
    simulator::{Api, ConversationIds, Disagreement, Names, Scenario},
};

use super::{INTERVAL, PLATFORM, SOON, move_to, only, open, right_within, start_in, throughout, watching};
use crate::support::{Setup, Simulated};

const BOTH: [Source; 2] = [Source::Conversations, Source::Workflows];

fn disagreement(change: impl FnOnce(&mut Disagreement)) -> kapso_exporter::simulator::Misbehaviour {
    only(|wrong| change(&mut wrong.disagreement))
}

fn twenty_conversations() -> Scenario {
    Scenario { conversations: 20, ..Scenario::quiet(1) }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_its_conversation_does_not_list_is_shown_all_the_same() {
    for percent in [100, 50] {
        let kapso = Simulated::start(twenty_conversations(), &watching(&BOTH)).await;
        kapso.simulator.misbehave(disagreement(|lists| lists.hidden_percent = percent));
        let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform));
        right_within(&kapso, PLATFORM, SOON).await;
        throughout(Duration::from_mins(20), || assert_eq!(open(&kapso.scrape(), "platform"), 20.0)).await;
        move_to(&kapso, &started[..10], "ended");
        right_within(&kapso, PLATFORM, SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_added_counts_nothing_again_though_its_lists_omit_the_conversations() {
    let lookback = Duration::from_mins(5);
    let setup = |sources| Setup { lookback, ..watching(sources) };
    let mut kapso = Simulated::start(twenty_conversations(), &setup(&[Source::Conversations])).await;
    let started = start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform)[..10]);
    tokio::time::sleep(INTERVAL * 2).await;
    move_to(&kapso, &started, "ended");
    tokio::time::sleep(Duration::from_mins(20)).await;
    let finished = |kapso: &Simulated| kapso.scrape().sum("kapso_executions_finished_total", &[]);
    assert_eq!(finished(&kapso), 10.0);
    let omitted = |lists: &mut Disagreement| lists.conversation_ids = ConversationIds::Omitted;
    kapso.simulator.misbehave(disagreement(omitted));
    let kept = kapso.keep();
    kapso.restart_with(&kept, &setup(&BOTH));
    throughout(Duration::from_mins(10), || {
        assert_eq!(finished(&kapso), 10.0);
        assert_eq!(kapso.scrape().sum("kapso_executions_started_total", &[]), 10.0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_replicas_that_disagree_about_a_name_do_not_relabel_back_and_forth() {
    for sources in [&[Source::Conversations][..], &[Source::Workflows], &BOTH] {
        let kapso = Simulated::start(twenty_conversations(), &watching(sources)).await;
        start_in(&kapso, &kapso.simulator.conversation_ids(Api::Platform));
        right_within(&kapso, PLATFORM, SOON).await;
        kapso.simulator.misbehave(disagreement(|lists| lists.names = Names::Alternating));
        let mut names = BTreeSet::new();
        throughout(Duration::from_mins(20), || {
            let scrape = kapso.scrape();
            names
                .extend(scrape.values_of("kapso_executions", "workflow_name").into_iter().map(str::to_owned));
        })
        .await;
        assert_eq!(names, ["Lead Qualification", "Order Support"].map(str::to_owned).into(), "{sources:?}");
        kapso.simulator.behave();
        kapso.simulator.rename_workflow("flow_1", "Another").unwrap();
        right_within(&kapso, PLATFORM, Duration::from_mins(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_activity_is_not_told_is_found() {
    let kapso = Simulated::start(twenty_conversations(), &watching(&[Source::Conversations])).await;
    kapso.simulator.misbehave(disagreement(|lists| lists.without_activity_percent = 100));
    tokio::time::sleep(INTERVAL * 5).await;
    let new: Vec<String> = (0..5).map(|_| kapso.simulator.add_conversation(Api::Platform)).collect();
    start_in(&kapso, &new);
    tokio::time::sleep(Duration::from_mins(75)).await;
    right_within(&kapso, PLATFORM, SOON).await;
}

#[tokio::test(start_paused = true)]
async fn conversations_whose_activity_was_never_told_are_shown_from_the_start() {
    let scenario = Scenario { open_history: 15, ..twenty_conversations() };
    let kapso = Simulated::start_after(scenario, &watching(&[Source::Conversations]), |simulator| {
        simulator.misbehave(disagreement(|lists| lists.without_activity_percent = 100));
    })
    .await;
    right_within(&kapso, PLATFORM, Duration::from_mins(75)).await;
}
