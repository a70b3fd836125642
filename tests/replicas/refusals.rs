//! What cannot work is said clearly, with the exit code that belongs to it, and never with the password.

use crate::{
    machine::{free_port, left_out, turn},
    postgres::{DATABASE, PASSWORD, Postgres, ROLE, url},
    projects::{AMPLE, Life, Projects},
    support::{Certificate, Exporter, Finished, run_to_end},
};

const USAGE: Option<i32> = Some(2);
const RUN_TIME: Option<i32> = Some(1);

/// Runs the program to its end with this URL.
async fn run(args: &[&str], url: &str) -> Finished {
    let finished = run_to_end(args, &[("KAPSO_EXPORTER_STATE_URL", url)]).await;
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains(PASSWORD) && !text.contains("an0ther"), "{text}");
    }
    finished
}

/// Asserts that it ended with this code, and that it said all of this.
fn assert_said(finished: &Finished, code: Option<i32>, parts: &[&str]) {
    assert_eq!(finished.code, code, "{}", finished.stderr);
    for part in parts {
        assert!(finished.stderr.contains(part), "no `{part}` in: {}", finished.stderr);
    }
}

async fn one_project() -> Projects {
    let mut projects = Projects::new();
    projects.add(Life::Quiet, AMPLE).await;
    projects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_no_flag_does_not_stand_beside_a_state_file_and_has_to_be_one() {
    let _turn = turn().await;
    let (projects, url) = (one_project().await, url(free_port()));
    let config = projects.flag();
    let beside = run(&[&config, "--state.path=/tmp/kapso-state"], &url).await;
    assert_said(&beside, USAGE, &["--state.path", "KAPSO_EXPORTER_STATE_URL"]);
    let plain = run_to_end(&[&config, &format!("--state.url={url}")], &[]).await;
    assert_eq!(plain.code, USAGE);
    assert!(!plain.stderr.contains(PASSWORD), "{}", plain.stderr);
    for wrong in
        ["mysql://exporter:an0ther@127.0.0.1/kapso", "postgres://exporter:an0ther@127.0.0.1:port/kapso"]
    {
        let refused = run(&[&config], wrong).await;
        assert_said(&refused, USAGE, &["KAPSO_EXPORTER_STATE_URL"]);
    }
    let missing = run_to_end(&[&config, "--state.url-file=/nowhere/url"], &[]).await;
    assert_said(&missing, USAGE, &["--state.url-file"]);
    let mistaken = run_to_end(&[&config, &format!("--state.url-file={url}")], &[]).await;
    assert_said(&mistaken, USAGE, &["--state.url-file"]);
    assert!(!mistaken.stderr.contains(PASSWORD), "{}", mistaken.stderr);
    let none = run_to_end(&["migrate"], &[]).await;
    assert_said(&none, USAGE, &["KAPSO_EXPORTER_STATE_URL"]);
    for ttl in ["2s", "6m"] {
        let refused = run(&[&config, &format!("--replica.lease-ttl={ttl}")], &url).await;
        assert_said(&refused, USAGE, &["--replica.lease-ttl", "3s", "5m"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_says_what_the_database_refuses() {
    let _turn = turn().await;
    let Some(postgres) = Postgres::start().await else {
        return left_out("what migrate says");
    };
    let wrong = run(&["migrate"], &postgres.url().replace(PASSWORD, "an0ther")).await;
    assert_said(&wrong, RUN_TIME, &["password authentication failed"]);
    let unknown = run(&["migrate"], &postgres.url().replace(&format!("/{DATABASE}"), "/nothing")).await;
    assert_said(&unknown, RUN_TIME, &["\"nothing\" does not exist"]);
    let port = free_port();
    let nobody = run(&["migrate"], &url(port)).await;
    assert_said(&nobody, RUN_TIME, &["127.0.0.1", &port.to_string()]);

    postgres.psql("postgres", "CREATE DATABASE foreign_one");
    let forbidden = run(&["migrate"], &postgres.url().replace(&format!("/{DATABASE}"), "/foreign_one")).await;
    assert_said(&forbidden, RUN_TIME, &["permission denied"]);

    // All of them at once, and once more.
    for at_once in [4, 1] {
        let url = postgres.url();
        let all = (0..at_once).map(|_| run(&["migrate"], &url));
        for migrated in futures_util::future::join_all(all).await {
            assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_schema_a_replica_asks_for_migrate_and_with_it_needs_no_right_to_create_anything() {
    let _turn = turn().await;
    let Some(postgres) = Postgres::start().await else {
        return left_out("a replica without a schema");
    };
    let (projects, own) = (one_project().await, postgres.url());
    let missing = run(&[&projects.flag()], &own).await;
    assert_said(&missing, RUN_TIME, &["kapso-exporter migrate", "--state.migrate"]);
    assert_eq!(run(&["migrate"], &own).await.code, Some(0));
    for sql in [
        "CREATE ROLE replica LOGIN PASSWORD 'pa55-w0rd-of-the-role'",
        "GRANT USAGE ON SCHEMA kapso_exporter TO replica",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kapso_exporter TO replica",
    ] {
        postgres.psql(DATABASE, sql);
    }
    let least = own.replace(ROLE, "replica");
    let exporter =
        Exporter::start(&[&projects.flag()], &[("KAPSO_EXPORTER_STATE_URL", &least)]).await.ready().await;
    let shown = async || exporter.scrape().await.has("kapso_up", &[("project", "p0")]);
    crate::support::wait_for("the project", shown).await;
    let (_, page) = exporter.get("/").await;
    let (_, status) = exporter.get("/api/v1/status").await;
    for text in [&exporter.log(), &page, &status] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_verified_as_the_url_asks() {
    let _turn = turn().await;
    let certificate = Certificate::of_server();
    let Some(postgres) = Postgres::start_with_tls(&certificate).await else {
        return left_out("TLS to the database");
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, certificate: &Certificate| {
        let path = folder.path().join(name);
        std::fs::write(&path, &certificate.pem).unwrap();
        path.display().to_string()
    };
    let (own, other) = (file("own.crt", &certificate), file("other.crt", &Certificate::of_server()));
    let base = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{DATABASE}", postgres.port());
    for good in ["sslmode=require".to_owned(), format!("sslmode=verify-full&sslrootcert={own}")] {
        let migrated = run(&["migrate"], &format!("{base}?{good}")).await;
        assert_eq!(migrated.code, Some(0), "{good}: {}", migrated.stderr);
    }
    for bad in ["sslmode=disable".to_owned(), format!("sslmode=verify-full&sslrootcert={other}")] {
        let refused = run(&["migrate"], &format!("{base}?{bad}")).await;
        assert_eq!(refused.code, RUN_TIME, "{bad}: {}", refused.stderr);
    }
}
