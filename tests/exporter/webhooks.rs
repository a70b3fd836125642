//! Webhook deliveries over HTTP: who is let in, what counts, what is kept, and that no text of theirs goes further.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use kapso_exporter::simulator::{Api, Scenario, Traffic};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{ConfigFile, Exporter, Exposition, Kapso, wait_for};

const HANDOFF: &str = "workflow.execution.handoff";
const FAILED: &str = "workflow.execution.failed";
const HANDOFFS: &str = "kapso_execution_handoffs_total";
const DELIVERIES: &str = "kapso_exporter_webhook_deliveries_total";
const PLACE: &str = "/webhooks/kapso/acme";
/// A webhook, classes of reasons, and polling that leaves the deliveries alone.
const RARELY: &str = "    interval: 1h\n    webhook: {secret: {file: webhook.key}}\n    handoff_reasons: [{class: billing, pattern: invoice}]\n";
/// The same, with polling beside it.
const OFTEN: &str = "    webhook: {secret: {file: webhook.key}}\n";

/// A business in which nothing happens by itself.
fn quiet() -> Scenario {
    let traffic = Traffic { starts_per_minute: 0.0, ..Traffic::default() };
    let workflows = vec!["Order Support".into()];
    Scenario { workflows, conversations: 2, history: 0, open_history: 0, traffic, ..Scenario::default() }
}

/// A project `acme` with a webhook, and the exporter that watches it.
struct Watched {
    kapso: Kapso,
    config: ConfigFile,
    exporter: Exporter,
}

impl Watched {
    async fn start(more: &str, flags: &[&str]) -> Self {
        let (kapso, mut config) = (Kapso::start(quiet()).await, ConfigFile::new());
        std::fs::write(config.path("webhook.key"), "s3cret\n").unwrap();
        config.watch("acme", &kapso, more);
        let exporter = Self::exporter(&config, flags, &[]).await;
        Self { kapso, config, exporter }
    }

    async fn exporter(config: &ConfigFile, flags: &[&str], env: &[(&str, &str)]) -> Exporter {
        Exporter::start(&[&[config.flag().as_str()], flags].concat(), env).await.ready().await
    }

    /// An execution that runs in the first conversation.
    fn running(&self) -> String {
        let (workflow, conversation) = self.kapso.first(Api::Platform);
        self.kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap()
    }

    fn body(&self, event: &str, execution: &str) -> Value {
        let (workflow, conversation) = self.kapso.first(Api::Platform);
        json!({
            "event": event, "occurred_at": self.kapso.simulator.now().to_string(), "project_id": "p",
            "workflow_id": workflow, "workflow_execution_id": execution, "tracking_id": "TRACKMARK",
            "channel": "whatsapp", "whatsapp_conversation_id": conversation,
            "handoff": {"reason": "NAMEMARK asks for an invoice", "source": "agent_tool"},
            "error": {"message": "ERRORMARK"},
        })
    }

    async fn deliver(&self, body: &Value) -> u16 {
        deliver(&self.exporter, "s3cret", &body.to_string()).await
    }

    /// Waits until polling has found so many starts.
    async fn started(&self, count: f64) {
        let started = async || self.exporter.scrape().await.sum("kapso_executions_started_total", &[]);
        wait_for("starts", async || started().await == count).await;
    }
}

async fn deliver(exporter: &Exporter, secret: &str, body: &str) -> u16 {
    let headers = [("X-Webhook-Event", HANDOFF), ("X-Idempotency-Key", "key")];
    exporter.send(PLACE, &headers, Some(&sign(secret, body)), body).await
}

