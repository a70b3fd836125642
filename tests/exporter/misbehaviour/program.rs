//! What only the program itself shows: that it ends, and what it logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kapso_exporter::simulator::{Api, Breakage, Scenario};

use super::{is_up, only};
use crate::support::{Exposition, Finished, Kapso};

async fn once_beside_broken_lists(count: usize, breakage: Breakage) {
    let kapso = Kapso::start(Scenario { conversations: 60, open_history: 30, ..Scenario::quiet(1) }).await;
    let ids = kapso.simulator.conversation_ids(Api::Platform);
    for id in &ids[..count] {
        kapso.simulator.message(Api::Platform, id).unwrap();
    }
    let broken: BTreeMap<_, _> = ids.into_iter().take(count).map(|id| (id, breakage)).collect();
    kapso.simulator.misbehave(only(|wrong| wrong.broken = broken));
    let flags = ["--scrape.timeout=1s", "--scrape.requests-per-minute=100000", "--log.level=error"];
    let lists = ["--scrape.source=conversations", "--scrape.conversation-max-age=3650d"];
    let Finished { code, stdout, stderr } = kapso.run("once", &[&flags[..], &lists].concat()).await;
    assert_eq!(code, Some(1), "{stderr}");
    let exposition = Exposition::parse(&stdout);
    assert!(!is_up(&exposition, "platform"));
    let healthy = kapso.simulator.requests();
    let healthy =
        healthy.iter().filter(|request| request.endpoint == "flow_executions" && request.status == 200);
    let paths: BTreeSet<_> = healthy.map(|request| request.path.as_str()).collect();
    assert_eq!(paths.len(), 60 - count, "every healthy list was read");
}

#[tokio::test]
async fn once_ends_beside_lists_that_fail_for_good() {
    once_beside_broken_lists(20, Breakage::ServerError).await;
}

#[tokio::test]
async fn once_ends_beside_lists_that_hang() {
    once_beside_broken_lists(12, Breakage::Hangs).await;
}

#[tokio::test]
async fn rate_limits_that_alternate_do_not_fill_the_log() {
    let kapso = Kapso::start(Scenario { conversations: 20, open_history: 20, ..Scenario::quiet(1) }).await;
    kapso.simulator.set_rate_limit(Some(100_000));
    kapso.simulator.misbehave(only(|wrong| wrong.limits_told = Some([60_000, 90_000])));
    let exporter =
        kapso.watched_within_default_budget(&["--scrape.interval=1s", "--scrape.source=conversations"]).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(kapso.simulator.requests().len() > 60, "it asks a lot");
    let lines = exporter.log().lines().count();
    assert!(lines < 15, "{}", exporter.log());
}
