//! What the exporter is measured against: a loop that lists every conversation each time, and the executions of
//! each, at the pace of the same budget.

use std::{collections::HashSet, time::Duration};

use axum::Router;
use jiff::Timestamp;
use kapso_exporter::{clock::Clock, model::seconds_between};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    table::{number, span, time},
    world::{Open, Size, World, get},
};

/// A round to get to know everything, and one that is measured, on half of each limit.
pub async fn rounds(size: Size, limits: &[u32]) -> Vec<Vec<String>> {
    let World { simulator, clock } = World::busy(size).await;
    simulator.set_rate_limit(None);
    let mut plain = Plain::new(simulator.router(), clock);
    let mut rows = Vec::new();
    for &per_minute in limits {
        plain.pace = Duration::from_mins(2) / per_minute;
        plain.round().await;
        (plain.requests, plain.delays) = (0, Vec::new());
        let begun = Instant::now();
        plain.round().await;
        let open = Open::of(&simulator, kapso_exporter::model::Source::Conversations);
        rows.push(vec![
            number(size.conversations),
            number(open.executions),
            number(per_minute as usize),
            number(plain.requests),
            span(begun.elapsed()),
            number(plain.delays.len()),
            time(plain.quantile(0.5)),
            time(plain.quantile(0.95)),
        ]);
    }
    rows
}

struct Plain {
    router: Router,
    clock: Clock,
    pace: Duration,
    watch_start: Timestamp,
    requests: usize,
    /// Executions of which that outcome was seen.
    seen: HashSet<(String, &'static str)>,
    delays: Vec<f64>,
}

impl Plain {
    fn new(router: Router, clock: Clock) -> Self {
        let (pace, watch_start) = (Duration::ZERO, clock.wall());
        Self { router, clock, pace, watch_start, requests: 0, seen: HashSet::new(), delays: Vec::new() }
    }

    async fn round(&mut self) {
        for conversation in self.list("/whatsapp/conversations").await {
            let id = conversation["id"].as_str().unwrap();
            for execution in self.list(&format!("/whatsapp/conversations/{id}/flow_executions")).await {
                self.take_in(&execution);
            }
        }
    }

    /// Every item of a list.
    async fn list(&mut self, path: &str) -> Vec<Value> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            sleep(self.pace).await;
            self.requests += 1;
            let mut page = get(&self.router, &format!("{path}?limit=100{after}")).await;
            items.append(page["data"].as_array_mut().unwrap());
            let Some(next) = page["paging"]["next"].as_str() else { return items };
            let escaped: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            after = format!("&after={escaped}");
        }
    }

    /// Takes note of an outcome that was not seen yet: its end, or that it is in handoff.
    fn take_in(&mut self, execution: &Value) {
        let (outcome, at) = match execution["status"].as_str().unwrap() {
            "handoff" => ("handoff", &execution["last_event_at"]),
            "ended" | "failed" => ("end", &execution["ended_at"]),
            _ => return,
        };
        let at: Timestamp = at.as_str().unwrap().parse().unwrap();
        let id = execution["id"].as_str().unwrap().to_owned();
        if self.seen.insert((id, outcome)) && at >= self.watch_start {
            self.delays.push(seconds_between(at, self.clock.wall()));
        }
    }

    fn quantile(&mut self, share: f64) -> f64 {
        self.delays.sort_by(f64::total_cmp);
        let place = (share * self.delays.len() as f64).ceil() as usize;
        self.delays.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}
