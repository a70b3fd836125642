//! Lists that are very long, or have no end.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario},
};

use super::{INTERVAL, PLATFORM, SOON, business, move_to, only, right_within, start_in, watching};
use crate::support::{Setup, Simulated, differences};

#[tokio::test(start_paused = true)]
async fn a_very_long_list_lets_the_others_be_asked_at_every_interval() {
    let scenario = Scenario { busy_conversation: 20_000, conversations: 20, ..Scenario::quiet(1) };
    let interval = Duration::from_secs(5);
    let setup = Setup { requests_per_minute: Some(300), interval, ..watching(&[Source::Conversations]) };
    let mut started = Vec::new();
    let kapso = Simulated::start_after(scenario, &setup, |simulator| {
        for id in &simulator.conversation_ids(Api::Platform)[1..11] {
            started.push(simulator.start(Api::Platform, "flow_1", Some(id)).unwrap());
        }
    })
    .await;
    tokio::time::sleep(interval * 2).await;
    // To read the long list alone would take forty seconds.
    for turn in 0..3 {
        let status = ["waiting", "running"][turn % 2];
        move_to(&kapso, &started, status);
        tokio::time::sleep(interval * 2).await;
        let shown = kapso.scrape().sum("kapso_executions", &[("status", status)]);
        assert_eq!(shown, 10.0, "{status} after {:?}", interval * 2);
    }
    right_within(&kapso, PLATFORM, Duration::from_mins(2)).await;
}

/// The list of this conversation or workflow has no end from the first.
async fn goes_on_beside_an_endless_list(sources: &[Source], endless: impl Fn(&Simulated) -> String) {
    let setup = Setup { requests_per_minute: Some(300), ..watching(sources) };
    let kapso = Simulated::start(business(), &setup).await;
    right_within(&kapso, PLATFORM, SOON).await;
    let endless = endless(&kapso);
    let mut others = kapso.simulator.conversation_ids(Api::Platform);
    others.retain(|id| *id != endless);
    kapso.simulator.misbehave(only(|wrong| wrong.endless = Some(endless)));
    for _ in 0..10 {
        let started = start_in(&kapso, &others[..10]);
        right_within(&kapso, PLATFORM, SOON).await;
        move_to(&kapso, &started, "ended");
        right_within(&kapso, PLATFORM, SOON).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversations_list_without_an_end_lets_the_others_be_asked() {
    let new = |kapso: &Simulated| kapso.simulator.add_conversation(Api::Platform);
    goes_on_beside_an_endless_list(&[Source::Conversations], new).await;
}

#[tokio::test(start_paused = true)]
async fn a_workflows_list_without_an_end_lets_the_others_be_asked() {
    goes_on_beside_an_endless_list(&[Source::Workflows], |_| "flow_2".to_owned()).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_at_the_very_start_lets_the_others_be_shown() {
    for source in [Source::Conversations, Source::Workflows] {
        let setup = Setup { requests_per_minute: Some(300), ..watching(&[source]) };
        let kapso = Simulated::start_after(business(), &setup, |simulator| {
            let conversations = simulator.conversation_ids(Api::Platform);
            let endless = match source {
                Source::Workflows => "flow_2".to_owned(),
                _ => conversations[0].clone(),
            };
            simulator.misbehave(only(|wrong| wrong.endless = Some(endless)));
        })
        .await;
        tokio::time::sleep(SOON).await;
        let mut wrong = differences(&kapso.simulator, &kapso.scrape(), PLATFORM);
        if source == Source::Workflows {
            // What is behind the endless part of its lists cannot be known.
            wrong.retain(|difference| !difference.contains("flow_2"));
        }
        assert_eq!(wrong, Vec::<String>::new(), "{source:?}");
    }
}
