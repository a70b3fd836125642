//! The two sides of the simulation agree: whoever reads everything over HTTP finds what the tally says.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Api, Scenario, Simulator, Traffic,
    execution::common_status,
    testing::{get, noon, simulator},
};

const LOOKBACK: Duration = Duration::from_hours(6);

/// What a plain reader makes of the executions of one workflow.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    executions: BTreeMap<String, u64>,
    oldest_start: BTreeMap<String, Timestamp>,
    oldest_event: BTreeMap<String, Timestamp>,
    newest_event: Option<Timestamp>,
    started: u64,
    finished: u64,
}

impl Reading {
    fn add(&mut self, api: Api, execution: &Value, last_event: &Value, now: Timestamp) {
        let (start, event) = (time(&execution["started_at"]).unwrap(), time(last_event).unwrap());
        let end = time(&execution["ended_at"]);
        let status = common_status(api, execution["status"].as_str().unwrap(), end.is_some()).to_owned();
        if end.is_none_or(|end| now.duration_since(end) < LOOKBACK.try_into().unwrap()) {
            *self.executions.entry(status.clone()).or_default() += 1;
        }
        if end.is_none() {
            let oldest = self.oldest_start.entry(status.clone()).or_insert(start);
            *oldest = start.min(*oldest);
            let oldest = self.oldest_event.entry(status).or_insert(event);
            *oldest = event.min(*oldest);
        }
        self.newest_event = self.newest_event.max(Some(event));
        self.started += u64::from(start >= noon());
        self.finished += u64::from(end.is_some_and(|end| end >= noon()));
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().unwrap())
}

async fn all_items(simulator: &Simulator, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    for page in 1.. {
        let reply = get(simulator, &format!("{path}?per_page=100&page={page}")).await;
        items.extend(reply.body["data"].as_array().unwrap().iter().cloned());
        if reply.body["meta"]["total_pages"].as_u64().unwrap() <= page {
            break;
        }
    }
    items
}

async fn read_everything(simulator: &Simulator) -> BTreeMap<String, Reading> {
    let mut readings: BTreeMap<String, Reading> = BTreeMap::new();
    let now = simulator.now();
    for id in simulator.workflow_ids(Api::Platform) {
        for item in all_items(simulator, &format!("/platform/v1/workflows/{id}/executions")).await {
            let reading = readings.entry(id.clone()).or_default();
            reading.add(Api::Platform, &item, &item["last_event_at"], now);
        }
    }
    for id in simulator.conversation_ids(Api::Legacy) {
        for item in
            all_items(simulator, &format!("/api/v1/whatsapp_conversations/{id}/agent_executions")).await
        {
            let execution = &item["agent_execution"];
            let reading = readings.entry(execution["agent_id"].as_str().unwrap().to_owned()).or_default();
            reading.add(Api::Legacy, execution, &item["updated_at"], now);
        }
    }
    readings
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_everything_finds_what_the_tally_says() {
    let traffic = Traffic { starts_per_minute: 20.0, ..Traffic::lively() };
    let simulator =
        simulator(Scenario { traffic, rate_limit: None, latency: Duration::ZERO, ..Scenario::demo(11) });
    tokio::time::sleep(Duration::from_mins(30)).await;
    simulator.stop_traffic();
    let mut readings = read_everything(&simulator).await;
    for tally in simulator.tally(noon(), LOOKBACK).workflows {
        let mut executions = tally.executions;
        executions.retain(|_, count| *count > 0);
        let expected = Reading {
            executions,
            oldest_start: tally.oldest_start,
            oldest_event: tally.oldest_event,
            newest_event: tally.newest_event,
            started: tally.started,
            finished: tally.ended + tally.failed,
        };
        assert_eq!(readings.remove(&tally.workflow_id).unwrap(), expected, "{}", tally.workflow_id);
    }
    assert!(readings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_conversation_has_the_executions_that_its_workflows_have() {
    let simulator = simulator(Scenario { rate_limit: None, latency: Duration::ZERO, ..Scenario::demo(12) });
    let mut by_workflow = Vec::new();
    for id in simulator.workflow_ids(Api::Platform) {
        let items = all_items(&simulator, &format!("/platform/v1/workflows/{id}/executions")).await;
        by_workflow.extend(items.into_iter().filter(|item| item["whatsapp_conversation_id"].is_string()));
    }
    let mut by_conversation = Vec::new();
    for id in simulator.conversation_ids(Api::Platform) {
        let path = format!("/platform/v1/whatsapp/conversations/{id}/flow_executions");
        by_conversation.extend(all_items(&simulator, &path).await);
    }
    for items in [&mut by_workflow, &mut by_conversation] {
        items.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
    }
    assert!(by_workflow.len() > 300);
    assert_eq!(by_workflow, by_conversation);
}