fn sign(secret: &str, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn results(scrape: &Exposition, event: &str) -> Vec<(&'static str, f64)> {
    let all = ["accepted", "duplicate", "unauthorized", "malformed", "ignored", "overloaded"];
    let count = |result| scrape.sum(DELIVERIES, &[("event", event), ("result", result)]);
    all.map(|result| (result, count(result))).into_iter().filter(|(_, count)| *count > 0.0).collect()
}

#[tokio::test]
async fn a_handoff_that_is_told_is_on_the_metrics_at_once_with_its_source_and_the_class_of_its_reason() {
    let watched = Watched::start(OFTEN, &["--log.level=debug"]).await;
    let id = watched.running();
    watched.started(1.0).await;
    let watched = {
        let Watched { kapso, mut config, exporter } = watched;
        config.watch("acme", &kapso, RARELY);
        assert_eq!(exporter.post("/-/reload").await.0, 200);
        Watched { kapso, config, exporter }
    };
    let body = watched.body(HANDOFF, &id);
    assert_eq!(watched.deliver(&body).await, 200);
    let labels = [("source", "agent_tool"), ("reason", "billing"), ("project", "acme")];
    let told = Instant::now();
    wait_for("the handoff", async || watched.exporter.scrape().await.sum(HANDOFFS, &labels) == 1.0).await;
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
    assert_eq!(watched.deliver(&body).await, 200);
    wait_for("the repeat", async || {
        results(&watched.exporter.scrape().await, HANDOFF) == [("accepted", 1.0), ("duplicate", 1.0)]
    })
    .await;
    let (_, text) = watched.exporter.get("/metrics").await;
    let exposition = Exposition::parse(&text);
    assert_eq!(exposition.sum(HANDOFFS, &[]), 1.0);
    assert_eq!(exposition.sum("kapso_executions", &[("status", "handoff")]), 1.0);
    for mark in ["NAMEMARK", "TRACKMARK", "ERRORMARK", "s3cret"] {
        assert!(!text.contains(mark) && !watched.exporter.log().contains(mark), "{mark}");
    }
}

#[tokio::test]
async fn polling_and_deliveries_count_the_same_outcomes_once() {
    let watched = Watched::start(OFTEN, &[]).await;
    let ids: Vec<_> = (0..6).map(|_| watched.running()).collect();
    watched.started(6.0).await;
    for (number, id) in ids.iter().enumerate() {
        let (status, event) = if number % 2 == 0 { ("handoff", HANDOFF) } else { ("failed", FAILED) };
        watched.kapso.simulator.transition(id, status).unwrap();
        let body = watched.body(event, id);
        if number > 2 {
            // Polling finds it first.
            watched.kapso.swept_twice(&watched.exporter).await;
        }
        assert_eq!(watched.deliver(&body).await, 200);
    }
    watched.kapso.swept_twice(&watched.exporter).await;
    let scrape = watched.exporter.scrape().await;
    let failed = scrape.sum("kapso_executions_finished_total", &[("status", "failed")]);
    assert_eq!((scrape.sum(HANDOFFS, &[]), failed), (3.0, 3.0));
    assert_eq!(scrape.sum("kapso_execution_duration_seconds_count", &[("status", "failed")]), 3.0);
    assert_eq!(scrape.sum(HANDOFFS, &[("source", "agent_tool")]), 2.0, "told first");
    assert_eq!(scrape.sum(HANDOFFS, &[("source", "unknown")]), 1.0, "found first, and not relabelled");
}

#[tokio::test]
async fn an_execution_that_no_list_has_shown_counts_once_it_is_looked_at_and_one_that_is_not_there_does_not()
{
    let watched = Watched::start(RARELY, &[]).await;
    let id = watched.running();
    watched.kapso.simulator.transition(&id, "failed").unwrap();
    let odd = json!({"event": FAILED, "workflow_execution_id": "test-execution-123", "workflow_id": null});
    for body in [watched.body(FAILED, &id), odd] {
        assert_eq!(watched.deliver(&body).await, 200);
    }
    let failed = async || {
        let scrape = watched.exporter.scrape().await;
        scrape.sum("kapso_executions_finished_total", &[("status", "failed")])
    };
    wait_for("the failure", async || failed().await == 1.0).await;
    let scrape = watched.exporter.scrape().await;
    assert_eq!(scrape.sum("kapso_executions_started_total", &[]), 1.0);
    assert_eq!(scrape.sum("kapso_execution_duration_seconds_count", &[("status", "failed")]), 1.0);
    assert_eq!(results(&scrape, FAILED), [("accepted", 2.0)]);
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_and_its_repeat_counts_nothing() {
    let (kapso, mut config) = (Kapso::start(quiet()).await, ConfigFile::new());
    std::fs::write(config.path("webhook.key"), "s3cret").unwrap();
    config.watch("acme", &kapso, OFTEN);
    let state = config.state();
    let exporter = Watched::exporter(&config, &[&state], &[]).await;
    let mut watched = Watched { kapso, config, exporter };
    let id = watched.running();
    watched.started(1.0).await;
    for round in 1..=5 {
        let body = watched.body(HANDOFF, &id);
        assert_eq!(watched.deliver(&body).await, 200);
        watched.exporter.signal("KILL").await;
        watched.exporter = Watched::exporter(&watched.config, &[&state], &[]).await;
        let handoffs = async || watched.exporter.scrape().await.sum(HANDOFFS, &[("source", "agent_tool")]);
        assert_eq!(handoffs().await, f64::from(round), "after the restart");
        assert_eq!(watched.deliver(&body).await, 200);
        watched.kapso.swept_twice(&watched.exporter).await;
        assert_eq!(handoffs().await, f64::from(round), "after the repeat");
    }
    let kept = std::fs::read(watched.config.path("state.redb")).unwrap();
    let holds = |mark: &str| kept.windows(mark.len()).any(|window| window == mark.as_bytes());
    assert!(holds(&id) && !["NAMEMARK", "TRACKMARK", "ERRORMARK", "s3cret"].into_iter().any(holds));
}

#[tokio::test]
async fn who_has_no_secret_is_refused_and_a_secret_is_replaced_while_both_are_good() {
    let watched = Watched::start(RARELY, &[]).await;
    let Watched { kapso, mut config, exporter } = watched;
    let body = json!({"event": FAILED}).to_string();
    let send = async |place: &str, signature: Option<&str>, body: &str| {
        exporter.send(place, &[("X-Webhook-Event", FAILED)], signature, body).await
    };
    let good = sign("s3cret", &body);
    assert_eq!(send(PLACE, None, &body).await, 401);
    assert_eq!(send(PLACE, Some(&sign("secret", &body)), &body).await, 401);
    assert_eq!(send(PLACE, Some(&good), &format!("{body} ")).await, 401);
    assert_eq!(send("/webhooks/kapso/beta", Some(&good), &body).await, 404);
    assert_eq!(exporter.get(PLACE).await.0, 405);
    assert_eq!(send(PLACE, Some(&sign("s3cret", "{")), "{").await, 400);
    let large = format!("\"{}\"", "x".repeat(256 << 10));
    assert_eq!(send(PLACE, Some(&sign("s3cret", &large)), &large).await, 413);
    assert_eq!(send(PLACE, Some(&good), &body).await, 200);
    let expected = [("unauthorized", 3.0), ("malformed", 2.0), ("ignored", 1.0)];
    wait_for("all are counted", async || results(&exporter.scrape().await, FAILED) == expected).await;

    std::fs::write(config.path("new.key"), "n3w").unwrap();
    config.watch("acme", &kapso, "    webhook: {secret: [{file: new.key}, {file: webhook.key}]}\n");
    assert_eq!(exporter.post("/-/reload").await.0, 200);
    for secret in ["n3w", "s3cret"] {
        assert_eq!(send(PLACE, Some(&sign(secret, &body)), &body).await, 200, "{secret}");
    }
    config.watch("acme", &kapso, "    webhook: {secret: {file: new.key}}\n");
    assert_eq!(exporter.post("/-/reload").await.0, 200);
    assert_eq!(send(PLACE, Some(&sign("s3cret", &body)), &body).await, 401);
    config.watch("acme", &kapso, "");
    assert_eq!(exporter.post("/-/reload").await.0, 200);
    assert_eq!(send(PLACE, Some(&good), &body).await, 404);
}

#[tokio::test]
async fn what_cannot_be_kept_is_to_be_sent_again() {
    let (kapso, mut config) = (Kapso::start(quiet()).await, ConfigFile::new());
    std::fs::write(config.path("webhook.key"), "s3cret").unwrap();
    config.watch("acme", &kapso, OFTEN);
    let exporter = Watched::exporter(&config, &[&config.state()], &[]).await;
    let watched = Watched { kapso, config, exporter };
    let id = watched.running();
    watched.started(1.0).await;
    watched.exporter.limit_files(1).await;
    let body = watched.body(HANDOFF, &id);
    assert_eq!(watched.deliver(&body).await, 503);
    watched.exporter.limit_files(u64::MAX).await;
    wait_for("it is kept", async || watched.deliver(&body).await == 200).await;
    let scrape = watched.exporter.scrape().await;
    assert_eq!(scrape.sum(HANDOFFS, &[]), 1.0);
    assert!(scrape.sum(DELIVERIES, &[("result", "overloaded")]) >= 1.0);
}
