//! `check`: what works, what does not, and what the exporter would do; with a dozen requests at most.

use kapso_exporter::simulator::{DEFAULT_KEY, Scenario};
use serde_json::{Value, json};

use crate::support::{Finished, Kapso, run_against, run_to_end};

const BOTH: &str = "--scrape.source=conversations,agents";
const EVER: &str = "--scrape.conversation-max-age=3650d";

fn business() -> Scenario {
    Scenario { conversations: 30, history: 50, open_history: 10, ..Scenario::quiet(1) }
}

/// The report of a run that ended with this code.
fn report(finished: &Finished, code: i32) -> Value {
    assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap()
}

async fn checked(kapso: &Kapso, args: &[&str], code: i32) -> Value {
    report(&kapso.run("check", &[&["--output=json"], args].concat()).await, code)
}

fn advises(report: &Value, sentence: &str) -> bool {
    report["advice"].as_array().unwrap().iter().any(|advice| advice.as_str().unwrap().contains(sentence))
}

#[tokio::test]
async fn a_project_that_works_is_described() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(500), ..business() }).await;
    let report = checked(&kapso, &[EVER, BOTH], 0).await;
    assert_eq!((&report["ok"], &report["offline"]), (&json!(true), &json!(false)));
    let [agents, conversations] = report["sources"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    assert_eq!((&agents["source"], &agents["state"]), (&json!("agents"), &json!("ok")));
    assert_eq!(agents["workflows"], Value::Null);
    for source in [agents, conversations] {
        assert_eq!(source["conversations"], json!({"count": 30, "exact": true}));
        assert!(source["sample"]["executions"].as_u64() > Some(0), "{source}");
    }
    assert_eq!(conversations["workflows"], json!({"count": 2, "exact": true, "executions_ever": 60}));
    assert_eq!(conversations["requests"]["first_sweep"], 32, "workflows, one page, thirty conversations");
    assert_eq!((&report["limit"]["of_key"], &report["limit"]["share"]), (&json!(500), &json!(250)));
    assert_eq!(report["forecast"]["freshness_seconds"], 60.0);
}

#[tokio::test]
async fn a_large_project_costs_a_dozen_requests_and_is_counted_as_far_as_they_reach() {
    let scenario = Scenario { conversations: 5000, rate_limit: Some(100), ..Scenario::quiet(1) };
    let kapso = Kapso::start(scenario).await;
    let report = checked(&kapso, &[EVER, BOTH], 0).await;
    let sent = kapso.simulator.requests().len();
    assert!(sent <= 12 && report["requests_sent"] == sent, "{sent}: {report}");
    assert_eq!(report["sources"][0]["conversations"], json!({"count": 5000, "exact": true}));
    assert_eq!(report["sources"][1]["conversations"], json!({"count": 200, "exact": false}));
    assert_eq!(report["forecast"]["at_least"], true);
    assert!(advises(&report, "The first sweep lists every conversation and takes about"), "{report}");
}

#[tokio::test]
async fn workflows_are_described_by_a_sample_of_those_that_ran_last() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(500), ..business() }).await;
    let report = checked(&kapso, &[EVER, "--scrape.source=workflows"], 0).await;
    let source = &report["sources"][0];
    assert_eq!(source["workflows"], json!({"count": 2, "exact": true, "executions_ever": 60}));
    assert_eq!((&source["sample"]["lists"], &source["sample"]["executions"]), (&json!(2), &json!(60)));
    assert_eq!(source["sample"]["open_executions"], 10);
    assert_eq!(source["requests"], json!({"first_sweep": 11, "later_sweeps": 5, "at_least": false}));
    assert_eq!(kapso.simulator.requests().len(), 3, "the workflows and one list for each");
}

#[tokio::test]
async fn auto_is_recommended_where_the_budget_does_not_cover_the_conversations() {
    let scenario = Scenario { open_history: 190, conversations: 190, ..business() };
    let kapso = Kapso::start(Scenario { rate_limit: Some(60), ..scenario }).await;
    let report = checked(&kapso, &[EVER, "--scrape.source=conversations"], 0).await;
    assert!(
        advises(&report, "There are 2 workflows: --scrape.source=auto would cost at most about 9"),
        "{report}"
    );
}

#[tokio::test]
async fn what_auto_would_read_is_told_and_why() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(500), ..business() }).await;
    let report = checked(&kapso, &[EVER], 0).await;
    let source = &report["sources"][0];
    assert_eq!((&source["source"], &source["workflows"]["count"]), (&json!("auto"), &json!(2)));
    assert_eq!(source["plan"], json!({"open_executions": 10, "by_workflow": 2, "one_by_one": 10}));
    let text = kapso.run("check", &[EVER]).await.stdout;
    let expected = "by the lists of their workflows: about 2 a sweep, one by one it would be 10";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn text_says_at_least_where_more_may_be() {
    let kapso = Kapso::start(Scenario { conversations: 300, ..Scenario::quiet(1) }).await;
    let Finished { code, stdout, .. } = kapso.run("check", &[EVER, "--scrape.source=conversations"]).await;
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("\n  conversations       at least 200\n"), "{stdout}");
    assert!(stdout.contains(
        "\n  open executions     0, in 0 of a sample of 8 conversations with the newest activity\n"
    ));
    assert!(stdout.ends_with("\nEverything works. The check sent 11 requests.\n"), "{stdout}");
}

