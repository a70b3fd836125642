//! A state file goes on with the project that it is of, and with no other.

use std::{fs, path::PathBuf, time::Duration};

use axum::{Router, extract::Request, response::IntoResponse};
use kapso_exporter::{
    account::Settings,
    clock::Clock,
    simulator::{Api, DEFAULT_KEY, Scenario, Simulator},
    state::FileStore,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::ServiceExt;

use crate::support::{Exporter, Exposition, Finished, run_against, run_to_end, wait_for, watch};

const NEW_KEY: &str = "a-new-key-of-the-same-project";
const OTHER_KEY: &str = "a-key-of-another-project";
const EVERY_SECOND: &str = "--scrape.interval=1s";
const EVER: &str = "--scrape.conversation-max-age=3650d";
const AMPLE: &str = "--scrape.requests-per-minute=100000";
const IN_TIME: Duration = Duration::from_secs(20);

/// Two projects behind one URL, told apart by their keys, and a state file of the first one.
struct Projects {
    own: Simulator,
    other: Simulator,
    port: u16,
    folder: TempDir,
    /// The flag that names the file.
    state: String,
    serving: JoinHandle<()>,
}

impl Drop for Projects {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Projects {
    async fn start() -> Self {
        let own = Simulator::new(Scenario::quiet(1), Clock::system());
        let workflows = ["a", "b", "c", "Sales", "Support"].map(Into::into).into();
        let scenario = Scenario { key: OTHER_KEY.into(), workflows, history: 9, ..Scenario::quiet(2) };
        let other = Simulator::new(scenario, Clock::system());
        // It has no workflow of the first project, nor of the file of an earlier version.
        for id in ["flow_1", "flow_2", "flow_3"] {
            other.delete_workflow(id).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = by_key(own.clone(), other.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let state = format!("--state.path={}", folder.path().join("state.redb").display());
        Self { own, other, port, folder, state, serving }
    }

    /// Makes a state file of the first project in which one start is counted.
    async fn counted(source: &str) -> Self {
        let projects = Self::start().await;
        let api = if source == "agents" { Api::Legacy } else { Api::Platform };
        counted(&projects.once(DEFAULT_KEY, source).await, 0.0);
        projects.begin(api);
        counted(&projects.once(DEFAULT_KEY, source).await, 1.0);
        projects
    }

    /// An execution begins in the first project.
    fn begin(&self, api: Api) {
        let (workflow, conversation) =
            (self.own.workflow_ids(api).remove(0), self.own.conversation_ids(api).remove(0));
        self.own.start(api, &workflow, Some(&conversation)).unwrap();
        self.own.message(api, &conversation).unwrap();
    }

    async fn once(&self, key: &str, source: &str) -> Finished {
        let source = format!("--scrape.source={source}");
        run_against(self.port, key, "once", &[EVERY_SECOND, EVER, AMPLE, &source, &self.state]).await
    }

    async fn check(&self, key: &str) -> (Option<i32>, Value) {
        let args = ["--output=json", EVERY_SECOND, &self.state];
        let finished = run_against(self.port, key, "check", &args).await;
        (finished.code, serde_json::from_str::<Value>(&finished.stdout).unwrap()["state_file"].take())
    }

    async fn watched(&self, key: &str) -> Exporter {
        watch(self.port, key, &[EVERY_SECOND, EVER, &self.state]).await
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.redb")
    }

    /// Everything that the file holds of the ledgers.
    fn ledgers(&self) -> String {
        let store = FileStore::open(&self.path()).unwrap();
        let account = |name| store.account(name, Settings::default()).unwrap();
        ["default/platform", "default/legacy"]
            .map(|name| {
                format!(
                    "{:?} {:?}",
                    account(name).workflows().collect::<Vec<_>>(),
                    account(name).conversations().collect::<Vec<_>>()
                )
            })
            .join("\n")
    }
}

fn by_key(own: Simulator, other: Simulator) -> Router {
    Router::new().fallback(move |request: Request| {
        let is_other = request.headers().get("X-API-Key").is_some_and(|key| key == OTHER_KEY);
        let simulator = if is_other { &other } else { &own };
        let router = simulator.router();
        async move { router.oneshot(request).await.into_response() }
    })
}

/// It succeeded, and has counted so many starts.
fn counted(finished: &Finished, starts: f64) {
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(started(&Exposition::parse(&finished.stdout)), starts);
}

fn is_refused(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
    assert!(finished.stderr.contains("belongs to another project"), "{}", finished.stderr);
    assert!(finished.stderr.contains("another file with --state.path"), "{}", finished.stderr);
}

fn started(scrape: &Exposition) -> f64 {
    scrape.sum("kapso_executions_started_total", &[])
}

#[tokio::test]
async fn a_key_of_another_project_is_refused_and_the_file_is_as_it_was() {
    for source in ["conversations", "workflows", "agents"] {
        let projects = Projects::counted(source).await;
        let before = projects.ledgers();
        is_refused(&projects.once(OTHER_KEY, source).await);
        assert_eq!(projects.ledgers(), before);
        counted(&projects.once(DEFAULT_KEY, source).await, 1.0);
    }
}

#[tokio::test]
async fn an_exporter_with_a_key_of_another_project_ends() {
    let projects = Projects::counted("conversations").await;
    let before = projects.ledgers();
    let source = "--scrape.source=conversations";
    let args = [EVERY_SECOND, source, "--web.listen-address=127.0.0.1:0", &projects.state];
    let [platform, legacy] = [("platform", "platform/v1"), ("legacy", "api/v1")]
        .map(|(api, path)| format!("--kapso.{api}-url=http://127.0.0.1:{}/{path}", projects.port));
    let args = [&args[..], &[&platform, &legacy]].concat();
    is_refused(&run_to_end(&args, &[("KAPSO_API_KEY", OTHER_KEY)]).await);
    assert_eq!(projects.ledgers(), before);
}

#[tokio::test]
async fn a_new_key_of_the_same_project_goes_on_counting_and_is_asked_about_once() {
    for source in ["conversations", "workflows", "agents"] {
        let projects = Projects::counted(source).await;
        projects.own.set_key(NEW_KEY);
        projects.begin(if source == "agents" { Api::Legacy } else { Api::Platform });
        let first = projects.once(NEW_KEY, source).await;
        counted(&first, 2.0);
        let verified = "the API key belongs to the project of the state file";
        assert!(first.stderr.contains(verified), "{}", first.stderr);
        let second = projects.once(NEW_KEY, source).await;
        counted(&second, 2.0);
        assert!(!second.stderr.contains(verified), "{}", second.stderr);
    }
}

#[tokio::test]
async fn known_conversations_that_a_page_does_not_show_are_asked_about() {
    let projects = Projects::counted("agents").await;
    projects.own.set_key(NEW_KEY);
    for _ in 0..150 {
        let newer = projects.own.add_conversation(Api::Legacy);
        projects.own.message(Api::Legacy, &newer).unwrap();
    }
    counted(&projects.once(NEW_KEY, "agents").await, 1.0);
}

#[tokio::test]
async fn another_url_is_refused_before_anything_is_asked() {
    let projects = Projects::counted("conversations").await;
    let before = projects.own.requests().len();
    let url = format!("--kapso.platform-url=http://127.0.0.1:{}/another/platform/v1", projects.port);
    let args = ["once", &url, &projects.state];
    let finished = run_to_end(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)]).await;
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
    let port = projects.port;
    let kept = format!("was kept from http://127.0.0.1:{port}/platform/v1");
    let asked = format!("is to ask http://127.0.0.1:{port}/another/platform/v1");
    for part in [kept, asked, "another file with --state.path".into()] {
        assert!(finished.stderr.contains(&part), "{}", finished.stderr);
    }
    assert_eq!(projects.own.requests().len(), before);
}

#[tokio::test]
async fn a_file_without_a_number_in_it_may_be_anyones() {
    let projects = Projects::start().await;
    let finished = run_against(1, DEFAULT_KEY, "once", &["--scrape.timeout=1s", &projects.state]).await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(projects.path().exists());
    counted(&projects.once(DEFAULT_KEY, "conversations").await, 0.0);
}

#[tokio::test]
async fn while_kapso_does_not_answer_restored_numbers_are_shown_and_it_counts_once_kapso_is_back() {
    let projects = Projects::counted("conversations").await;
    let before = projects.ledgers();
    projects.begin(Api::Platform);
    // The new key is not valid yet.
    let exporter = projects.watched(NEW_KEY).await.ready().await;
    wait_for("two tries", async || {
        exporter.scrape().await.sum("kapso_exporter_errors_total", &[("reason", "unauthorized")]) >= 2.0
    })
    .await;
    let scrape = exporter.scrape().await;
    assert_eq!((started(&scrape), scrape.value("kapso_up", &[])), (1.0, Some(0.0)));
    let waits = "nothing is counted until Kapso says whose the API key is";
    assert_eq!(exporter.log().matches(waits).count(), 1, "{}", exporter.log());
    projects.own.set_key(NEW_KEY);
    wait_for("the second start", async || started(&exporter.scrape().await) == 2.0).await;
    exporter.signal("TERM").await;
    assert_eq!(exporter.end(IN_TIME).await, Some(0));
    assert_ne!(projects.ledgers(), before);
}

#[tokio::test]
async fn an_exporter_that_stops_before_kapso_answers_leaves_the_file_as_it_was() {
    let projects = Projects::counted("conversations").await;
    let before = projects.ledgers();
    let exporter = projects.watched(NEW_KEY).await.ready().await;
    wait_for("a try", async || exporter.log().contains("nothing is counted until")).await;
    exporter.signal("TERM").await;
    assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0));
    assert_eq!(projects.ledgers(), before);
    is_refused(&projects.once(OTHER_KEY, "conversations").await);
}

