//! Ids and names with any characters.

use kapso_exporter::{
    model::Source,
    simulator::{Api, Ids, Scenario},
};

use super::{INTERVAL, SOON, right_within, watching};
use crate::support::Simulated;

fn hostile() -> Scenario {
    let workflows = vec!["..".into(), "a\nb\\\"{}\u{202e}".into(), "é😀".into(), "a, b = c".into()];
    Scenario { ids: Ids::Hostile, conversations: 30, workflows, ..Scenario::quiet(1) }
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_the_path_that_an_id_names_or_is_not_made() {
    let kapso = Simulated::start(hostile(), &watching(&Source::ALL)).await;
    for api in Api::ALL {
        let workflow = kapso.simulator.workflow_ids(api).pop().unwrap();
        for conversation in kapso.simulator.conversation_ids(api) {
            let id = kapso.simulator.start(api, &workflow, Some(&conversation)).unwrap();
            kapso.simulator.transition(&id, "handoff").unwrap();
        }
    }
    tokio::time::sleep(INTERVAL * 6).await;
    let requests = kapso.simulator.requests();
    let strays = requests.iter().filter(|request| request.endpoint == "unknown" || request.status == 404);
    let strays: Vec<_> = strays.map(|request| request.path.as_str()).collect();
    assert!(strays.is_empty(), "{strays:?}");
    let twice = requests.iter().filter(|request| request.query.matches("limit=").count() > 1);
    assert_eq!(twice.count(), 0, "no id becomes a parameter");
}

#[tokio::test(start_paused = true)]
async fn executions_are_counted_whatever_ids_they_and_their_conversations_have() {
    let sources = [Source::Conversations, Source::Workflows];
    let kapso = Simulated::start(hostile(), &watching(&sources)).await;
    let workflow = kapso.simulator.workflow_ids(Api::Platform).pop().unwrap();
    for conversation in kapso.simulator.conversation_ids(Api::Platform) {
        kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    }
    right_within(&kapso, &[Api::Platform], SOON).await;
    for (place, id) in kapso.simulator.execution_ids(Api::Platform).iter().enumerate() {
        let status = ["handoff", "ended", "failed", "waiting"][place % 4];
        kapso.simulator.transition(id, status).unwrap();
    }
    right_within(&kapso, &[Api::Platform], SOON).await;
}
