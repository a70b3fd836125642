//! The whole way, for real: the simulated Kapso is broken, the exporter counts, Prometheus evaluates our rules,
//! Alertmanager tells somebody, and it ends when the cause does. A minute of the rules is a second here.

mod backfill;
mod formats;
mod prometheus;
mod push;
mod scaled;
mod stack;
mod tls;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use kapso_exporter::simulator::{
    Api, DEFAULT_KEY, Fault, Faults, Scenario, Simulator, Traffic, Webhook, WebhookStatus,
};

use self::stack::Stack;
use crate::{
    files,
    promql::{Query, Selector},
    support::{ConfigFile, Exporter, Kapso},
};

/// A business with steady traffic in which nothing fails.
fn healthy() -> Scenario {
    let traffic = Traffic {
        starts_per_minute: 240.0,
        reply_delay: Duration::from_millis(50)..Duration::from_millis(200),
        dwell: Duration::from_millis(100)..Duration::from_millis(800),
        handoff_dwell: Duration::from_millis(500)..Duration::from_millis(1500),
        failure_ratio: 0.0,
        handoff_ratio: 0.15,
        ..Traffic::default()
    };
    Scenario {
        history: 0,
        open_history: 0,
        busy_conversation: 0,
        rate_limit: Some(100_000),
        latency: Duration::ZERO,
        traffic,
        ..Scenario::demo(1)
    }
}

const FLAGS: [&str; 2] = ["--scrape.source=conversations,agents", "--scrape.interval=2s"];

/// The secret of its webhook.
const SECRET: &str = "a-secret";

/// An exporter with a webhook that looks at these sources of this Kapso as often as with [`FLAGS`], and saves its state.
async fn configured(kapso: &Kapso, sources: &str) -> (ConfigFile, Exporter) {
    let mut file = ConfigFile::new();
    file.key("webhook", SECRET);
    let keys = format!(
        "    sources: [{sources}]\n    interval: 2s\n    conversation_max_age: 7d\n    \
         webhook: {{secret: {{file: webhook.key}}}}\n"
    );
    file.watch("default", kapso, &keys);
    let exporter = Exporter::start(&[&file.flag(), &file.state()], &[]).await.ready().await;
    (file, exporter)
}

/// From now on Kapso tells this exporter of handoffs and failures, signed with this secret.
fn tell(kapso: &Kapso, exporter: &Exporter, secret: &str) {
    let url = format!("{}/webhooks/kapso/default", exporter.url);
    let webhook = Webhook { secret: secret.to_owned(), url: Some(url), ..Webhook::default() };
    kapso.simulator.set_webhook(Some(webhook));
}

/// Starts executions of a workflow, one in each of so many conversations; their ids.
fn start(simulator: &Simulator, api: Api, workflow: &str, count: usize) -> Vec<String> {
    let conversations = simulator.conversation_ids(api);
    conversations
        .iter()
        .take(count)
        .map(|conversation| simulator.start(api, workflow, Some(conversation)).unwrap())
        .collect()
}

