//! The first picture: from the start without a state until everything is known.

use std::time::Duration;

use kapso_exporter::{
    model::Source,
    simulator::{Api, Simulator},
};
use tokio::time::{Instant, sleep};

use super::{
    exposition::Exposition,
    simulated::Simulated,
    table::{number, span},
    watched::{requests, setup},
    world::{Size, World, limit},
};

/// The exporter's, which is full of finished executions by then.
const LOOKBACK: Duration = Duration::from_hours(24);
const CHECK: Duration = Duration::from_secs(5);
/// Whatever is not known by then is never going to be.
const PATIENCE: Duration = Duration::from_hours(24);

/// A start while the traffic goes on, and one after it was stopped, so that the picture can be complete.
pub async fn row(source: Source, size: Size, per_minute: u32) -> Vec<String> {
    let moving = Picture::first(source, size, per_minute, true).await;
    let still = Picture::first(source, size, per_minute, false).await;
    let plain = plain_round(size, per_minute);
    vec![
        source.to_string(),
        number(size.conversations),
        number(per_minute as usize),
        format!("{:.0}", moving.requests),
        span(moving.sweep),
        format!("{:.1} %", 100.0 * moving.sweep.as_secs_f64() / plain.as_secs_f64()),
        moving.wrong.to_string(),
        span(still.sweep),
        still.wrong.to_string(),
        still.complete.map_or_else(|| "never".into(), span),
    ]
}

/// A round of the plain loop asks for every conversation, and for a page of each hundred.
fn plain_round(size: Size, per_minute: u32) -> Duration {
    let requests = size.conversations + size.conversations.div_ceil(100);
    Duration::from_mins(2).mul_f64(requests as f64 / f64::from(per_minute))
}

/// What is known after the first sweep.
struct Picture {
    sweep: Duration,
    requests: f64,
    wrong: Wrong,
    /// When everything was right, if the traffic was stopped.
    complete: Option<Duration>,
}

impl Picture {
    async fn first(source: Source, size: Size, per_minute: u32, is_moving: bool) -> Self {
        let World { simulator, clock } = World::busy(size).await;
        sleep(LOOKBACK).await;
        if !is_moving {
            simulator.stop_traffic();
        }
        limit(&simulator, per_minute).await;
        let begun = Instant::now();
        let mut watched = Simulated::watch(simulator, &clock, &setup(source));
        watched.sweeps(1).await;
        let (sweep, requests) = (begun.elapsed(), requests(&watched, ""));
        let wrong = Wrong::in_picture(&watched.simulator, &watched.scrape(), source);
        let complete = if is_moving { None } else { complete(&watched, source, begun).await };
        Self { sweep, requests, wrong, complete }
    }
}

async fn complete(watched: &Simulated, source: Source, begun: Instant) -> Option<Duration> {
    while begun.elapsed() < PATIENCE {
        if Wrong::in_picture(&watched.simulator, &watched.scrape(), source).is_nothing() {
            return Some(begun.elapsed());
        }
        sleep(CHECK).await;
    }
    None
}

/// By how much the gauges differ from the simulator's own tally.
struct Wrong {
    executions: f64,
    of: u64,
    conversations: f64,
}

impl Wrong {
    fn in_picture(simulator: &Simulator, scrape: &Exposition, source: Source) -> Self {
        let tally = simulator.tally(simulator.now(), LOOKBACK);
        let platform = tally.workflows.iter().filter(|workflow| workflow.api == Api::Platform);
        let mut wrong = Self { executions: 0.0, of: 0, conversations: 0.0 };
        for workflow in platform {
            for (status, &count) in &workflow.executions {
                let labels = [("workflow_id", workflow.workflow_id.as_str()), ("status", status)];
                wrong.executions += (scrape.sum("kapso_executions", &labels) - count as f64).abs();
                wrong.of += count;
            }
        }
        // The lists of workflows do not tell of conversations.
        let is_listed = source != Source::Workflows;
        for conversations in tally.conversations.iter().filter(|all| all.api == Api::Platform && is_listed) {
            let told = scrape.sum("kapso_conversations", &[("status", &conversations.status)]);
            wrong.conversations += (told - conversations.count as f64).abs();
        }
        wrong
    }

    fn is_nothing(&self) -> bool {
        self.executions == 0.0 && self.conversations == 0.0
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.executions, number(usize::try_from(self.of).unwrap()))?;
        if self.conversations > 0.0 { write!(f, ", {} conversations", self.conversations) } else { Ok(()) }
    }
}
