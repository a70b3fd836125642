//! What the counters mean: history and news, renames, handoffs, names of all kinds.

use kapso_exporter::simulator::{Api, Scenario};

use crate::support::{Kapso, differences, wait_for};

const EVERY_SECOND: &str = "--scrape.interval=1s";

#[tokio::test]
async fn history_fills_the_gauges_and_is_never_counted() {
    let kapso = Kapso::start(Scenario { history: 50, open_history: 10, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.conversation-max-age=3650d"]).await.ready().await;
    let scrape = exporter.scrape().await;
    assert!(scrape.sum("kapso_executions", &[("status", "ended")]) > 0.0);
    assert!(scrape.sum("kapso_open_execution_idle_seconds_count", &[]) > 0.0);
    for counter in [
        "kapso_executions_started_total",
        "kapso_executions_finished_total",
        "kapso_execution_handoffs_total",
    ] {
        assert_eq!(scrape.sum(counter, &[]), 0.0, "{counter}");
    }
    assert_eq!(differences(&kapso.simulator, &scrape, &[Api::Platform]), Vec::<String>::new());
}

#[tokio::test]
async fn every_known_workflow_is_there_at_zero_from_the_start() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let scrape = exporter.scrape().await;
    for workflow in kapso.simulator.workflow_ids(Api::Platform) {
        let labels = |status| [("workflow_id", workflow.as_str()), ("status", status)];
        for status in ["running", "waiting", "handoff", "ended", "failed", "unknown"] {
            assert_eq!(scrape.value("kapso_executions", &labels(status)), Some(0.0));
        }
        for status in ["ended", "failed"] {
            assert_eq!(scrape.value("kapso_executions_finished_total", &labels(status)), Some(0.0));
            assert_eq!(scrape.value("kapso_execution_duration_seconds_count", &labels(status)), Some(0.0));
        }
        let handoffs =
            scrape.value("kapso_execution_handoffs_total", &[("workflow_id", &workflow), ("reason", "")]);
        assert_eq!(handoffs, Some(0.0));
    }
}

#[tokio::test]
async fn an_execution_that_is_handed_off_twice_counts_two_handoffs_and_one_time_to_handoff() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let id = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    for status in ["handoff", "running", "handoff", "failed"] {
        kapso.simulator.transition(&id, status).unwrap();
        wait_for(status, async || {
            exporter.scrape().await.sum("kapso_executions", &[("status", status)]) == 1.0
        })
        .await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.sum("kapso_execution_handoffs_total", &[]), 2.0);
    assert_eq!(scrape.sum("kapso_execution_time_to_handoff_seconds_count", &[]), 1.0);
    assert_eq!(differences(&kapso.simulator, &scrape, &[Api::Platform]), Vec::<String>::new());
}

#[tokio::test]
async fn a_legacy_handoff_is_open_until_it_has_an_end() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso
        .watched(&[EVERY_SECOND, "--scrape.source=agents", "--scrape.conversation-max-age=3650d"])
        .await
        .ready()
        .await;
    let (agent, conversation) = kapso.first(Api::Legacy);
    let id = kapso.simulator.start(Api::Legacy, &agent, Some(&conversation)).unwrap();
    kapso.simulator.transition(&id, "handoff").unwrap();
    wait_for("the handoff", async || {
        exporter.scrape().await.sum("kapso_executions", &[("status", "handoff")]) == 1.0
    })
    .await;
    kapso.simulator.finish_handoff(&id).unwrap();
    wait_for("its end", async || {
        exporter.scrape().await.sum("kapso_executions_finished_total", &[("status", "ended")]) == 1.0
    })
    .await;
    assert_eq!(differences(&kapso.simulator, &exporter.scrape().await, &[Api::Legacy]), Vec::<String>::new());
}

#[tokio::test]
async fn a_rename_moves_the_series_and_its_counters_go_on() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    let started = async |name: &str| {
        exporter.scrape().await.value("kapso_executions_started_total", &[("workflow_name", name)])
    };
    wait_for("the start", async || started("Order Support").await == Some(1.0)).await;
    kapso.simulator.rename_workflow(&workflow, "Orders").unwrap();
    wait_for("the new name", async || started("Orders").await == Some(1.0)).await;
    assert_eq!(started("Order Support").await, None);
}

