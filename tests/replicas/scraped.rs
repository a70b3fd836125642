//! A real Prometheus with the scrape configuration that is shipped: it sees one steady series for each project,
//! whichever replica shows it.

#[path = "../monitoring/end_to_end/prometheus.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod prometheus;
/// What the module above asks of its neighbour.
mod stack {
    pub fn free_address() -> String {
        format!("127.0.0.1:{}", crate::machine::free_port())
    }
}

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use self::prometheus::Prometheus;
use crate::{
    fleet::{Database, Fleet},
    machine::{left_out, number, turn},
    projects::Projects,
    support::wait_for,
};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus-replicas.yml");

const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/alerts/replicas.yml");

/// The shipped scrape configurations, for these addresses, once a second.
fn scrape_configs(addresses: &[&str]) -> String {
    let text = std::fs::read_to_string(SHIPPED).unwrap();
    let (_, configs) = text.split_once("scrape_configs:\n").expect("scrape_configs");
    let targets: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    let mut lines: Vec<_> = configs.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some((before, _)) = line.split_once("targets: [") {
            *line = format!("{before}targets: [{}]", targets.join(", "));
        }
        if let Some((before, _)) = line.split_once("job_name:") {
            let indent = before.replace('-', " ");
            *line = format!("{line}\n{indent}scrape_interval: 1s\n{indent}scrape_timeout: 1s");
        }
    }
    lines.join("\n") + "\n"
}

/// The metrics of replicas that the shipped alerts ask for.
fn asked_for() -> BTreeSet<String> {
    let families = ["kapso_exporter_lease", "kapso_exporter_replicas", "kapso_exporter_store_"];
    let text = std::fs::read_to_string(ALERTS).unwrap();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned);
    words.filter(|word| families.iter().any(|family| word.starts_with(family))).collect()
}

/// How many starts the replicas show at a moment at which no project changes hands.
async fn started(fleet: &Fleet, projects: usize) -> f64 {
    let mut started = 0.0;
    wait_for("all projects in one look", async || {
        let all = fleet.scrape().await;
        started = all.iter().map(|all| all.sum("kapso_executions_started_total", &[])).sum();
        all.iter().map(|all| all.values_of("kapso_up", "project").len()).sum::<usize>() == projects
    })
    .await;
    started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus, and three minutes"]
async fn prometheus_sees_no_reset_and_the_true_increase_through_stops_and_crashes() {
    let _turn = turn().await;
    let Some(database) = Database::start().await else {
        return left_out("Prometheus, and replicas that come and go");
    };
    let projects = Projects::busy(6).await;
    let mut fleet = Fleet::start(3, &database, &projects, &["--replica.lease-ttl=3s"]).await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(20)).await;
    let prometheus = Prometheus::start("", &scrape_configs(&fleet.addresses()));
    wait_for("scrapes", async || prometheus.value("count(count_over_time(up[1m]) >= 3)").await == Some(3.0))
        .await;
    // The increase is extrapolated by up to a scrape: of a hundred and more that is less than a hundredth.
    let (begun, before) = (Instant::now(), started(&fleet, projects.all.len()).await);
    let value = async |query: String| prometheus.value(&query).await.unwrap_or_default();
    let stops = number("KAPSO_TEST_EVENTS", 10);
    for stop in 0..stops as usize {
        tokio::time::sleep(Duration::from_secs(8)).await;
        fleet.stop(stop % 3).await;
        fleet.start_again(stop % 3).await;
    }
    // Each stop moves a project at most once, and the start after it at most once more.
    let seconds = begun.elapsed().as_secs();
    let least = value(format!("min(count_over_time(kapso_up[{seconds}s]))")).await;
    eprintln!("at least {least} samples of each project in {seconds} s, {stops} stops");
    assert!(least >= seconds as f64 - 1.0 - 2.0 * stops as f64, "{least} samples");
    for kill in 0..(stops / 2) as usize {
        tokio::time::sleep(Duration::from_secs(8)).await;
        fleet.kill(kill % 3).await;
        fleet.start_again(kill % 3).await;
    }
    projects.stop_traffic();
    fleet.wait_until_exact(&projects).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seconds = begun.elapsed().as_secs();

    let truth = started(&fleet, projects.all.len()).await - before;
    let family = "kapso_executions_started_total{instance=\"kapso\"}";
    let seen = value(format!("sum(increase({family}[{seconds}s]))")).await;
    eprintln!("started {truth}, increase {seen:.1} over {seconds} s");
    // And what starts within a scrape at either end.
    let at_the_ends = 2.0 * truth / seconds as f64;
    assert!((seen - truth).abs() <= 0.01 * truth + at_the_ends, "{seen} of {truth}");
    assert_eq!(value(format!("sum(resets({family}[{seconds}s]))")).await, 0.0);
    // Whatever the replica, the labels are the same ones.
    assert_eq!(value("count(count by (instance) (kapso_up))".into()).await, 1.0);
    assert_eq!(value("count({exported_instance!=\"\"})".into()).await, 0.0);
    assert_eq!(value("count(count by (instance) (process_start_time_seconds))".into()).await, 3.0);
    let asked_for = asked_for();
    assert!(asked_for.len() > 4, "{asked_for:?}");
    for metric in asked_for {
        assert!(value(format!("count({metric})")).await > 0.0, "no {metric}");
    }
    assert_eq!(prometheus.complaints(), Vec::<String>::new());
    assert_eq!(prometheus.failures().await, Vec::<String>::new());
    fleet.assert_no_faults();
}
