//! The simulated business, and how to read it.

use std::time::Duration;

use axum::{Router, body::Body};
use http::Request;
use http_body_util::BodyExt;
use jiff::Timestamp;
use kapso_exporter::{
    clock::Clock,
    model::Source,
    simulator::{Api, DEFAULT_KEY, Scenario, Simulator, Traffic, WorkflowTally},
};
use serde_json::Value;
use tower::ServiceExt;

use super::simulated::a_morning;

const HOUR: Duration = Duration::from_hours(1);
/// Enough to discover a hundred thousand conversations within minutes.
pub const AMPLE: u32 = 200_000;
/// How long a traffic plays before the watch, so that as many executions end as start.
const EVENED_OUT: Duration = Duration::from_hours(10);
/// How long after the last event a world is quiet: longer than the lookback, so that nothing of it is recent.
const COOLED_DOWN: Duration = Duration::from_hours(36);

/// How large a business is.
#[derive(Clone, Copy)]
pub struct Size {
    pub conversations: usize,
    /// About so many of them, in percent, have an open execution.
    pub percent: usize,
}

impl Size {
    /// About so many executions are open.
    pub fn open(self) -> usize {
        self.conversations * self.percent / 100
    }

    /// Executions live for three hours on average. A sixth of the open ones stays open for good.
    fn scenario(self, outcomes: Outcomes) -> Scenario {
        let minutes = |from, to| Duration::from_mins(from)..Duration::from_mins(to);
        let (open, usual) = (self.open(), Traffic::default());
        Scenario {
            seed: seed(),
            conversations: self.conversations,
            open_history: open / 3,
            workflows: (1..=20).map(|n| format!("Workflow {n}")).collect(),
            rate_limit: Some(AMPLE),
            traffic: Traffic {
                starts_per_minute: open as f64 * 5.0 / 6.0 / 180.0,
                dwell: minutes(30, 80),
                handoff_dwell: minutes(30, 90),
                failure_ratio: match outcomes {
                    Outcomes::Told => 1.0,
                    Outcomes::All => usual.failure_ratio,
                },
                ..usual
            },
            ..Scenario::default()
        }
    }
}

/// As `KAPSO_TEST_SEED` says: whatever holds for one traffic has to hold for others.
pub fn seed() -> u64 {
    std::env::var("KAPSO_TEST_SEED").map_or(7, |seed| seed.parse().unwrap())
}

/// What becomes of executions.
#[derive(Clone, Copy)]
pub enum Outcomes {
    /// What webhooks tell, too: all are handed off or fail.
    Told,
    /// As usual.
    All,
}

/// A simulated Kapso that nobody watches yet.
pub struct World {
    pub simulator: Simulator,
    pub clock: Clock,
}

impl World {
    /// With as many executions that end as start.
    pub async fn busy(size: Size) -> Self {
        Self::busy_with(size, Outcomes::All).await
    }

    /// The same, in which this becomes of executions.
    pub async fn busy_with(size: Size, outcomes: Outcomes) -> Self {
        let clock = a_morning();
        let simulator = Simulator::new(size.scenario(outcomes), clock.clone());
        tokio::time::sleep(EVENED_OUT).await;
        Self { simulator, clock }
    }

    /// In which nothing has moved for a day and a half, and nothing will.
    pub async fn quiet(size: Size) -> Self {
        let world = Self::busy(size).await;
        world.simulator.stop_traffic();
        tokio::time::sleep(COOLED_DOWN).await;
        world
    }
}

/// Sets the key's limit, at the beginning of a minute of the limit. Returns when that was.
pub async fn limit(simulator: &Simulator, per_minute: u32) -> Timestamp {
    let into = simulator.now().as_millisecond().rem_euclid(60_000).unsigned_abs();
    tokio::time::sleep(Duration::from_millis(60_000 - into)).await;
    simulator.set_rate_limit(Some(per_minute));
    simulator.now()
}

/// How many executions are open, and how many requests show all of them again.
pub struct Open {
    pub executions: usize,
    /// A conversation's list is one. A workflow's list is one for every hundred.
    pub bound: usize,
    /// A workflow's list shows one status, so that it is one for every hundred of each.
    pub by_status: usize,
}

impl Open {
    /// As the simulator knows.
    pub fn of(simulator: &Simulator, source: Source) -> Self {
        let tally = simulator.tally(simulator.now(), HOUR);
        let platform = tally.workflows.iter().filter(|workflow| workflow.api == Api::Platform);
        let open = |workflow: &WorkflowTally| {
            ["running", "waiting", "handoff"]
                .map(|status| usize::try_from(workflow.executions[status]).unwrap())
        };
        let all: Vec<[usize; 3]> = platform.map(open).collect();
        let executions = all.iter().flatten().sum();
        let by_workflow = 1 + all.iter().map(|open| open.iter().sum::<usize>().div_ceil(100)).sum::<usize>();
        if source == Source::Workflows {
            let bound = by_workflow;
            let by_status = 1 + all.iter().flatten().map(|open| open.div_ceil(100)).sum::<usize>();
            return Self { executions, bound, by_status };
        }
        let by_conversation = simulator.conversations_with_open_executions(Api::Platform);
        let bound = if source == Source::Auto { by_conversation.min(by_workflow) } else { by_conversation };
        Self { executions, bound, by_status: bound }
    }
}

/// Asks the simulated Platform API, without a socket.
pub async fn get(router: &Router, path_and_query: &str) -> Value {
    let request = Request::get(format!("http://kapso.invalid/platform/v1{path_and_query}"))
        .header("X-API-Key", DEFAULT_KEY)
        .body(Body::empty())
        .unwrap();
    let body = router.clone().oneshot(request).await.unwrap().into_body();
    serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
}
