//! Several projects in one process: each is exact, none touches another, and the configuration changes while they run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use kapso_exporter::{
    app::{App, Store},
    clock::Clock,
    config::{self, ProjectConfig, StateConfig},
    kapso::{Answer, Transport},
    model,
    project::{HttpTransports, Transports},
    simulator::{Api, Scenario, Traffic},
    supervisor::{OnRefusal, Supervisor},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::support::{ConfigFile, Exporter, Exposition, Kapso, judge::differences_of, run_to_end, wait_for};

const APIS: [Api; 1] = [Api::Platform];
const DAY: Duration = Duration::from_hours(24);

/// A small project with so many starts a minute. Every state lasts for three seconds, so that polling can see it.
fn busy(seed: u64, starts_per_minute: f64) -> Scenario {
    let dwell = Duration::from_secs(3)..Duration::from_secs(6);
    Scenario {
        seed,
        conversations: 6,
        history: 20,
        open_history: 3,
        workflows: ["Order Support", "Booking"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute,
            reply_delay: Duration::from_millis(50)..Duration::from_millis(500),
            dwell: dwell.clone(),
            handoff_dwell: dwell,
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

/// Waits until the numbers of this project equal the tally of its Kapso, where nothing happens any more.
async fn wait_until_exact(name: &str, kapso: &Kapso, exporter: &Exporter) {
    let begun = Instant::now();
    loop {
        let differences = differences_of(name, DAY, &kapso.simulator, &exporter.scrape().await, &APIS);
        if differences.is_empty() {
            return;
        }
        let late = begun.elapsed() > Duration::from_mins(1);
        assert!(!late, "{name}: {}\n{}", differences.join("\n"), exporter.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn reload(exporter: &Exporter) {
    let (status, answer) = exporter.post("/-/reload").await;
    assert_eq!((status, answer.as_str()), (200, "reloaded\n"));
}

async fn started(name: &str, exporter: &Exporter) -> f64 {
    exporter.scrape().await.sum("kapso_executions_started_total", &[("project", name)])
}

#[tokio::test]
async fn of_fifty_projects_two_are_broken_and_the_others_are_exact() {
    let (mut file, mut projects) = (ConfigFile::new(), Vec::new());
    for number in 0..50 {
        let (name, kapso) = (format!("p{number}"), Kapso::start(busy(number, 20.0)).await);
        file.watch(&name, &kapso, "");
        projects.push((name, kapso));
    }
    file.key("p7", "a-wrong-key");
    projects[30].1.simulator.set_latency(Duration::from_mins(5));
    let exporter = Exporter::start(&[&file.flag()], &[]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    for (_, kapso) in &projects {
        kapso.simulator.stop_traffic();
    }
    let (broken, well): (Vec<_>, Vec<_>) =
        projects.iter().partition(|(name, _)| ["p7", "p30"].contains(&name.as_str()));
    for (name, kapso) in &well {
        wait_until_exact(name, kapso, &exporter).await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.sum("kapso_project_info", &[]), 50.0);
    let is_up = |name: &str| scrape.value("kapso_up", &[("project", name)]);
    assert!(well.iter().all(|(name, _)| is_up(name) == Some(1.0)));
    assert!(broken.iter().all(|(name, _)| is_up(name) == Some(0.0)));
    let refused = exporter.log().lines().filter(|line| line.contains("refused the API key")).count();
    assert_eq!(refused, 1, "{}", exporter.log());
    assert!(exporter.log().contains("project=p7"));
    let (_, page) = exporter.get("/").await;
    assert!(page.contains(">p7</a>") && page.contains("401"), "{page}");
    assert_eq!(exporter.get("/-/ready").await.0, 200);
}

#[tokio::test]
async fn a_hundred_reloads_in_traffic_lose_nothing_and_count_nothing_twice() {
    let mut file = ConfigFile::new();
    let (steady, other) = (Kapso::start(busy(1, 60.0)).await, Kapso::start(busy(2, 60.0)).await);
    let changing = Kapso::start(busy(3, 60.0)).await;
    file.watch("steady", &steady, "");
    file.watch("changing", &changing, "");
    let exporter = Exporter::start(&[&file.flag(), &file.state()], &[]).await.ready().await;
    for number in 0..100 {
        match number % 6 {
            0 => file.watch("other", &other, ""),
            1 | 4 => file.replace("projects: [{name: steady, intervall: 1s}]\n"),
            2 => file.watch("changing", &changing, "    lookback: 25h\n    timeout: 9s\n"),
            3 => file.forget("other"),
            _ => {
                // The key is another one from one moment to the next, as whoever rotates it would have it.
                let key = format!("key-{number}");
                changing.simulator.set_key(key.clone());
                file.watch("changing", &changing, "");
                file.key("changing", &key);
            }
        }
        let (status, answer) = exporter.post("/-/reload").await;
        let is_bad = [1, 4].contains(&(number % 6));
        assert_eq!(status, if is_bad { 400 } else { 200 }, "{answer}");
        if number % 6 == 2 {
            file.key("changing", "not-this-one");
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let key = "the-last-key";
    changing.simulator.set_key(key);
    file.watch("changing", &changing, "");
    file.key("changing", key);
    file.watch("other", &other, "");
    reload(&exporter).await;
    for (name, kapso) in [("steady", &steady), ("other", &other), ("changing", &changing)] {
        kapso.simulator.stop_traffic();
        wait_until_exact(name, kapso, &exporter).await;
        assert!(started(name, &exporter).await > 3.0, "{name}");
    }
}

#[tokio::test]
async fn a_project_that_is_removed_and_put_back_counts_on() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(4, 60.0)).await);
    let beside = Kapso::start(busy(5, 0.0)).await;
    file.watch("acme", &kapso, "");
    file.watch("beside", &beside, "");
    let exporter = Exporter::start(&[&file.flag(), &file.state()], &[]).await.ready().await;
    wait_for("starts", async || started("acme", &exporter).await > 2.0).await;
    file.forget("acme");
    reload(&exporter).await;
    assert!(!exporter.scrape().await.has("kapso_up", &[("project", "acme")]), "it is gone at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    kapso.simulator.stop_traffic();
    file.watch("acme", &kapso, "");
    reload(&exporter).await;
    wait_until_exact("acme", &kapso, &exporter).await;
}

#[tokio::test]
async fn a_changed_file_and_a_hangup_are_noticed_and_a_bad_file_changes_nothing() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(6, 0.0)).await);
    file.watch("first", &kapso, "");
    let exporter = Exporter::start(&[&file.flag()], &[]).await.ready().await;
    let successful = "kapso_exporter_config_last_reload_successful";
    let before = exporter.scrape().await;
    assert_eq!(before.value(successful, &[]), Some(1.0));
    file.replace("projects: [{name: first}]\n");
    wait_for("the refusal", async || exporter.scrape().await.value(successful, &[]) == Some(0.0)).await;
    let after = exporter.scrape().await;
    assert_eq!(hashes(&after), hashes(&before));
    assert!(after.has("kapso_up", &[("project", "first")]));
    let line = "config.yaml:1:12: projects[0].api_key: it is missing";
    assert!(exporter.log().contains(line), "{}", exporter.log());
    file.watch("second", &kapso, "");
    exporter.signal("HUP").await;
    wait_for("the second project", async || {
        exporter.scrape().await.has("kapso_up", &[("project", "second")])
    })
    .await;
    let reloaded = exporter.scrape().await;
    assert_eq!(reloaded.value(successful, &[]), Some(1.0));
    assert_ne!(hashes(&reloaded), hashes(&before));
}

fn hashes(scrape: &Exposition) -> Vec<String> {
    scrape.values_of("kapso_exporter_config_info", "hash").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn two_projects_with_one_key_share_its_budget() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(9, 0.0)).await);
    for name in ["a", "b"] {
        file.watch(name, &kapso, "    requests_per_minute: 60\n");
    }
    let exporter = Exporter::start(&[&file.flag()], &[]).await.ready().await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let requests = exporter.scrape().await.sum("kapso_exporter_api_requests_total", &[]);
    // A tenth of a minute's requests may go at once, the rest one a second.
    assert!(requests <= 6.0 + 25.0, "{requests}");
}

#[tokio::test]
async fn flags_that_the_file_replaces_are_refused_beside_it() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(10, 0.0)).await);
    file.watch("acme", &kapso, "");
    let run = async |more: &[&str], env: &[(&str, &str)]| {
        run_to_end(&[&["check", "--offline", &file.flag()], more].concat(), env).await
    };
    let refused =
        run(&["--scrape.interval=5s", "--metrics.max-series=1000"], &[("KAPSO_API_KEY", "k")]).await;
    assert_eq!(refused.code, Some(2));
    for part in ["--scrape.interval", "--metrics.max-series", "KAPSO_API_KEY"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    let report = run(&[], &[]).await;
    assert_eq!((report.code, report.stdout.contains("acme")), (Some(0), true), "{}", report.stderr);
    file.replace("projects: [{name: acme, api_key: {env: NOT_SET}, intervall: 1s}]\n");
    let bad = run(&[], &[]).await;
    assert_eq!((bad.code, bad.stderr.lines().count()), (Some(2), 2), "{}", bad.stderr);
}

