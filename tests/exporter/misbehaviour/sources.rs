//! Other sources after a restart.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario},
};

use super::{LATER, PLATFORM, SOON, move_to, open, right_within, watching};
use crate::support::Simulated;

#[tokio::test(start_paused = true)]
async fn what_the_present_sources_cannot_see_is_not_shown_for_ever() {
    let scenario = Scenario { conversations: 20, open_history: 10, ..Scenario::quiet(1) };
    let mut kapso = Simulated::start(scenario, &watching(&[Source::Workflows])).await;
    let start = |_| kapso.simulator.start(Api::Platform, "flow_1", None).unwrap();
    let alone: Vec<String> = (0..5).map(start).collect();
    right_within(&kapso, PLATFORM, SOON).await;
    let kept = kapso.keep();
    kapso.restart_with(&kept, &watching(&[Source::Conversations]));
    tokio::time::sleep(LATER).await;
    move_to(&kapso, &alone, "ended");
    tokio::time::sleep(Duration::from_mins(75)).await;
    assert_eq!(open(&kapso.scrape(), "platform"), 10.0, "only those of conversations are open");
}