#[tokio::test]
async fn an_empty_answer_proves_nothing() {
    let projects = Projects::counted("conversations").await;
    projects.own.set_key(NEW_KEY);
    let before = projects.ledgers();
    projects.own.workflow_ids(Api::Platform).iter().for_each(|id| projects.own.delete_workflow(id).unwrap());
    let finished = projects.once(NEW_KEY, "conversations").await;
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("Kapso lists nothing for the key"), "{}", finished.stderr);
    let scrape = Exposition::parse(&finished.stdout);
    assert_eq!((started(&scrape), scrape.value("kapso_up", &[])), (1.0, Some(0.0)));
    assert_eq!(projects.ledgers(), before);
}

#[tokio::test]
async fn a_file_of_an_earlier_version_becomes_that_of_a_project_that_has_its_workflows() {
    let projects = Projects::start().await;
    let earlier = || fs::copy("tests/golden/state-v1.redb", projects.path()).unwrap();
    earlier();
    is_refused(&projects.once(OTHER_KEY, "workflows").await);
    // The open executions of the file are those of another world: that they are not there is said.
    let is_taken_on = |finished: Finished| {
        assert!(finished.stderr.contains("have disappeared from the lists at once"), "{}", finished.stderr);
        assert_ne!(finished.stdout, "");
    };
    is_taken_on(projects.once(DEFAULT_KEY, "workflows").await);
    projects.own.set_key(NEW_KEY);
    is_taken_on(projects.once(NEW_KEY, "workflows").await);
}