#[tokio::test]
async fn conversations_that_are_named_are_not_counted() {
    let kapso = Kapso::start(business()).await;
    let report = checked(&kapso, &["--scrape.conversation=a,b"], 0).await;
    assert_eq!(report["configuration"]["conversations"], 2);
    assert_eq!(report["sources"][0]["conversations"], json!({"count": 2, "exact": true}));
    assert_eq!(report["sources"][0]["requests"]["later_sweeps"], 3);
}

#[tokio::test]
async fn a_refused_key_costs_one_request_a_source_and_is_advised_on_without_showing_it() {
    let kapso = Kapso::start(business()).await;
    let finished = kapso.run_with_key("wrong-key", "check", &[BOTH]).await;
    assert_eq!(finished.code, Some(1));
    assert_eq!(kapso.simulator.requests().len(), 2);
    assert!(finished.stdout.contains("FAILED: workflows answered 401 Unauthorized"), "{}", finished.stdout);
    assert_eq!(finished.stdout.matches("put the key of this project into KAPSO_API_KEY").count(), 1);
    assert!(finished.stdout.ends_with("2 of 2 sources do not work. The check sent 2 requests.\n"));
    assert!(finished.stderr.contains("error: agents: conversations answered 401"), "{}", finished.stderr);
    assert!(![finished.stdout, finished.stderr].concat().contains("wrong-key"));
    let report = report(&kapso.run_with_key("wrong-key", "check", &["--output=json"]).await, 1);
    assert_eq!(report["sources"][0]["problem"]["reason"], "unauthorized");
}

#[tokio::test]
async fn an_absent_legacy_api_is_no_failure() {
    let kapso = Kapso::start(Scenario { legacy: false, ..business() }).await;
    let report = checked(&kapso, &[BOTH], 0).await;
    assert_eq!((&report["ok"], &report["sources"][0]["state"]), (&json!(true), &json!("absent")));
    assert!(advises(&report, "leave agents out of --scrape.source"), "{report}");
}

#[tokio::test]
async fn an_api_that_is_down_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let report = report(&run_against(port, DEFAULT_KEY, "check", &["--output=json"]).await, 1);
    assert_eq!((&report["ok"], &report["sources"][0]["state"]), (&json!(false), &json!("failed")));
    assert_eq!(report["sources"][0]["problem"]["reason"], "connection");
    assert!(advises(&report, "The platform API cannot be reached: check --kapso.platform-url"), "{report}");
}

#[tokio::test]
async fn a_wrong_url_is_told_from_a_wrong_key() {
    let kapso = Kapso::start(business()).await;
    let url = format!("{}/nowhere", kapso.platform_url());
    let args = ["check", "--output=json", "--kapso.platform-url", &url];
    let report = report(&run_to_end(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)]).await, 1);
    assert_eq!(report["sources"][0]["problem"]["reason"], "not_found");
    assert!(advises(&report, "check --kapso.platform-url"), "{report}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_not_waited_for() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(0), ..business() }).await;
    let report = checked(&kapso, &[], 1).await;
    assert_eq!(report["sources"][0]["problem"]["reason"], "rate_limited");
    assert!(advises(&report, "Others use up the key's limit"), "{report}");
}

#[tokio::test]
async fn a_budget_that_leaves_nothing_to_the_bot_is_advised_on() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(100), ..business() }).await;
    let report = checked(&kapso, &["--scrape.requests-per-minute=120"], 0).await;
    assert!(advises(&report, "120 of the key's 100 requests per minute leave hardly any"), "{report}");
}

#[tokio::test]
async fn offline_needs_a_key_and_asks_nothing() {
    let kapso = Kapso::start(business()).await;
    let Finished { code, stdout, .. } = kapso.run("check", &["--offline"]).await;
    assert_eq!(code, Some(0));
    assert!(
        stdout.ends_with("The configuration is well-formed. Nothing was asked (--offline).\n"),
        "{stdout}"
    );
    let report = checked(&kapso, &["--offline"], 0).await;
    assert_eq!((&report["offline"], &report["limit"]), (&json!(true), &Value::Null));
    assert_eq!(kapso.simulator.requests().len(), 0);
}

#[tokio::test]
async fn what_is_wrong_in_the_configuration_is_exit_code_2() {
    let key = [("KAPSO_API_KEY", "k")];
    let secret = [("KAPSO_API_KEY", "sec\nret")];
    for (args, env, said) in [
        (&["check"][..], &[][..], "no API key: set KAPSO_API_KEY"),
        (&["check", "--offline"], &[], "no API key: set KAPSO_API_KEY"),
        (&["check", "--offline"], &secret, "must be one line of visible ASCII characters"),
        (&["check", "--offline", "--output=xml"], &key, "text, json"),
        (&["check", "--offline", "--kapso.platform-url=kapso"], &key, "an http or https URL"),
        (&["check", "--web.telemetry-path=/m"], &key, "unexpected argument '--web.telemetry-path'"),
    ] {
        let Finished { code, stdout, stderr } = run_to_end(args, env).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("sec"), "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn reports_hold_nothing_personal_and_no_name() {
    let kapso = Kapso::start(business()).await;
    for output in ["text", "json"] {
        let output = format!("--output={output}");
        let finished = kapso.run("check", &[EVER, BOTH, "--log.level=debug", &output]).await;
        let everything = finished.stdout + &finished.stderr;
        for marked in ["+1555", "Zebulon", "marzipan", "Order Support", DEFAULT_KEY] {
            assert!(!everything.contains(marked), "{marked}: {everything}");
        }
    }
}
