//! What was counted moves from a state file into a database and back.

use std::time::Duration;

use crate::{
    fleet::{Database, Fleet},
    machine::{left_out, turn},
    projects::Projects,
    support::{Exporter, Exposition, Finished, run_to_end},
};

const TTL: &str = "--replica.lease-ttl=3s";

/// What was counted of all projects together.
fn counted(all: &[Exposition]) -> Vec<f64> {
    ["kapso_executions_started_total", "kapso_executions_finished_total", "kapso_execution_handoffs_total"]
        .into_iter()
        .map(|name| all.iter().map(|exposition| exposition.sum(name, &[])).sum())
        .collect()
}

async fn run(args: &[&str], url: &str) -> Finished {
    run_to_end(args, &[("KAPSO_EXPORTER_STATE_URL", url)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_moves_into_a_database_and_back_without_losing_a_count() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("moving a state file into a database and back");
    };
    let (projects, url) = (Projects::busy(3).await, database.postgres.url());
    let (file, back) = (projects.beside("state.redb"), projects.beside("back.redb"));
    let state = |file: &str| format!("--state.path={file}");

    let alone = Exporter::start(&[&projects.flag(), &state(&file)], &[]).await.ready().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = counted(&[alone.scrape().await]);
    alone.signal("TERM").await;
    assert_eq!(alone.end(Duration::from_secs(5)).await, Some(0));
    let migrated = run(&["migrate"], &url).await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    let imported = run(&["state", "import", &file], &url).await;
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);

    let mut fleet = Fleet::start(2, &database, &projects, &[TTL]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    let after = counted(&fleet.scrape().await);
    assert!(after.iter().zip(&before).all(|(after, before)| after >= before), "{before:?}, then {after:?}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let again = run(&["state", "import", &file], &url).await;
    assert_eq!(again.code, Some(1), "what replicas count is not overwritten: {}", again.stderr);
    for slot in 0..2 {
        fleet.stop(slot).await;
    }
    fleet.assert_no_faults();
    let exported = run(&["state", "export", &back], &url).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);

    let alone = Exporter::start(&[&projects.flag(), &state(&back)], &[]).await.ready().await;
    projects.stop_traffic();
    projects.wait_until_exact(Duration::from_mins(1), async || vec![alone.scrape().await]).await;
    let end = counted(&[alone.scrape().await]);
    assert!(end[0] > before[0] && before[0] > 0.0, "{before:?}, then {end:?}");
}
