//! What the other tests stand on does what it says: the database is stopped, restored and made read-only, and links to
//! it fail.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use crate::{
    fleet::{Database, Fleet},
    machine::{left_out, turn},
    postgres::{DATABASE, PASSWORD, Postgres, Stop, url},
    projects::{AMPLE, Life, Projects},
    proxy::{Link, Proxy},
    support::{Certificate, wait_for},
};

/// Runs a statement as the program's role.
fn query(url: &str, sql: &str) -> Output {
    Command::new("psql").args(["-X", "-A", "-t", "-q", "-d", url, "-c", sql]).output().unwrap()
}

async fn query_soon(url: &str, sql: &str) -> String {
    wait_for(sql, async || query(url, sql).status.success()).await;
    String::from_utf8(query(url, sql).stdout).unwrap().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_restored_from_a_backup_survives_a_crash_and_is_made_read_only() {
    let _turn = turn().await;
    let Some(mut database) = Database::start().await else {
        return left_out("the database of the tests");
    };
    let url = url(database.pgbouncer.port());
    for sql in ["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)"] {
        assert!(query(&url, sql).status.success(), "{}", database.pgbouncer.log());
    }
    let backup = database.postgres.back_up();
    assert!(query(&url, "INSERT INTO t VALUES (2)").status.success());
    database.postgres.stop(Stop::Immediate);
    // pgbouncer would let it wait for two minutes.
    assert!(!query(&database.postgres.url(), "SELECT 1").status.success());
    database.postgres.run().await;
    assert_eq!(query_soon(&url, "SELECT sum(n) FROM t").await, "3", "a crash loses nothing");
    database.postgres.restore(&backup).await;
    assert_eq!(query_soon(&url, "SELECT sum(n) FROM t").await, "1", "a backup is older");
    database.postgres.set_read_only(true);
    wait_for("a refusal", async || !query(&url, "INSERT INTO t VALUES (4)").status.success()).await;
    let refused = String::from_utf8(query(&url, "INSERT INTO t VALUES (4)").stderr).unwrap();
    assert!(refused.contains("read-only transaction"), "{refused}");
    database.postgres.set_read_only(false);
    wait_for("a write", async || query(&url, "INSERT INTO t VALUES (4)").status.success()).await;
    database.postgres.stop(Stop::Fast);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_the_database_is_slow_silent_and_healed() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("links to the database of the tests");
    };
    let link = Proxy::start(database.pgbouncer.port()).await;
    let url = url(link.port());
    assert!(query(&url, "SELECT 1").status.success());
    link.set(Link::slow(Duration::from_millis(100)));
    let begun = Instant::now();
    assert!(query(&url, "SELECT 1").status.success());
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
    link.set(Link::Silent);
    let silent = tokio::task::spawn_blocking(move || query(&url, "SELECT 1").status.success());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!silent.is_finished());
    link.heal();
    assert!(silent.await.unwrap(), "it arrives late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_needs_its_password_and_may_need_tls() {
    let _turn = turn().await;
    let Some(postgres) = Postgres::start_with_tls(&Certificate::of_server()).await else {
        return left_out("TLS to the database of the tests");
    };
    let tls = postgres.url().replace("disable", "require");
    assert!(query(&tls, "SELECT 1").status.success(), "{}", postgres.log());
    assert!(!query(&postgres.url(), "SELECT 1").status.success(), "without TLS");
    let wrong = tls.replace(PASSWORD, "another");
    let refused = String::from_utf8(query(&wrong, "SELECT 1").stderr).unwrap();
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_are_found_where_the_database_gives_away_what_is_held() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("that two owners would be found");
    };
    let mut projects = Projects::new();
    for _ in 0..6 {
        projects.add(Life::Quiet, AMPLE).await;
    }
    // What writes is fenced at once.
    projects.write("    interval: 1h\n");
    let fleet = Fleet::start(3, &database, &projects, &["--replica.lease-ttl=15s"]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    assert_eq!(fleet.faults(), Vec::<String>::new());
    // The holder notices when it renews, five seconds later at most.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sql = "UPDATE kapso_exporter.lease SET until = now(), owner = 'nobody', epoch = epoch + 1";
    database.postgres.psql(DATABASE, sql);
    let is_double = |fault: &String| fault.ends_with("at once");
    wait_for("two owners", async || fleet.faults().iter().any(is_double)).await;
}
