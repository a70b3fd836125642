//! The status page and the status API: what they tell is what `/metrics` tells, and it harms nobody.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::simulator::{Api, Scenario};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{
    ConfigFile, Disk, Exporter, Exposition, Kapso, differences, openapi, wait_for, wait_until_equal,
};

const EVERY_SECOND: &str = "--scrape.interval=1s";
const EVER: &str = "--scrape.conversation-max-age=3650d";
const BOTH: &str = "--scrape.source=conversations,agents";
const RUNBOOKS: &str = "https://github.com/kapso-exporter/kapso-exporter/blob/main/docs/runbooks/exporter.md";

async fn status(exporter: &Exporter) -> Value {
    let (code, text) = exporter.get("/api/v1/status").await;
    assert_eq!(code, 200);
    serde_json::from_str(&text).unwrap()
}

/// Asserts that an answer is as the description that the exporter serves.
async fn assert_described(exporter: &Exporter, answer: &Value) {
    let document: Value = serde_json::from_str(&exporter.get("/api/v1/openapi.json").await.1).unwrap();
    let content = &document["paths"]["/api/v1/status"]["get"]["responses"]["200"]["content"];
    let faults = openapi::faults(&document, &content["application/json"]["schema"], answer);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// An execution that fails, one that is handed off, and one that runs, in each API.
fn happen(kapso: &Kapso) {
    for (api, ends) in [(Api::Platform, "failed"), (Api::Legacy, "failed")] {
        let (workflow, conversation) = kapso.first(api);
        for status in [ends, "handoff", "running"] {
            let id = kapso.simulator.start(api, &workflow, Some(&conversation)).unwrap();
            if status != "running" {
                kapso.simulator.transition(&id, status).unwrap();
            }
        }
    }
}

/// What the page says of a workflow: the value of each cell that names a metric, with its status.
fn cells(page: &str, workflow: &str) -> Vec<(String, Option<String>, f64)> {
    let row = format!("(?s)<tr [^>]*data-workflow-id=\"{workflow}\">.*?</tr>");
    let row = Regex::new(&row).unwrap().find(page).unwrap_or_else(|| panic!("{workflow} in {page}"));
    let cell = Regex::new("data-metric=\"([a-z_]+)\"(?: data-status=\"([a-z]+)\")?>([0-9]+)<").unwrap();
    let cells = cell.captures_iter(row.as_str());
    cells
        .map(|cell| {
            (cell[1].into(), cell.get(2).map(|status| status.as_str().into()), cell[3].parse().unwrap())
        })
        .collect()
}

fn assert_page_equals_metrics(page: &str, scrape: &Exposition, status: &Value) {
    for workflow in status["projects"][0]["workflows"].as_array().unwrap() {
        let id = workflow["id"].as_str().unwrap();
        let cells = cells(page, id);
        assert_eq!(cells.len(), 10);
        for (metric, status, value) in cells {
            let labels = [("workflow_id", id), ("status", status.as_deref().unwrap_or_default())];
            let labels = if status.is_some() { &labels[..] } else { &labels[..1] };
            assert_eq!(scrape.sum(&metric, labels), value, "{metric}{labels:?}");
        }
    }
}

fn assert_json_equals_metrics(status: &Value, scrape: &Exposition) {
    for workflow in status["projects"][0]["workflows"].as_array().unwrap() {
        let own =
            [("workflow_id", workflow["id"].as_str().unwrap()), ("api", workflow["api"].as_str().unwrap())];
        let with = |status| [own[0], own[1], ("status", status)];
        for (status, count) in workflow["executions"].as_object().unwrap() {
            assert_eq!(scrape.value("kapso_executions", &with(status)), count.as_f64());
        }
        assert_eq!(scrape.value("kapso_executions_started_total", &own), workflow["started"].as_f64());
        for result in ["ended", "failed"] {
            assert_eq!(
                scrape.value("kapso_executions_finished_total", &with(result)),
                workflow[result].as_f64()
            );
        }
        assert_eq!(Some(scrape.sum("kapso_execution_handoffs_total", &own)), workflow["handoffs"].as_f64());
    }
    for source in status["projects"][0]["sources"].as_array().unwrap() {
        let api = ("api", source["api"].as_str().unwrap());
        let own = [api, ("source", source["source"].as_str().unwrap())];
        assert_eq!(scrape.value("kapso_up", &[api]), Some(f64::from(u8::from(source["up"] == true))));
        assert_eq!(scrape.value("kapso_exporter_lists_due", &own), source["due"].as_f64());
    }
}

#[tokio::test]
async fn page_and_api_say_what_the_metrics_and_the_simulators_tally_say() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, BOTH]).await.ready().await;
    happen(&kapso);
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform, Api::Legacy]).await;
    let (scrape, status) = (exporter.scrape().await, status(&exporter).await);
    assert_eq!(differences(&kapso.simulator, &scrape, &[Api::Platform, Api::Legacy]), [""; 0]);
    assert_described(&exporter, &status).await;
    assert_json_equals_metrics(&status, &scrape);
    assert_page_equals_metrics(&exporter.get("/").await.1, &scrape, &status);
    assert_page_equals_metrics(&exporter.get("/projects/default").await.1, &scrape, &status);

    let (failing, _) = kapso.first(Api::Platform);
    let workflows = status["projects"][0]["workflows"].as_array().unwrap();
    let failing = workflows.iter().find(|workflow| workflow["id"] == *failing).unwrap();
    let last_hour = |what: &str| {
        let minutes = failing["last_hour"][what].as_array().unwrap();
        minutes.iter().map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((last_hour("failed"), last_hour("handoffs")), (1, 1), "{failing}");
}