#[tokio::test]
async fn check_asks_a_few_things_with_every_key_and_names_the_project_whose_key_is_wrong() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(12, 0.0)).await);
    for name in ["acme", "bistro", "wrong"] {
        file.watch(name, &kapso, "");
    }
    file.key("wrong", "a-wrong-key");
    let checked = run_to_end(&["check", "--output=json", &file.flag()], &[]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    assert!(checked.stderr.contains("wrong: auto:"), "{}", checked.stderr);
    let reports: Vec<serde_json::Value> = serde_json::from_str(&checked.stdout).unwrap();
    let of = |report: &serde_json::Value| {
        let sent = report["requests_sent"].as_u64().unwrap();
        assert!((1..=12).contains(&sent), "{report}");
        (report["configuration"]["project"].as_str().unwrap().to_owned(), report["ok"].as_bool().unwrap())
    };
    let found: BTreeMap<_, _> = reports.iter().map(of).collect();
    let expected = [("acme", true), ("bistro", true), ("wrong", false)];
    assert_eq!(found, expected.map(|(name, ok)| (name.to_owned(), ok)).into());
}

/// Over HTTP, but while that is so every request of the project `fragile` panics.
struct Fragile {
    http: HttpTransports,
    panics: Arc<AtomicBool>,
}

struct Panicking {
    http: Box<dyn Transport>,
    panics: Arc<AtomicBool>,
}

