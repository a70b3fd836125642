//! What it costs: conversations at rest are free, long lists are not read to the end again, the budget holds.

use std::{collections::BTreeSet, time::Duration};

use kapso_exporter::{
    model::Source,
    simulator::{Api, RequestRecord, Scenario, Traffic},
};

use crate::support::{Exporter, Kapso, Setup, Simulated, wait_for};

const EVERY_SECOND: &str = "--scrape.interval=1s";

/// The list requests that the next two sweeps make.
async fn lists_of_two_sweeps(kapso: &Kapso, exporter: &Exporter) -> Vec<RequestRecord> {
    let before = kapso.simulator.requests().len();
    kapso.swept_twice(exporter).await;
    let requests = kapso.simulator.requests().split_off(before);
    requests.into_iter().filter(|request| request.endpoint == "flow_executions").collect()
}

#[tokio::test]
async fn conversations_at_rest_cost_nothing() {
    let kapso = Kapso::start(Scenario { conversations: 50, history: 100, ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    // Their last activity may be so recent that an execution could still follow it.
    let lists = lists_of_two_sweeps(&kapso, &exporter).await;
    let recent: BTreeSet<_> = lists.iter().map(|request| &request.path).collect();
    assert!(recent.len() <= 3, "{} of 50 conversations were listed again", recent.len());
}

#[tokio::test]
async fn a_long_list_is_read_to_the_end_once_and_then_only_its_first_page() {
    let scenario = Scenario { busy_conversation: 350, conversations: 1, ..Scenario::quiet(1) };
    let kapso = Kapso::start(scenario).await;
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.source=conversations"]).await.ready().await;
    let first = kapso.simulator.requests().iter().filter(|r| r.endpoint == "flow_executions").count();
    assert_eq!(first, 4, "350 executions are four pages");

    let (workflow, conversation) = kapso.first(Api::Platform);
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    wait_for("the start", async || exporter.scrape().await.sum("kapso_executions_started_total", &[]) == 1.0)
        .await;
    let lists = lists_of_two_sweeps(&kapso, &exporter).await;
    assert!(!lists.is_empty() && lists.iter().all(|request| !request.query.contains("after")), "{lists:?}");
}

#[tokio::test]
async fn an_old_open_execution_is_followed_to_its_page() {
    let scenario = Scenario { busy_conversation: 150, conversations: 1, ..Scenario::quiet(1) };
    let kapso = Kapso::start(scenario).await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    let long_ago = kapso.simulator.now() - Duration::from_hours(24 * 200);
    let id = kapso.simulator.start_at(Api::Platform, &workflow, Some(&conversation), long_ago).unwrap();
    let exporter = kapso.watched(&[EVERY_SECOND]).await.ready().await;
    assert_eq!(exporter.scrape().await.sum("kapso_executions", &[("status", "running")]), 1.0);
    kapso.simulator.transition(&id, "failed").unwrap();
    wait_for("its failure", async || {
        exporter.scrape().await.sum("kapso_executions_finished_total", &[("status", "failed")]) == 1.0
    })
    .await;
}

#[tokio::test]
async fn only_the_conversations_that_were_asked_for_are_asked_for() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let (workflow, conversation) = kapso.first(Api::Platform);
    kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    let exporter = kapso.watched(&[EVERY_SECOND, "--scrape.conversation", &conversation]).await.ready().await;
    assert_eq!(exporter.scrape().await.sum("kapso_executions", &[("status", "running")]), 1.0);
    let own = format!("/whatsapp/conversations/{conversation}/flow_executions");
    for request in kapso.simulator.requests() {
        assert!(request.path.ends_with("/workflows") || request.path.ends_with(&own), "{request:?}");
    }
}

#[tokio::test]
async fn half_of_the_reported_limit_is_never_exceeded_and_no_request_is_refused() {
    let scenario = Scenario { conversations: 100, rate_limit: Some(60), ..Scenario::quiet(1) };
    let kapso = Kapso::start(scenario).await;
    let flags = [EVERY_SECOND, "--scrape.conversation-max-age=3650d"];
    let exporter = kapso.watched_within_default_budget(&flags).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    let busiest = kapso.simulator.busiest_minute();
    assert!((25..=30).contains(&busiest), "{busiest} requests in the busiest minute");
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("kapso_exporter_api_rate_limit", &[]), Some(60.0));
    assert_eq!(scrape.value("kapso_exporter_api_request_budget", &[]), Some(30.0));
    assert_eq!(scrape.sum("kapso_exporter_api_requests_total", &[("code", "429")]), 0.0);
}

#[tokio::test]
async fn a_budget_above_the_limit_is_said() {
    let kapso = Kapso::start(Scenario { rate_limit: Some(60), ..Scenario::quiet(1) }).await;
    let exporter = kapso.watched(&["--scrape.requests-per-minute=61"]).await.ready().await;
    let log = exporter.log();
    assert!(log.contains("--scrape.requests-per-minute is above the limit"), "{log}");
    assert!(log.contains("limit=60 budget=61"), "{log}");
}