#[tokio::test]
async fn a_source_that_fails_says_why_since_when_and_what_to_do_and_it_stays_visible() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.source=conversations"]).await.ready().await;
    let source = async || status(&exporter).await["projects"][0]["sources"][0].clone();
    let source_is_up = async |up: bool| source().await["up"] == up;
    wait_for("a source that is up", async || source_is_up(true).await).await;
    assert_eq!(source().await["error"], Value::Null);
    assert!(exporter.get("/").await.1.contains("All is well"));

    kapso.simulator.set_key("another");
    wait_for("the error", async || source().await["error"]["reason"] == "unauthorized").await;
    assert_described(&exporter, &status(&exporter).await).await;
    let failing = source().await;
    assert_eq!((&failing["up"], &failing["last_sweep"]["result"]), (&json!(false), &json!("incomplete")));
    assert_eq!(failing["error"]["at"], failing["last_sweep"]["finished"]);
    let page = exporter.get("/").await.1;
    let runbook = format!("href=\"{RUNBOOKS}#kapsokeyrefused\"");
    for part in ["1 of 1 source needs attention", "Down", "401 Unauthorized", &runbook, "replace it"] {
        assert!(page.contains(part), "{part}: {page}");
    }

    kapso.simulator.set_key(kapso_exporter::simulator::DEFAULT_KEY);
    wait_for("a source that is up again", async || source_is_up(true).await).await;
    let well = source().await;
    assert_eq!((&well["error"], &well["last_failure"]["reason"]), (&Value::Null, &json!("unauthorized")));
    let page = exporter.get("/projects/default").await.1;
    assert!(page.contains("Last failure: unauthorized") && page.contains("<td>unauthorized</td>"), "{page}");
}

#[tokio::test]
async fn hostile_names_of_workflows_are_harmless_and_their_pages_are_found() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let hostile = "<script>alert(1)</script>\"'></td>&\u{202e}\u{7}\n\u{5d0}";
    kapso.simulator.rename_workflow(&workflow, &format!("{hostile}{}", "x".repeat(100_000))).unwrap();
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let path = format!("/projects/default/workflows/platform/{workflow}");
    for path in ["/", "/projects/default", &path] {
        let (code, page) = exporter.get(path).await;
        assert_eq!(code, 200);
        assert!(page.contains("&#60;script&#62;alert(1)"), "{path}: {page}");
        assert!(!page.contains("<script") && !page.contains(['\u{202e}', '\u{7}']), "{path}: {page}");
        assert!(page.len() < 40_000, "{path} has {} bytes", page.len());
    }
    let sought = exporter.get("/?q=%22%3E%3Cscript%3E&sort=%22x&show=%27&refresh=30").await.1;
    assert!(!sought.contains("<script") && sought.contains("No project fits"), "{sought}");
    assert!(sought.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn a_page_names_the_open_executions_that_are_idle_for_longest() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let start = |minutes_ago: i64| {
        let at = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
        kapso.simulator.start_at(Api::Platform, &workflow, Some(&conversation), at).unwrap()
    };
    let started: Vec<_> = (0..131).map(start).collect();
    let (last, first) = (&started[0], &started[130]);
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let path = format!("/projects/default/workflows/platform/{workflow}");
    wait_for("all of them", async || {
        let open = exporter
            .scrape()
            .await
            .sum("kapso_executions", &[("workflow_id", &workflow), ("status", "running")]);
        open >= 131.0
    })
    .await;
    let page = exporter.get(&path).await.1;
    assert_eq!(page.matches("data-execution-id=").count(), 100);
    assert!(page.contains(first) && !page.contains(last), "{page}");
    assert!(page.contains("31 more are open.") && page.contains("https://app.kapso.ai/"), "{page}");
}

