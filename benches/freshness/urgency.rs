//! What is gained by what was learned of workflows: executions of some of them live for minutes, of others for days.

use std::time::Duration;

use kapso_exporter::{
    account::Treatment,
    clock::Clock,
    model::Source,
    simulator::{Scenario, Simulator, Traffic},
};
use tokio::time::sleep;

use super::{
    simulated::{Setup, Simulated, a_morning},
    table::{number, time},
    watched::{Delays, buckets, setup},
    world::{AMPLE, limit, seed},
};

/// Workflows of each kind; those with slow executions come last.
const OF_EACH: usize = 50;
/// Slow executions live for so many times as long, which makes minutes days.
const SLOWNESS: u32 = 288;
/// Three of four starts are of fast workflows.
const STARTS_PER_MINUTE: f64 = 9.0;
/// Longer than the slow ones live.
const EVENED_OUT: Duration = Duration::from_hours(4 * 24);
/// Until life tables tell something.
const LEARNING: Duration = Duration::from_hours(4);
const HOURS: u32 = 3;
/// From one look at what waits to the next.
const SAMPLE: Duration = Duration::from_secs(10);
const LIMIT: u32 = 100;
/// So many times as long as the most urgent ones may others wait: `MOST / LEAST` of `crawl::auto::cover`.
const BOUND: f64 = 20.0;

/// What becomes of executions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcomes {
    /// All fail.
    Failures,
    /// As usual.
    All,
}

/// Delays, and for how long what is open was not looked at.
struct Measured {
    fast: Delays,
    slow: Delays,
    all: Delays,
    open: [usize; 2],
    longest_unseen: [f64; 2],
}

/// One row for each of both kinds of outcomes.
pub async fn rows(treatment: Treatment, outcomes: Outcomes) -> Vec<Vec<String>> {
    let (simulator, clock) = business(outcomes).await;
    let mut watched = Simulated::watch(simulator, &clock, &Setup { treatment, ..setup(Source::Auto) });
    watched.sweeps(1).await;
    limit(&watched.simulator, LIMIT).await;
    sleep(LEARNING).await;
    let measured = Measured::in_the_next_hours(&watched).await;
    vec![measured.row(treatment, outcomes)]
}

/// In which as many executions end as start.
async fn business(outcomes: Outcomes) -> (Simulator, Clock) {
    let minutes = |from, to| Duration::from_mins(from)..Duration::from_mins(to);
    let usual = Traffic {
        starts_per_minute: STARTS_PER_MINUTE,
        dwell: minutes(2, 3),
        handoff_dwell: minutes(2, 3),
        ..Traffic::default()
    };
    let traffic = match outcomes {
        Outcomes::Failures => Traffic { failure_ratio: 1.0, handoff_ratio: 0.0, ..usual },
        Outcomes::All => usual,
    };
    let scenario = Scenario {
        seed: seed(),
        conversations: 10_000,
        workflows: (1..=2 * OF_EACH).map(|n| format!("Workflow {n}")).collect(),
        slow_workflows: OF_EACH,
        slowness: SLOWNESS,
        rate_limit: Some(AMPLE),
        legacy: false,
        traffic,
        ..Scenario::default()
    };
    let clock = a_morning();
    let simulator = Simulator::new(scenario, clock.clone());
    sleep(EVENED_OUT).await;
    (simulator, clock)
}

fn is_slow(workflow_id: &str) -> bool {
    let number: usize = workflow_id.trim_start_matches("flow_").parse().unwrap();
    number > OF_EACH
}

fn is_fast(workflow_id: &str) -> bool {
    !is_slow(workflow_id)
}

impl Measured {
    async fn in_the_next_hours(watched: &Simulated) -> Self {
        let delays = |is_asked: fn(&str) -> bool| watched.totals_of(&buckets(), is_asked).detection_delay;
        let now = || [is_fast, is_slow, |_: &str| true].map(delays);
        let before = now();
        let mut longest_unseen = [0.0_f64; 2];
        for _ in 0..HOURS * 3600 / u32::try_from(SAMPLE.as_secs()).unwrap() {
            sleep(SAMPLE).await;
            for (longest, is_asked) in longest_unseen.iter_mut().zip([is_fast, is_slow]) {
                *longest = watched.unseen_for(is_asked).into_iter().fold(*longest, f64::max);
            }
        }
        let after = now();
        let [fast, slow, all] = std::array::from_fn(|kind| Delays::between(&before[kind], &after[kind]));
        let open = [is_fast, is_slow].map(|is_asked| watched.unseen_for(is_asked).len());
        Self { fast, slow, all, open, longest_unseen }
    }

    fn row(&self, treatment: Treatment, outcomes: Outcomes) -> Vec<String> {
        let [fast, slow] = self.longest_unseen;
        let treatment = match treatment {
            Treatment::Equal => "equal",
            Treatment::Learned => "learned",
        };
        let outcomes = match outcomes {
            Outcomes::Failures => "failures alone",
            Outcomes::All => "all",
        };
        let mut row = vec![treatment.into(), outcomes.into()];
        row.extend(self.open.map(number));
        for delays in [&self.all, &self.fast, &self.slow] {
            row.extend([number(delays.count()), time(delays.quantile(0.5)), time(delays.quantile(0.95))]);
        }
        row.extend([time(fast), time(slow)]);
        let times = fast.max(slow) / fast.min(slow);
        row.push(format!("{times:.1}, {}", if times <= BOUND { "within" } else { "beyond" }));
        row
    }
}
