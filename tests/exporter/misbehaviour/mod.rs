//! What a real API, its replicas and two clocks may do, in simulated time: no number is wrong for it, nothing is
//! shown that nobody vouches for, and all is right soon after.

mod broken;
mod clocks;
mod disagreement;
mod endless;
mod ids;
mod lag;
mod legacy;
mod lies;
mod odd_items;
mod pages;
mod program;
mod sources;

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Misbehaviour, Scenario},
};

use crate::support::{Exposition, Setup, Simulated, differences};

const INTERVAL: Duration = Duration::from_secs(30);
/// All is right so soon after the last misbehaviour.
const SOON: Duration = Duration::from_secs(5 * 30);
/// The same, where lists had to be asked less often, or a clock was wrong.
const LATER: Duration = Duration::from_mins(3);

const PLATFORM: &[Api] = &[Api::Platform];

/// An exporter with these sources.
fn watching(sources: &[Source]) -> Setup {
    Setup { sources: sources.into(), interval: INTERVAL, timeout: Duration::from_secs(4), ..Setup::default() }
}

/// A business with sixty open executions, in which nothing moves by itself.
fn business() -> Scenario {
    Scenario { conversations: 60, open_history: 60, history: 30, ..Scenario::quiet(1) }
}

/// The APIs that these sources ask.
fn apis(sources: &[Source]) -> Vec<Api> {
    let legacy = |source: &Source| *source == Source::Agents;
    let asked = |api: &Api| sources.iter().any(|source| legacy(source) == (*api == Api::Legacy));
    Api::ALL.into_iter().filter(asked).collect()
}

/// Waits until every number is right, so long at most.
async fn right_within(kapso: &Simulated, apis: &[Api], patience: Duration) {
    let until = tokio::time::Instant::now() + patience;
    loop {
        let wrong = differences(&kapso.simulator, &kapso.scrape(), apis);
        if wrong.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "after {patience:?}:\n{}", wrong.join("\n"));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Looks every few seconds, for so long.
async fn throughout(time: Duration, mut look: impl FnMut()) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(5)).await;
        look();
    }
}

/// How many executions of the API are shown as open.
fn open(scrape: &Exposition, api: &str) -> f64 {
    let in_status = |status| scrape.sum("kapso_executions", &[("api", api), ("status", status)]);
    ["running", "waiting", "handoff"].map(in_status).iter().sum()
}

/// Whether the API's last sweep was complete.
fn is_up(scrape: &Exposition, api: &str) -> bool {
    scrape.value("kapso_up", &[("api", api)]) == Some(1.0)
}

/// An execution of the first workflow starts in each of these conversations; their ids.
fn start_in(kapso: &Simulated, conversations: &[String]) -> Vec<String> {
    let start = |id: &String| kapso.simulator.start(Api::Platform, "flow_1", Some(id)).unwrap();
    conversations.iter().map(start).collect()
}

/// These executions go into `status`.
fn move_to(kapso: &Simulated, executions: &[String], status: &str) {
    for id in executions {
        kapso.simulator.transition(id, status).unwrap();
    }
}

/// Something happens that is news: an execution ends, others start.
fn something_happens(kapso: &Simulated, api: Api) {
    let workflow = kapso.simulator.workflow_ids(api).remove(0);
    let conversations = kapso.simulator.conversation_ids(api);
    let start = |id: &String| kapso.simulator.start(api, &workflow, Some(id)).unwrap();
    let started: Vec<String> = conversations.iter().take(5).map(start).collect();
    kapso.simulator.transition(&started[0], "ended").unwrap();
}

/// Nothing but this goes wrong.
fn only(change: impl FnOnce(&mut Misbehaviour)) -> Misbehaviour {
    let mut misbehaviour = Misbehaviour::default();
    change(&mut misbehaviour);
    misbehaviour
}