#[tokio::test]
async fn names_of_all_kinds_scrape_cleanly() {
    let names =
        ["say \"hi\"", "C:\\bots\\1", "two\nlines", "Ärger & Ñandú 訂單 🛵", "{a=\"b\"} 1 # HELP", " "];
    let scenario = Scenario { workflows: names.map(Into::into).into(), ..Scenario::quiet(1) };
    let kapso = Kapso::start(scenario).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let scrape = exporter.scrape().await;
    let shown = names.map(|name| if name == "two\nlines" { "two\u{fffd}lines" } else { name });
    assert_eq!(scrape.values_of("kapso_executions", "workflow_name"), shown.into());
}

#[tokio::test]
async fn a_workflow_with_a_name_of_100_kb_makes_a_small_exposition() {
    let names = vec!["訂單 ".repeat(15_000), "Orders".into()];
    let kapso = Kapso::start(Scenario { workflows: names, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    let text = exporter.get("/metrics").await.1;
    assert!(text.len() < 200_000, "{} bytes", text.len());
    let scrape = exporter.scrape().await;
    let shown = scrape.values_of("kapso_executions", "workflow_name");
    assert!(shown.iter().all(|name| name.len() <= 256), "{shown:?}");
    assert!(shown.iter().any(|name| name.starts_with("訂單 訂單") && name.ends_with('…')), "{shown:?}");
}

#[tokio::test]
async fn labels_and_logs_hold_nothing_personal() {
    let kapso = Kapso::start(Scenario { history: 20, open_history: 10, ..Scenario::quiet(1) }).await;
    let exporter =
        kapso.watched(&[EVERY_SECOND, "--log.level=debug", "--scrape.source=agents,conversations"]).await;
    let exporter = exporter.ready().await;
    let everything = [exporter.get("/metrics").await.1, exporter.get("/").await.1, exporter.log()].join("\n");
    for marked in ["+1555", "Zebulon", "marzipan", kapso_exporter::simulator::DEFAULT_KEY] {
        assert!(!everything.contains(marked), "{marked}");
    }
    for id in kapso.simulator.conversation_ids(Api::Platform) {
        assert!(!exporter.get("/metrics").await.1.contains(&id), "no conversation unless it is asked for");
    }
}

#[tokio::test]
async fn conversations_have_series_of_their_own_where_asked_for_and_the_rest_is_added_up() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--metrics.max-conversations=1"]).await.ready().await;
    let conversations = kapso.simulator.conversation_ids(Api::Platform);
    let (workflow, _) = kapso.first(Api::Platform);
    for conversation in &conversations {
        kapso.simulator.start(Api::Platform, &workflow, Some(conversation)).unwrap();
    }
    let open = async |id: &str| {
        exporter.scrape().await.sum("kapso_conversation_open_executions", &[("conversation_id", id)])
    };
    wait_for("all but one under other", async || open("other").await == (conversations.len() - 1) as f64)
        .await;
    assert_eq!(
        exporter.scrape().await.sum("kapso_conversation_open_executions", &[]),
        conversations.len() as f64
    );
}

#[tokio::test]
async fn workflows_beyond_the_series_budget_are_added_up_under_other() {
    let workflows = (1..=40).map(|n| format!("Workflow {n}")).collect();
    let kapso = Kapso::start(Scenario { workflows, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--metrics.max-series=1000"]).await.ready().await;
    let conversation = kapso.first(Api::Platform).1;
    for workflow in kapso.simulator.workflow_ids(Api::Platform) {
        kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    }
    wait_for("all of them", async || {
        exporter.scrape().await.sum("kapso_executions_started_total", &[]) == 40.0
    })
    .await;
    let scrape = exporter.scrape().await;
    assert!(scrape.sum("kapso_executions_started_total", &[("workflow_id", "other")]) > 30.0);
    let dropped = scrape.value("kapso_exporter_series_dropped_total", &[("family", "kapso_executions")]);
    assert_eq!(dropped, Some(40.0 - (scrape.values_of("kapso_executions", "workflow_id").len() - 1) as f64));
    assert!(scrape.len() < 1300, "{} series", scrape.len());
}