/// The Platform API, a minute from sweep to sweep, on half of the limit that it reports.
fn unhurried() -> Setup {
    Setup {
        sources: vec![Source::Conversations],
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(10),
        requests_per_minute: None,
        ..Setup::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_sweep_costs_five_requests_however_many_conversations_there_are() {
    for conversations in [10, 2_000] {
        let simulated =
            Simulated::start(Scenario { conversations, ..Scenario::quiet(1) }, &unhurried()).await;
        tokio::time::sleep(Duration::from_hours(3)).await;
        let before = simulated.simulator.requests().len();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let a_sweep = (simulated.simulator.requests().len() - before).div_ceil(60);
        assert!((3..=5).contains(&a_sweep), "{a_sweep} requests a sweep for {conversations} conversations");
    }
}

#[tokio::test(start_paused = true)]
async fn every_sweep_asks_once_for_each_conversation_with_open_executions() {
    let scenario = Scenario {
        conversations: 500,
        open_history: 40,
        rate_limit: Some(100),
        legacy: false,
        ..Scenario::quiet(1)
    };
    let simulated = Simulated::start(scenario, &unhurried()).await;
    let open = simulated.simulator.conversations_with_open_executions(Api::Platform);
    tokio::time::sleep(Duration::from_hours(3)).await;
    let lists = || simulated.simulator.requests().iter().filter(|r| r.endpoint == "flow_executions").count();
    let before = lists();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let an_hour = lists() - before;
    assert!(
        (60 * open..=60 * (open + 2)).contains(&an_hour),
        "{an_hour} lists an hour for {open} conversations"
    );
}

/// Requests of an hour of sweeps, three hours after the start.
async fn an_hour_of(scenario: Scenario, source: Source) -> usize {
    let setup = Setup { sources: vec![source], ..unhurried() };
    let simulated = Simulated::start(scenario, &setup).await;
    tokio::time::sleep(Duration::from_hours(3)).await;
    let before = simulated.simulator.requests().len();
    tokio::time::sleep(Duration::from_hours(1)).await;
    simulated.simulator.requests().len() - before
}

#[tokio::test(start_paused = true)]
async fn workflows_at_rest_cost_a_request_a_sweep_and_four_an_hour_each() {
    for workflows in [2, 20] {
        let workflows: Vec<_> = (0..workflows).map(|n| format!("Workflow {n}")).collect();
        let looks = 4 * workflows.len();
        let scenario = Scenario { workflows, conversations: 500, history: 2_000, ..Scenario::quiet(1) };
        let requests = an_hour_of(scenario, Source::Workflows).await;
        assert!(requests <= 60 + looks + 4, "{requests} requests an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn open_executions_of_a_workflow_share_their_requests() {
    let scenario = Scenario { conversations: 500, open_history: 150, ..Scenario::quiet(1) };
    let an_hour = an_hour_of(scenario, Source::Workflows).await;
    let slow_round = 2 * 2;
    assert!(
        an_hour <= 60 * (1 + 2 * 3) + slow_round,
        "{an_hour} requests an hour for two workflows with 150 open executions"
    );
}

#[tokio::test(start_paused = true)]
async fn the_bot_is_never_refused_while_it_keeps_to_its_half() {
    let busy = Traffic { starts_per_minute: 20.0, ..Traffic::default() };
    let scenario =
        Scenario { conversations: 500, rate_limit: Some(100), traffic: busy, ..Scenario::quiet(1) };
    let simulated = Simulated::start(scenario, &unhurried()).await;
    let mut refused = 0;
    for _ in 0..60 {
        // Half of the key's limit, all at once.
        for _ in 0..50 {
            refused += usize::from(simulated.get("/workflows").await == 429);
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    let scrape = simulated.scrape();
    assert_eq!(refused, 0);
    assert_eq!(scrape.sum("kapso_exporter_errors_total", &[("reason", "rate_limited")]), 0.0);
    assert!(scrape.sum("kapso_executions_started_total", &[]) > 500.0, "and the exporter has its share");
}

#[tokio::test(start_paused = true)]
async fn a_greedy_neighbour_slows_the_exporter_down_and_does_not_stop_it() {
    let busy = Traffic { starts_per_minute: 5.0, ..Traffic::default() };
    let scenario =
        Scenario { conversations: 100, rate_limit: Some(100), traffic: busy, ..Scenario::quiet(1) };
    let simulated = Simulated::start(scenario, &unhurried()).await;
    for _ in 0..120 {
        for _ in 0..40 {
            simulated.get("/workflows").await;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let scrape = simulated.scrape();
    let own = scrape.sum("kapso_exporter_api_requests_total", &[("code", "200")]);
    let refused = scrape.sum("kapso_exporter_api_requests_total", &[("code", "429")]);
    assert!(own > 300.0, "{own} requests of its own in an hour");
    assert!(refused < own / 20.0, "{refused} of them refused");
}

#[tokio::test(start_paused = true)]
async fn a_slow_api_does_not_keep_the_budget_from_being_used() {
    for source in [Source::Conversations, Source::Workflows] {
        let scenario = Scenario {
            workflows: (0..600).map(|n| format!("Workflow {n}")).collect(),
            conversations: 4_000,
            history: 8_000,
            rate_limit: Some(2_000),
            latency: Duration::from_secs(2),
            ..Scenario::quiet(1)
        };
        let setup = Setup { sources: vec![source], ..unhurried() };
        let simulated = Simulated::start(scenario, &setup).await;
        tokio::time::sleep(Duration::from_mins(2)).await;
        let before = simulated.simulator.requests().len();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let a_minute = simulated.simulator.requests().len() - before;
        assert!((900..=1_000).contains(&a_minute), "{a_minute} requests in a minute by {source:?}");
    }
}