#[tokio::test]
async fn a_check_says_whose_the_file_is_and_changes_nothing() {
    let projects = Projects::start().await;
    assert_eq!(projects.check(DEFAULT_KEY).await, (Some(0), json!({"state": "ok", "message": "a new file"})));
    assert!(!projects.path().exists());
    counted(&projects.once(DEFAULT_KEY, "conversations").await, 0.0);
    let before = projects.ledgers();
    let (code, file) = projects.check(DEFAULT_KEY).await;
    assert_eq!((code, &file["message"]), (Some(0), &json!("kept with this API key")));
    let (code, file) = projects.check(OTHER_KEY).await;
    assert_eq!((code, &file["state"]), (Some(1), &json!("failed")));
    assert!(file["message"].as_str().unwrap().contains("belongs to another project"), "{file}");
    projects.own.set_key(NEW_KEY);
    for _ in 0..2 {
        let (code, file) = projects.check(NEW_KEY).await;
        let message = json!("of this project, kept with another API key");
        assert_eq!((code, &file["message"]), (Some(0), &message));
    }
    assert_eq!(projects.ledgers(), before);
    let _running = projects.watched(NEW_KEY).await;
    let (code, file) = projects.check(NEW_KEY).await;
    assert_eq!((code, &file["message"]), (Some(0), &json!("in use by another process")));
}

#[tokio::test]
async fn the_demo_goes_on_with_its_own_file_and_not_with_a_projects() {
    let projects = Projects::start().await;
    for _ in 0..2 {
        let finished = run_to_end(&["once", "--demo", &projects.state], &[]).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }
    let finished = projects.once(DEFAULT_KEY, "conversations").await;
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("kept from the embedded simulated Kapso (--demo)"),
        "{}",
        finished.stderr
    );
    assert_eq!(projects.other.requests().len(), 0);
}

#[tokio::test]
async fn the_key_of_another_project_that_is_put_in_while_it_runs_is_refused_for_this_project_alone() {
    let projects = Projects::start().await;
    let path = |name: &str| projects.folder.path().join(name);
    let key = |name: &str, key: &str| fs::write(path(name), key).unwrap();
    key("first.key", DEFAULT_KEY);
    key("second.key", OTHER_KEY);
    let project = |name: &str| {
        let port = projects.port;
        format!(
            "- {{name: {name}, api_key: {{file: {name}.key}}, platform_url: 'http://127.0.0.1:{port}/platform/v1'}}\n"
        )
    };
    let defaults = "defaults: {interval: 1s, sources: [conversations]}";
    let text = format!("{defaults}\nprojects:\n{}{}", project("first"), project("second"));
    fs::write(path("config.yaml"), text).unwrap();
    let exporter = Exporter::start(&[&format!("--config.file={}", path("config.yaml").display())], &[]).await;
    let is_up = async |name| exporter.scrape().await.value("kapso_up", &[("project", name)]) == Some(1.0);
    wait_for("both", async || is_up("first").await && is_up("second").await).await;
    key("first.key", OTHER_KEY);
    wait_for("the refusal", async || exporter.log().contains("belongs to another project")).await;
    let refusal =
        exporter.log().lines().find(|line| line.contains("belongs to another project")).map(str::to_owned);
    assert!(refusal.unwrap().contains("project=first"));
    wait_for("the refusal on the page", async || exporter.get("/").await.1.contains("Not watched")).await;
    let status: Value = serde_json::from_str(&exporter.get("/api/v1/status").await.1).unwrap();
    let source = &status["projects"][0]["sources"][0];
    assert_eq!((&source["up"], &source["error"]["reason"]), (&json!(false), &json!("refused")), "{source}");
    wait_for("it is down", async || !is_up("first").await).await;
    key("first.key", DEFAULT_KEY);
    wait_for("it is up again", async || is_up("first").await).await;
    assert!(is_up("second").await);
}
