//! The database is away, slow, out of reach of one replica, read-only, or older than it was: replicas show nothing that
//! they may not show meanwhile, and the numbers are right afterwards.

use std::time::{Duration, Instant};

use crate::{
    fleet::{Database, Fleet},
    machine::{BUSY, left_out, turn},
    postgres::Stop,
    projects::Projects,
    proxy::Link,
    support::{Exposition, wait_for},
};

const FLAG: &str = "--replica.lease-ttl=3s";
const TTL: Duration = Duration::from_secs(3);
/// From the database's return to all projects being shown again: pgbouncer tries it every second.
const RECOVERY: Duration = Duration::from_secs(10);

async fn started() -> Option<(Database, Projects, Fleet)> {
    let database = Database::start().await?;
    let projects = Projects::busy(6).await;
    let fleet = Fleet::start(3, &database, &projects, &[FLAG]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    // Who started last gets its share after twice the time to live.
    wait_for("a share for everybody", async || everybody_has_a_project(&fleet).await).await;
    Some((database, projects, fleet))
}

async fn everybody_has_a_project(fleet: &Fleet) -> bool {
    for slot in fleet.slots_running() {
        if fleet.shown_by(slot).await.is_empty() {
            return false;
        }
    }
    true
}

async fn nobody_shows_anything(fleet: &Fleet) -> bool {
    for slot in fleet.slots_running() {
        if !fleet.shown_by(slot).await.is_empty() {
            return false;
        }
    }
    true
}

/// Waits until nobody shows anything, for want of a database: that is within the time to live. Replicas tell that it is
/// away, and answer as before.
async fn is_withdrawn(fleet: &Fleet, since: Instant) {
    wait_for("nobody shows anything", async || nobody_shows_anything(fleet).await).await;
    let took = since.elapsed();
    assert!(took < TTL + BUSY, "withdrawn after {took:?}");
    let says_so = |exposition: &Exposition| {
        exposition.value("kapso_exporter_store_up", &[]) == Some(0.0)
            && exposition.sum("kapso_exporter_store_errors_total", &[]) > 0.0
            && exposition.value("kapso_exporter_leases", &[]) == Some(0.0)
            && exposition.sum("kapso_exporter_lease_held", &[]) == 0.0
    };
    let all_say_so = async || {
        let all = fleet.scrape().await;
        all.len() == fleet.slots_running().len() && all.iter().all(says_so)
    };
    wait_for("all tell that the database is away", all_say_so).await;
    eprintln!(
        "withdrawn after {:.1} s, told after {:.1} s",
        took.as_secs_f64(),
        since.elapsed().as_secs_f64()
    );
    for slot in fleet.slots_running() {
        assert_eq!(fleet.exporter_of(slot).get("/-/healthy").await.0, 200);
    }
}

/// Waits until each project is shown by one replica, and all tell that the database is there.
async fn is_shown_again(fleet: &Fleet, projects: &Projects, what: &str) {
    let begun = Instant::now();
    let is_up = |exposition: &Exposition| exposition.value("kapso_exporter_store_up", &[]) == Some(1.0);
    wait_for("the database is up", async || fleet.scrape().await.iter().all(is_up)).await;
    fleet.wait_until_all_are_shown(projects, RECOVERY).await;
    eprintln!("{what}: all are shown {:.1} s after its end", begun.elapsed().as_secs_f64());
}

/// Longer than leases last.
async fn while_it_lasts() {
    tokio::time::sleep(TTL + Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_are_right_after_the_database_was_away_slow_read_only_and_out_of_reach() {
    let _turn = turn().await;
    let Some((mut database, projects, fleet)) = started().await else {
        return left_out("a database that is away, slow, read-only or out of reach");
    };

    // For a moment only: nobody notices.
    database.postgres.stop(Stop::Immediate);
    tokio::time::sleep(Duration::from_millis(300)).await;
    database.postgres.run().await;
    is_shown_again(&fleet, &projects, "a crash").await;

    database.postgres.stop(Stop::Fast);
    let begun = Instant::now();
    is_withdrawn(&fleet, begun).await;
    while_it_lasts().await;
    database.postgres.run().await;
    is_shown_again(&fleet, &projects, "away").await;

    database.postgres.set_read_only(true);
    let begun = Instant::now();
    is_withdrawn(&fleet, begun).await;
    database.postgres.set_read_only(false);
    is_shown_again(&fleet, &projects, "read-only").await;

    let lost = async || {
        let lost = fleet.scrape().await;
        lost.iter()
            .map(|all| all.sum("kapso_exporter_lease_lost_total", &[("reason", "expired")]))
            .sum::<f64>()
    };
    let before = lost().await;
    (0..3).for_each(|slot| fleet.link(slot).set(Link::slow(Duration::from_millis(200))));
    while_it_lasts().await;
    // One that is handed over just now takes as many round trips.
    fleet.wait_until_all_are_shown(&projects, BUSY).await;
    assert_eq!(lost().await, before, "a slow database costs no lease");
    (0..3).for_each(|slot| fleet.link(slot).heal());

    out_of_reach(&fleet, &projects, Link::Silent).await;
    out_of_reach(&fleet, &projects, Link::Cut).await;

    projects.stop_traffic();
    fleet.wait_until_exact(&projects).await;
    fleet.assert_no_faults();
    assert_eq!(projects.over_budget(), Vec::<String>::new());
}

/// The link of a replica that shows something fails: the others take over, and its own late writes change nothing.
async fn out_of_reach(fleet: &Fleet, projects: &Projects, how: Link) {
    let owner = fleet.owner_soon("p0").await;
    fleet.link(owner).set(how);
    let begun = Instant::now();
    let others = async || {
        let showing = fleet.owner("p0").await;
        showing.is_some_and(|slot| slot != owner) && fleet.shown_by(owner).await.is_empty()
    };
    wait_for("another owner", others).await;
    let took = begun.elapsed();
    eprintln!("{how:?}: another owner after {:.1} s", took.as_secs_f64());
    assert!(took < TTL + BUSY, "another owner after {took:?}");
    fleet.wait_until_all_are_shown(projects, BUSY).await;
    fleet.link(owner).heal();
    is_shown_again(fleet, projects, "out of reach").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_older_than_it_was_is_recognised_and_no_counter_falls() {
    let _turn = turn().await;
    let Some((mut database, projects, mut fleet)) = started().await else {
        return left_out("a database that is restored from a backup");
    };
    let backup = database.postgres.back_up();
    tokio::time::sleep(Duration::from_secs(4)).await;
    // What moved since then is somebody else's in the backup.
    let owner = fleet.owner_soon("p0").await;
    fleet.stop(owner).await;
    fleet.start_again(owner).await;
    fleet.wait_until_all_are_shown(&projects, BUSY).await;
    tokio::time::sleep(Duration::from_secs(4)).await;

    database.postgres.restore(&backup).await;
    is_shown_again(&fleet, &projects, "an older backup").await;
    let older = async || {
        let all = fleet.scrape().await;
        all.iter().map(|all| all.sum("kapso_exporter_store_older_total", &[])).sum::<f64>()
    };
    wait_for("that it is older", async || older().await >= 1.0).await;
    projects.stop_traffic();
    fleet.wait_until_exact(&projects).await;
    fleet.assert_no_faults();
}

/// It still knows the accounts as they were when it lost the leases, and a write of them is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_gets_its_projects_back_goes_on_from_what_another_counted_meanwhile() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("projects that go to another replica and back while a write hangs");
    };
    let projects = Projects::busy(6).await;
    let mut fleet = Fleet::start(1, &database, &projects, &[FLAG]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    fleet.grow(&database).await;
    for how in [Link::Silent, Link::Cut, Link::Silent] {
        fleet.link(0).set(how);
        let all_moved = async || fleet.shown_by(1).await.len() == projects.all.len();
        wait_for("the other shows everything", all_moved).await;
        // Executions start and end that the first one never saw.
        tokio::time::sleep(Duration::from_secs(4)).await;
        if how == Link::Silent {
            // Its leases are free before its write ends.
            fleet.link(0).set(Link::SilentForWrites);
            fleet.stop(1).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            fleet.link(0).heal();
        } else {
            fleet.link(0).heal();
            fleet.stop(1).await;
        }
        fleet.wait_until_all_are_shown(&projects, BUSY).await;
        fleet.start_again(1).await;
    }
    projects.stop_traffic();
    fleet.wait_until_exact(&projects).await;
    fleet.assert_no_faults();
}