#[tokio::test]
#[ignore = "needs Prometheus and Alertmanager, and two minutes"]
async fn a_failure_spike_and_a_handoff_spike_are_told_nothing_else_is_and_both_end() {
    let begun = Instant::now();
    let kapso = Kapso::start(healthy()).await;
    // With a configuration file, a state file and webhooks, so that every metric is there.
    let (_file, exporter) = configured(&kapso, "conversations, agents").await;
    tell(&kapso, &exporter, SECRET);
    let stack = Stack::watching(exporter.url.strip_prefix("http://").unwrap()).await;
    let normal = "workflow:kapso_executions_started:increase1d_offset1h{workflow_id=\"agent-support\"} >= 20";
    stack
        .wait(Duration::from_secs(200), "a normal to compare with", async || {
            !stack.query(normal).await.is_empty()
        })
        .await;
    assert_eq!(stack.fired().await, BTreeSet::new(), "nothing fires while all is well");

    for id in start(&kapso.simulator, Api::Platform, "flow_2", 8) {
        kapso.simulator.transition(&id, "failed").unwrap();
    }
    let handed_off = start(&kapso.simulator, Api::Legacy, "agent-support", 40);
    for id in &handed_off {
        kapso.simulator.transition(id, "handoff").unwrap();
    }
    let spike = stack.wait_for("KapsoFailureSpike", "firing", Duration::from_secs(30)).await;
    let handoffs = stack.wait_for("KapsoHandoffSpike", "firing", Duration::from_secs(30)).await;
    println!("KapsoFailureSpike after {spike:.1?}, KapsoHandoffSpike {handoffs:.1?} later");
    for id in &handed_off {
        kapso.simulator.finish_handoff(id).unwrap();
    }
    is_told_as_written(&stack, "KapsoFailureSpike", "critical", "flow_2", "Appointment Booking", "platform");
    is_told_as_written(&stack, "KapsoHandoffSpike", "warning", "agent-support", "agent-support", "legacy");

    let failures = stack.wait_for("KapsoFailureSpike", "resolved", Duration::from_mins(1)).await;
    let handoffs = stack.wait_for("KapsoHandoffSpike", "resolved", Duration::from_secs(90)).await;
    println!("resolved after {failures:.1?}, and {handoffs:.1?} later");
    let told: BTreeSet<_> = stack.told().into_iter().map(|(alert, _)| alert).collect();
    let expected = ["KapsoFailureSpike", "KapsoHandoffSpike"].map(str::to_owned).into();
    assert_eq!(told, expected, "nothing else is told");
    assert_eq!(stack.fired().await, expected, "nothing else fires");
    rules_are_evaluated_and_have_data(&stack).await;
    panels_have_data(&stack).await;
    println!("all in all {:.1?}", begun.elapsed());
}

fn is_told_as_written(stack: &Stack, alert: &str, severity: &str, id: &str, name: &str, api: &str) {
    let told = stack.first(alert);
    let labels = &told["labels"];
    let expected = serde_json::json!({
        "alertname": alert, "severity": severity, "job": "kapso", "project": "default", "api": api,
        "workflow_id": id, "workflow_name": name,
    });
    assert_eq!(*labels, expected);
    let annotations = &told["annotations"];
    let rule = files::alerts().into_iter().find(|rule| rule.name() == alert).unwrap();
    assert_eq!(annotations["runbook_url"], rule.annotations["runbook_url"]);
    let summary = annotations["summary"].as_str().unwrap();
    assert!(summary.starts_with(&format!("{name} (default): ")) && summary.contains('%'), "{summary}");
}

/// Whether this is there only with a web configuration file (see `tls`), with replicas, or with a mistake.
fn needs_more(selector: &Selector) -> bool {
    let families =
        ["kapso_exporter_web_", "kapso_exporter_lease", "kapso_exporter_replicas", "kapso_exporter_store_"];
    families.iter().any(|family| selector.metric.starts_with(family))
        || selector.matchers.iter().any(|(label, ..)| label == "exported_instance")
}

async fn rules_are_evaluated_and_have_data(stack: &Stack) {
    let held = stack.rules().await;
    assert_eq!(held.len(), files::rules().len());
    for rule in held {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let mut empty = Vec::new();
    for rule in files::rules() {
        for selector in Query::of(&scaled::faster(&rule.expr)).selectors {
            if needs_more(&selector) {
                continue;
            }
            let matchers: Vec<_> = selector
                .matchers
                .iter()
                .map(|(label, operator, value)| format!("{label}{operator}\"{value}\""))
                .collect();
            // A histogram is there in one of its forms.
            let name = selector.metric.strip_suffix("_bucket").unwrap_or(&selector.metric);
            let matchers = matchers.join(",");
            let query = format!("last_over_time({{__name__=~\"{name}(_bucket)?\",{matchers}}}[10m])");
            if stack.query(&query).await.is_empty() {
                empty.push(format!("{}: {query}", rule.name()));
            }
        }
    }
    assert!(empty.is_empty(), "rules that ask for what there is not: {empty:#?}");
}

async fn panels_have_data(stack: &Stack) {
    let (mut empty, mut asked) = (Vec::new(), 0);
    for (path, dashboard) in files::dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                // Within the last two minutes, as on a graph.
                let query = format!("last_over_time(({})[2m:2s])", scaled::query(expr));
                let series = stack.query(&query).await;
                let numbers = series.iter().filter(|series| series["value"][1] != "NaN").count();
                if numbers == 0 {
                    empty.push(format!("{path}, {}: {query}", panel["title"]));
                }
                asked += 1;
            }
        }
    }
    println!("{asked} queries of panels");
    assert!(empty.is_empty(), "panels without data: {empty:#?}");
}