impl Transports for Fragile {
    fn open(&self, api: model::Api, config: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        let http = self.http.open(api, config)?;
        let panics = self.panics.clone();
        Ok(if config.name == "fragile" { Box::new(Panicking { http, panics }) } else { http })
    }
}

impl Transport for Panicking {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        assert!(!self.panics.load(Ordering::Relaxed), "a defect");
        self.http.get(url)
    }
}

#[tokio::test]
async fn a_project_that_panics_begins_anew_and_disturbs_no_other() {
    let (mut file, kapso) = (ConfigFile::new(), Kapso::start(busy(11, 0.0)).await);
    file.watch("fragile", &kapso, "    sources: [conversations]\n");
    file.watch("steady", &kapso, "    sources: [conversations]\n");
    let config = config::file::read(&file.path("config.yaml"), StateConfig::default()).unwrap();
    let panics = Arc::new(AtomicBool::new(true));
    let transports = Fragile { http: HttpTransports::new().unwrap(), panics: panics.clone() };
    let (clock, shutdown) = (Clock::system(), CancellationToken::new());
    let app =
        App::build(config.clone(), Arc::new(transports), clock, Store::empty(), shutdown.clone()).unwrap();
    let renderer = app.publisher.renderer();
    let scrape = || Exposition::parse(std::str::from_utf8(&renderer.text().unwrap()).unwrap());
    let is_up = |name: &str| scrape().value("kapso_up", &[("project", name)]);
    let supervisor = Supervisor::new(app, config, OnRefusal::WatchOthers);
    supervisor.start().await;
    let restarts = || scrape().sum("kapso_exporter_sweep_restarts_total", &[("project", "fragile")]);
    wait_for("two panics", async || restarts() >= 2.0).await;
    assert_eq!((is_up("fragile"), is_up("steady")), (Some(0.0), Some(1.0)));
    panics.store(false, Ordering::Relaxed);
    wait_for("it is well again", async || is_up("fragile") == Some(1.0)).await;
    shutdown.cancel();
    assert!(supervisor.stopped().await.is_none());
}
