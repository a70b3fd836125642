//! A world as the exporter watches it.

use std::time::Duration;

use jiff::Timestamp;
use kapso_exporter::{
    ledger::{Buckets, Histogram},
    model::Source,
    simulator::Simulator,
};
use tokio::time::{Instant, sleep};

use super::{
    simulated::{Setup, Simulated},
    table::{number, span, time},
    world::{Open, Size, World, limit},
};

pub const HOUR: Duration = Duration::from_hours(1);

/// Sweeps of the quiet world that are measured, and hours of the busy one: fewer where there is much in each.
pub fn lengths(size: Size) -> (u32, u32) {
    if size.open() < 1_000 { (20, 4) } else { (5, 1) }
}

/// Delays to the second, and above five minutes to the hundredth part.
pub fn buckets() -> Buckets {
    let coarse = (1..).map(|n| 300.0 * 1.01_f64.powi(n)).take_while(|&bound| bound < 3e5);
    Buckets { delay: (1..=300).map(f64::from).chain(coarse).collect(), ..Buckets::default() }
}

pub fn setup(source: Source) -> Setup {
    Setup {
        sources: vec![source],
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(10),
        requests_per_minute: None,
        buckets: buckets(),
        ..Setup::default()
    }
}

/// Requests a sweep while nothing happens, against the fewest that show every open execution again.
pub async fn quiet(source: Source, size: Size, limits: &[u32]) -> Vec<Vec<String>> {
    let World { simulator, clock } = World::quiet(size).await;
    let mut watched = Simulated::watch(simulator, &clock, &setup(source));
    watched.sweeps(1).await;
    let (sweeps, _) = lengths(size);
    let mut rows = Vec::new();
    for &per_minute in limits {
        limit(&watched.simulator, per_minute).await;
        // By then conversations at rest have their turns.
        sleep(2 * HOUR).await;
        watched.sweeps(2).await;
        let (begun, before) = (Instant::now(), requests(&watched, ""));
        watched.sweeps(sweeps as usize).await;
        let a_sweep = (requests(&watched, "") - before) / f64::from(sweeps);
        let open = Open::of(&watched.simulator, source);
        rows.push(vec![
            source.to_string(),
            number(size.conversations),
            number(open.executions),
            number(per_minute as usize),
            number(open.bound),
            number(open.by_status),
            format!("{:.1}", 1.1 * open.by_status as f64 + 5.0),
            format!("{a_sweep:.1}"),
            span(begun.elapsed() / sweeps),
        ]);
    }
    rows
}

/// Delays while executions start, move and end.
pub async fn busy(source: Source, size: Size, limits: &[u32]) -> Vec<Vec<String>> {
    let World { simulator, clock } = World::busy(size).await;
    let mut watched = Simulated::watch(simulator, &clock, &setup(source));
    watched.sweeps(1).await;
    let (_, hours) = lengths(size);
    let mut rows = Vec::new();
    for &per_minute in limits {
        let since = limit(&watched.simulator, per_minute).await;
        // Where the budget is small, it takes a while until the delays are the usual ones.
        sleep(if per_minute <= 100 { 6 * HOUR } else { 2 * HOUR }).await;
        let delays = || watched.totals(&buckets()).detection_delay;
        let (before, sent, refused) = (delays(), requests(&watched, ""), requests(&watched, "429"));
        let mut busiest = 0;
        for _ in 0..hours {
            sleep(HOUR).await;
            busiest = busiest.max(busiest_minute(&watched.simulator, since));
        }
        let new = Delays::between(&before, &delays());
        rows.push(vec![
            source.to_string(),
            number(size.conversations),
            number(Open::of(&watched.simulator, source).executions),
            number(per_minute as usize),
            number(new.count()),
            time(new.quantile(0.5)),
            time(new.quantile(0.95)),
            format!("{:.1}", (requests(&watched, "") - sent) / f64::from(60 * hours)),
            number(busiest),
            format!("{:.0}", requests(&watched, "429") - refused),
        ]);
    }
    rows
}

/// How many requests were made, those with this status code alone unless it is empty.
pub fn requests(watched: &Simulated, code: &str) -> f64 {
    let labels = [("code", code)];
    let labels = if code.is_empty() { &[][..] } else { &labels[..] };
    watched.scrape().sum("kapso_exporter_api_requests_total", labels)
}

/// The most requests within any 60 s since then, of the latest hundred thousand.
fn busiest_minute(simulator: &Simulator, since: Timestamp) -> usize {
    let all: Vec<_> = simulator.requests().iter().map(|r| r.at).filter(|&at| at >= since).collect();
    let within = |(first, &from): (usize, &Timestamp)| {
        all[first..].partition_point(|at| at.duration_since(from).as_secs() < 60)
    };
    all.iter().enumerate().map(within).max().unwrap_or(0)
}

/// Delays as upper bounds, and how many are within each.
pub struct Delays(Vec<(f64, usize)>);

impl Delays {
    pub fn between(before: &Histogram, after: &Histogram) -> Self {
        let difference = |((bound, before), (_, after)): ((f64, u64), (f64, u64))| {
            (bound, usize::try_from(after - before).unwrap())
        };
        Self(before.cumulative().zip(after.cumulative()).map(difference).collect())
    }

    pub fn count(&self) -> usize {
        self.0.last().map_or(0, |&(_, count)| count)
    }

    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = share * self.count() as f64;
        self.0
            .iter()
            .find(|&&(_, count)| count as f64 >= wanted && count > 0)
            .map_or(f64::NAN, |&(bound, _)| bound)
    }
}