#[tokio::test]
#[ignore = "needs Prometheus and Alertmanager, and two minutes"]
async fn a_refused_key_an_api_that_fails_and_an_exporter_that_is_gone_are_told() {
    let kapso = Kapso::start(healthy()).await;
    let exporter = kapso.watched(&FLAGS).await.ready().await;
    let stack = Stack::watching(exporter.url.strip_prefix("http://").unwrap()).await;
    stack
        .wait(Duration::from_secs(30), "a sweep", async || !stack.query("kapso_up == 1").await.is_empty())
        .await;

    kapso.simulator.set_key("renewed");
    let refused = stack.wait_for("KapsoKeyRefused", "firing", Duration::from_mins(1)).await;
    kapso.simulator.set_key(DEFAULT_KEY);
    let mended = stack.wait_for("KapsoKeyRefused", "resolved", Duration::from_mins(1)).await;
    println!("KapsoKeyRefused after {refused:.1?}, resolved after {mended:.1?}");

    kapso.simulator.set_faults(Faults { one_in: 1, kinds: vec![Fault::ServerError] });
    let blind = stack.wait_for("KapsoExporterBlind", "firing", Duration::from_secs(90)).await;
    kapso.simulator.set_faults(Faults::default());
    let mended = stack.wait_for("KapsoExporterBlind", "resolved", Duration::from_mins(1)).await;
    println!("KapsoExporterBlind after {blind:.1?}, resolved after {mended:.1?}");

    exporter.signal("TERM").await;
    let down = stack.wait_for("KapsoExporterDown", "firing", Duration::from_mins(1)).await;
    println!("KapsoExporterDown after {down:.1?}");
    let mut told: BTreeSet<_> = stack.told().into_iter().map(|(alert, _)| alert).collect();
    // Attempts that are repeated make a sweep longer than the two seconds that there are here, not than a minute.
    told.remove("KapsoExporterSweepSlow");
    let expected = ["KapsoExporterBlind", "KapsoExporterDown", "KapsoKeyRefused"].map(str::to_owned).into();
    assert_eq!(told, expected, "nothing else is told");
}

#[tokio::test]
#[ignore = "needs Prometheus and Alertmanager, and five minutes"]
async fn a_wrong_secret_and_a_webhook_that_is_gone_are_told_and_both_end() {
    // Of the platform alone, since the others are not told; and so long that polling sees them all, so that there are as
    // many with webhooks as without.
    let handoff_dwell = Duration::from_secs(8)..Duration::from_secs(12);
    let traffic = Traffic { handoff_dwell, ..healthy().traffic };
    let kapso = Kapso::start(Scenario { traffic, ..healthy() }).await;
    let (_file, exporter) = configured(&kapso, "conversations").await;
    let stack = Stack::watching(exporter.url.strip_prefix("http://").unwrap()).await;

    tell(&kapso, &exporter, "another-secret");
    let refused = stack.wait_for("KapsoWebhookUnauthorized", "firing", Duration::from_mins(1)).await;
    assert_eq!(kapso.simulator.webhook_status(), WebhookStatus::Active, "told before Kapso gives it up");
    tell(&kapso, &exporter, SECRET);
    let mended = stack.wait_for("KapsoWebhookUnauthorized", "resolved", Duration::from_mins(1)).await;
    println!("KapsoWebhookUnauthorized after {refused:.1?}, resolved after {mended:.1?}");

    kapso.simulator.set_webhook(None);
    // An outcome is missed after three minutes, which are minutes here as well.
    let silent = stack.wait_for("KapsoWebhookSilent", "firing", Duration::from_mins(5)).await;
    tell(&kapso, &exporter, SECRET);
    let mended = stack.wait_for("KapsoWebhookSilent", "resolved", Duration::from_mins(1)).await;
    println!("KapsoWebhookSilent after {silent:.1?}, resolved after {mended:.1?}");
    let told: BTreeSet<_> = stack.told().into_iter().map(|(alert, _)| alert).collect();
    let expected = ["KapsoWebhookSilent", "KapsoWebhookUnauthorized"].map(str::to_owned).into();
    assert_eq!(told, expected, "nothing else is told");
}
