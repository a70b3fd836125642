//! Pages that fail, cursors that expire, lists that are cut.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario, Simulator},
};

use super::{
    INTERVAL, PLATFORM, SOON, business, is_up, move_to, only, open, right_within, start_in, watching,
};
use crate::support::{Setup, Simulated};

/// The page on which the conversation that was active least recently would be shown never works.
fn break_last_page(simulator: &Simulator) {
    let mut conversations = simulator.conversation_ids(Api::Platform);
    let last = conversations.remove(0);
    for other in &conversations {
        simulator.message(Api::Platform, other).unwrap();
    }
    simulator.misbehave(only(|wrong| wrong.failing_page_of = Some(last)));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_shown_though_a_page_of_the_conversations_never_works() {
    let scenario = Scenario { largest_page: 20, conversations: 60, ..Scenario::quiet(1) };
    let kapso = Simulated::start_after(scenario, &watching(&[Source::Conversations]), break_last_page).await;
    let others = kapso.simulator.conversation_ids(Api::Platform).split_off(1);
    let started = start_in(&kapso, &others[..20]);
    tokio::time::sleep(SOON).await;
    let scrape = kapso.scrape();
    assert_eq!(open(&scrape, "platform"), 20.0);
    assert!(!is_up(&scrape, "platform"));
    move_to(&kapso, &started[..10], "ended");
    tokio::time::sleep(SOON).await;
    assert_eq!(open(&kapso.scrape(), "platform"), 10.0);
    kapso.simulator.behave();
    right_within(&kapso, PLATFORM, SOON).await;
    tokio::time::sleep(INTERVAL).await;
    assert!(is_up(&kapso.scrape(), "platform"));
}

#[tokio::test(start_paused = true)]
async fn a_reading_goes_on_where_its_cursor_has_expired() {
    for source in [Source::Conversations, Source::Workflows] {
        let scenario = Scenario {
            largest_page: 10,
            conversations: 35,
            history: 60,
            open_history: 20,
            workflows: vec!["Order Support".into()],
            ..Scenario::quiet(1)
        };
        // A request every nine seconds: each cursor has expired when its turn comes.
        let setup = Setup { requests_per_minute: Some(7), ..watching(&[source]) };
        let kapso = Simulated::start_after(scenario, &setup, |simulator| {
            simulator.misbehave(only(|wrong| wrong.cursor_lifetime = Some(Duration::from_secs(8))));
        })
        .await;
        right_within(&kapso, PLATFORM, Duration::from_mins(30)).await;
        let scrape = kapso.scrape();
        let sweeps = |result| scrape.sum("kapso_exporter_sweeps_total", &[("result", result)]);
        assert_eq!(sweeps("incomplete"), 0.0, "{source:?}");
        let others = scrape.sum("kapso_exporter_errors_total", &[])
            - scrape.sum("kapso_exporter_errors_total", &[("reason", "cursor")]);
        assert_eq!(others, 0.0, "{source:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_cut_without_a_word_is_said() {
    for source in [Source::Conversations, Source::Workflows] {
        let kapso = Simulated::start_after(business(), &watching(&[source]), |simulator| {
            let busy = simulator.conversation_ids(Api::Platform).remove(0);
            for _ in 0..250 {
                simulator.start(Api::Platform, "flow_1", Some(&busy)).unwrap();
            }
            simulator.misbehave(only(|wrong| wrong.capped_at = Some(100)));
        })
        .await;
        tokio::time::sleep(SOON).await;
        let said = kapso.scrape().sum("kapso_exporter_errors_total", &[]);
        assert!(said >= 1.0, "{source:?} says nothing");
        kapso.simulator.behave();
        right_within(&kapso, PLATFORM, SOON).await;
    }
}