#[tokio::test]
async fn what_is_unknown_is_404_with_a_page_and_every_answer_is_safe() {
    let exporter = Exporter::start(&["--demo"], &[]).await.ready().await;
    for path in
        ["/projects/nobody", "/projects/default/workflows/platform/x", "/projects/default/workflows/none/x"]
    {
        let (code, page) = exporter.get(path).await;
        assert!(code == 404 && page.contains("Not found") && page.contains("href=\"/\""), "{path}: {page}");
    }
    let policy =
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for path in ["/", "/projects/default", "/projects/nobody", "/api/v1/status", "/api/v1/openapi.json"] {
        let answer = reqwest::get(format!("{}{path}", exporter.url)).await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-security-policy"), policy, "{path}");
        assert_eq!(
            (header("x-content-type-options").as_str(), header("referrer-policy").as_str()),
            ("nosniff", "no-referrer")
        );
    }
    let page = exporter.get("/").await.1;
    assert!(!page.contains("style=") && !page.contains("<style") && !page.contains("javascript"), "{page}");
    let stylesheet =
        Regex::new("href=\"(/status.css[^\"]*)\"").unwrap().captures(&page).unwrap()[1].to_owned();
    let answer = reqwest::get(format!("{}{stylesheet}", exporter.url)).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"text/css; charset=utf-8".parse().unwrap())
    );
}

#[tokio::test]
async fn nothing_personal_and_no_key_is_on_any_page() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND, EVER, BOTH]).await.ready().await;
    happen(&kapso);
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform, Api::Legacy]).await;
    let mut pages = vec!["/".to_owned(), "/projects/default".into(), "/api/v1/status".into()];
    for workflow in status(&exporter).await["projects"][0]["workflows"].as_array().unwrap() {
        let (api, id) = (workflow["api"].as_str().unwrap(), workflow["id"].as_str().unwrap());
        pages.push(format!("/projects/default/workflows/{api}/{id}"));
    }
    assert!(pages.len() > 5);
    let conversations = kapso.simulator.conversation_ids(Api::Platform);
    for path in pages {
        let (code, page) = exporter.get(&path).await;
        assert_eq!(code, 200, "{path}");
        for secret in ["+1555", "Zebulon", kapso_exporter::simulator::DEFAULT_KEY] {
            assert!(!page.contains(secret), "{secret} on {path}");
        }
        assert!(!conversations.iter().any(|id| page.contains(id.as_str())), "{path}");
    }
}

#[tokio::test]
async fn fifty_projects_fit_on_a_page_that_is_searched_and_sorted_by_its_url() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let mut config = ConfigFile::new();
    (0..50).for_each(|number| {
        config.watch(&format!("p{number}"), &kapso, "    sources: [conversations, agents, workflows]\n");
    });
    config.key("p7", "wrong");
    let exporter = Exporter::start(&[&config.flag()], &[]).await.ready().await;
    let names = |page: &str| -> Vec<String> {
        let heading = Regex::new("<h2><a href=\"/projects/(p[0-9]+)\">").unwrap();
        heading.captures_iter(page).map(|found| found[1].to_owned()).collect()
    };
    wait_for("one in trouble", async || names(&exporter.get("/?show=problems").await.1) == ["p7"]).await;
    let page = exporter.get("/?sort=problems").await.1;
    assert_eq!((names(&page).len(), names(&page)[0].as_str()), (50, "p7"));
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert_eq!(names(&exporter.get("/?q=P4").await.1).len(), 11);
    assert_described(&exporter, &status(&exporter).await).await;

    fs::write(config.path("config.yaml"), "projects: nonsense").unwrap();
    wait_for("the refusal", async || {
        status(&exporter).await["configuration"]["last_reload_successful"] == false
    })
    .await;
    let page = exporter.get("/").await.1;
    assert!(
        page.contains("The configuration file was refused") && page.contains("#kapsoexporterconfigrefused")
    );
}

#[tokio::test]
async fn it_says_that_it_starts_while_the_state_file_is_not_open() {
    let disk = Disk::new();
    disk.hang();
    let state = format!("--state.path={}", disk.state().display());
    let exporter = Exporter::start(&["--demo", &state], &disk.environment()).await;
    let (code, page) = exporter.get("/").await;
    assert!(code == 200 && page.contains("<h1>Starting</h1>"), "{page}");
    let status = status(&exporter).await;
    assert_eq!((&status["ready"], &status["projects"]), (&json!(false), &json!([])));
    assert_eq!(exporter.get("/metrics").await.0, 503);
    disk.recover();
    let exporter = exporter.ready().await;
    assert!(exporter.get("/").await.1.contains("file of"));
}
