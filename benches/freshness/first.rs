//! The first picture: from the start without a state until everything is known.

use std::{fmt, time::Duration};

use kapso_exporter::{model::Source, simulator::Api};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
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

/// A start after the traffic was stopped, so that the picture can be complete, and one while it goes on.
pub async fn row(source: Source, size: Size, per_minute: u32) -> Vec<String> {
    let still = Still::at_start(source, size, per_minute).await;
    let known = still.known.unwrap_or(PATIENCE);
    let moving = moving(source, size, per_minute, known).await;
    let plain = plain_round(size, per_minute);
    vec![
        source.to_string(),
        number(size.conversations),
        number(per_minute as usize),
        span(still.sweep),
        still.wrong.to_string(),
        still.known.map_or_else(|| "never".into(), span),
        format!("{:.0}", still.requests),
        format!("{:.1} %", 100.0 * known.as_secs_f64() / plain.as_secs_f64()),
        moving.to_string(),
    ]
}

/// A round of the plain loop asks for every conversation, and for a page of each hundred.
fn plain_round(size: Size, per_minute: u32) -> Duration {
    let requests = size.conversations + size.conversations.div_ceil(100);
    Duration::from_mins(2).mul_f64(requests as f64 / f64::from(per_minute))
}

/// A business of a day in which nothing happens any more.
struct Still {
    sweep: Duration,
    /// After the first sweep.
    wrong: Wrong,
    /// When everything was right, and how many requests that took.
    known: Option<Duration>,
    requests: f64,
}

impl Still {
    async fn at_start(source: Source, size: Size, per_minute: u32) -> Self {
        let World { simulator, clock } = a_day_old(size).await;
        simulator.stop_traffic();
        limit(&simulator, per_minute).await;
        let begun = Instant::now();
        let mut watched = Simulated::watch(simulator, &clock, &setup(source));
        watched.sweeps(1).await;
        let sweep = begun.elapsed();
        let wrong = Wrong::in_picture(&watched, source);
        let known = known(&watched, source, begun).await;
        Self { sweep, wrong, known, requests: requests(&watched, "") }
    }
}

/// What is wrong after that time, or after the first sweep, in a business that goes on.
async fn moving(source: Source, size: Size, per_minute: u32, after: Duration) -> Wrong {
    let World { simulator, clock } = a_day_old(size).await;
    limit(&simulator, per_minute).await;
    let begun = Instant::now();
    let mut watched = Simulated::watch(simulator, &clock, &setup(source));
    watched.sweeps(1).await;
    sleep_until(begun + after).await;
    Wrong::in_picture(&watched, source)
}

async fn a_day_old(size: Size) -> World {
    let world = World::busy(size).await;
    sleep(LOOKBACK).await;
    world
}

async fn known(watched: &Simulated, source: Source, begun: Instant) -> Option<Duration> {
    while begun.elapsed() < PATIENCE {
        if Wrong::in_picture(watched, source).is_nothing() {
            return Some(begun.elapsed());
        }
        sleep(CHECK).await;
    }
    None
}

/// By how much the gauges differ from the simulator's own tally.
#[derive(Default)]
struct Wrong {
    /// Wrong ones, of all.
    open: [u64; 2],
    finished: [u64; 2],
    conversations: [u64; 2],
}

impl Wrong {
    fn in_picture(watched: &Simulated, source: Source) -> Self {
        let (simulator, scrape) = (&watched.simulator, watched.scrape());
        let tally = simulator.tally(simulator.now(), LOOKBACK);
        let mut wrong = Self::default();
        for workflow in tally.workflows.iter().filter(|workflow| workflow.api == Api::Platform) {
            for (status, &count) in &workflow.executions {
                let labels = [("workflow_id", workflow.workflow_id.as_str()), ("status", status)];
                let is_finished = matches!(status.as_str(), "ended" | "failed");
                let all = if is_finished { &mut wrong.finished } else { &mut wrong.open };
                add(all, count, scrape.sum("kapso_executions", &labels));
            }
        }
        // The lists of workflows do not tell of conversations.
        let is_listed = source != Source::Workflows;
        for conversations in tally.conversations.iter().filter(|all| all.api == Api::Platform && is_listed) {
            let told = scrape.sum("kapso_conversations", &[("status", &conversations.status)]);
            add(&mut wrong.conversations, conversations.count, told);
        }
        wrong
    }

    fn is_nothing(&self) -> bool {
        [self.open, self.finished, self.conversations].iter().all(|[wrong, _]| *wrong == 0)
    }
}

fn add([wrong, all]: &mut [u64; 2], count: u64, told: f64) {
    *wrong += count.abs_diff(told as u64);
    *all += count;
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("open", self.open), ("finished", self.finished), ("conversations", self.conversations)];
        let shown = all.iter().filter(|(_, [_, all])| *all > 0);
        let shown = shown.map(|(what, counts)| {
            let [wrong, all] = counts.map(|count| number(count as usize));
            format!("{wrong} of {all} {what}")
        });
        write!(f, "{}", shown.collect::<Vec<_>>().join(", "))
    }
}
