//! Worlds to be drawn: a small business, an exporter's setup, and a schedule of what goes wrong.
//!
//! **What polling cannot decide** is not drawn; no judge could tell what is right:
//! - A state that begins and ends between two looks at its list. So every state lasts longer than what goes wrong
//!   can delay a look: [`World::patience`].
//! - Executions without a conversation: the sources that walk over conversations cannot see them.
//! - An execution of a conversation at rest, started through the API: found within an hour or so, which is longer
//!   than a stay in handoff. So nothing is handed off where there are silent starts.
//! - A second handoff, where the first one was before the watch and is no longer shown. So nothing is handed off
//!   twice where the exporter is restarted and forgets.
//! - A legacy handoff that is over when the exporter first looks after such a restart: the API tells its end, and
//!   not whether it began before the watch. So agents hand nothing off there.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_exporter::{
    ledger::Buckets,
    simulator::{Api, Fault, Faults, Scenario, Traffic},
    source::Source,
};
use proptest::{prelude::*, sample::subsequence};

use crate::support::Setup;

/// Intervals that are lost when the exporter is killed.
pub const LOST: u32 = 2;

/// What is drawn; plain figures, so that what is printed can be pasted.
#[derive(Clone, Debug)]
pub struct World {
    pub seed: u64,
    pub agents: bool,
    pub walks: Walks,
    pub conversations: usize,
    pub history: usize,
    pub open_history: usize,
    pub busy_conversation: usize,
    /// Of the starts, those that move no conversation.
    pub silent_percent: u32,
    /// Starts on each API in the whole time of the schedule.
    pub starts: u32,
    pub failures_percent: u32,
    pub handoffs_percent: u32,
    /// Conversations that end, come back or appear in the whole time of the schedule.
    pub changes: u32,
    /// The most items of a page.
    pub page: usize,
    /// Seconds until all executions are visible.
    pub visible_after: u64,
    /// Requests per minute of the key.
    pub rate_limit: Option<u32>,
    /// Whether answers tell it.
    pub limit_headers: bool,
    /// Seconds from sweep to sweep.
    pub interval: u64,
    /// Minutes for which finished executions are shown.
    pub lookback: u64,
    /// How far the exporter's clock is ahead of Kapso's, in milliseconds.
    pub skew: i64,
    pub schedule: Vec<Phase>,
    /// Whether a conversation of each API is deleted in the end.
    pub deletion: bool,
}

/// What the exporter walks over on the Platform API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Walks {
    Conversations,
    Workflows,
    Both,
}

/// A part of the schedule.
#[derive(Clone, Debug)]
pub struct Phase {
    /// How many intervals it lasts.
    pub intervals: u64,
    /// Milliseconds.
    pub latency: u64,
    /// What Kapso's `Date` header is ahead of its timestamps, in milliseconds.
    pub date: i64,
    /// Every so many-th request fails; 0 for none.
    pub one_in: u32,
    pub faults: Vec<Fault>,
    pub end: End,
}

/// What happens at the end of a phase.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Nothing,
    /// A workflow gets another name.
    Rename,
    /// On each API an execution starts and goes into a status that is none of those documented.
    OddStatus,
    Restart(Restart),
}

/// What an exporter that is started again knows of the one before.
#[derive(Clone, Debug, PartialEq)]
pub enum Restart {
    /// Nothing: its watch begins with it.
    Forgetful,
    /// What was kept two intervals before: its watch goes on. What it learned since is lost, as if it had been
    /// killed before it was written.
    Keeping,
}

impl World {
    /// The APIs that are watched.
    pub fn apis(&self) -> &'static [Api] {
        if self.agents { &Api::ALL } else { &[Api::Platform] }
    }

    /// From one sweep to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval)
    }

    /// What goes wrong can delay the next look at a list so long.
    pub fn patience(&self) -> Duration {
        let lost = if self.restarts(&Restart::Keeping) { LOST } else { 0 };
        self.interval() * (5 + lost) + Duration::from_mins(3)
    }

    fn duration(&self) -> Duration {
        self.interval() * self.schedule.iter().map(|phase| u32::try_from(phase.intervals).unwrap()).sum()
    }

    fn restarts(&self, how: &Restart) -> bool {
        self.schedule.iter().any(|phase| matches!(&phase.end, End::Restart(restart) if restart == how))
    }

    fn sources(&self) -> Vec<Source> {
        let platform: &[_] = match self.walks {
            Walks::Conversations => &[Source::Conversations],
            Walks::Workflows => &[Source::Workflows],
            Walks::Both => &[Source::Conversations, Source::Workflows],
        };
        let agents: &[_] = if self.agents { &[Source::Agents] } else { &[] };
        [agents, platform].concat()
    }

    /// How the exporter is set up.
    pub fn setup(&self) -> Setup {
        Setup {
            sources: self.sources(),
            interval: self.interval(),
            timeout: Duration::from_secs(4),
            requests_per_minute: self.rate_limit.is_none().then_some(100_000),
            lookback: self.lookback(),
            skew: SignedDuration::from_millis(self.skew),
            buckets: few_buckets(),
        }
    }

    /// How long finished executions are shown.
    pub fn lookback(&self) -> Duration {
        Duration::from_mins(self.lookback)
    }

    /// The business at the start.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            seed: self.seed,
            workflows: ["Order Support", "Booking"].map(Into::into).into(),
            agents: ["agent-sales", "agent-support"].map(Into::into).into(),
            conversations: self.conversations,
            history: self.history,
            open_history: self.open_history,
            busy_conversation: self.busy_conversation,
            traffic: self.traffic(),
            rate_limit: self.rate_limit,
            rate_limit_headers: self.limit_headers,
            largest_page: self.page,
            visible_after: Duration::ZERO..Duration::from_secs(self.visible_after),
            ..Scenario::default()
        }
    }

    fn traffic(&self) -> Traffic {
        let minutes = self.duration().as_secs_f64() / 60.0;
        let dwell = self.patience()..self.patience() * 2;
        let hidden = self.silent_percent > 0 || self.restarts(&Restart::Forgetful) && self.agents;
        let handoffs = if hidden { 0 } else { self.handoffs_percent };
        Traffic {
            starts_per_minute: f64::from(self.starts) / minutes,
            reply_delay: Duration::from_millis(200)..Duration::from_secs(20),
            dwell: dwell.clone(),
            handoff_dwell: dwell,
            failure_ratio: f64::from(self.failures_percent) / 100.0,
            handoff_ratio: f64::from(handoffs) / 100.0,
            repeated_handoffs: !self.restarts(&Restart::Forgetful),
            silent_starts: f64::from(self.silent_percent) / 100.0,
            conversation_changes_per_minute: f64::from(self.changes) / minutes,
            ..Traffic::default()
        }
    }
}

impl Phase {
    /// What goes wrong in it.
    pub fn faults(&self) -> Faults {
        Faults { one_in: self.one_in, kinds: self.faults.clone() }
    }
}

/// Sums and counts are compared, buckets only cost time.
fn few_buckets() -> Buckets {
    Buckets { duration: [60.0].into(), idle: [60.0].into(), delay: [60.0].into() }
}

/// Any world.
pub fn worlds() -> impl Strategy<Value = World> {
    let business = (1..7_usize, 0..8_usize, 0..4_usize, prop_oneof![3 => Just(0), 1 => 1..12_usize]);
    let starts = (prop_oneof![3 => 0..8_u32, 1 => 8..30_u32], prop_oneof![39 => Just(0), 1 => 1..=100_u32]);
    let traffic = (starts, 0..=100_u32, 0..=100_u32, 0..6_u32);
    let api = (
        prop_oneof![2 => Just(100), 1 => 1..6_usize],
        prop_oneof![1 => Just(0), 1 => 1..60_u64],
        prop_oneof![3 => Just(None), 1 => (120..400_u32).prop_map(Some)],
        any::<bool>(),
    );
    let exporter = (
        (any::<bool>(), prop_oneof![Just(Walks::Conversations), Just(Walks::Workflows), Just(Walks::Both)]),
        prop_oneof![Just(30_u64), Just(60)],
        prop_oneof![Just(24 * 60_u64), Just(5)],
        prop_oneof![Just(0), -2_000..2_000_i64, -7_200_000..7_200_000_i64],
    );
    let rest = (seeds(), prop::collection::vec(phases(), 1..4), any::<bool>());
    (business, traffic, api, exporter, rest).prop_map(|(business, traffic, api, exporter, rest)| World {
        seed: rest.0,
        agents: exporter.0.0,
        walks: exporter.0.1,
        conversations: business.0,
        history: business.1,
        open_history: business.2,
        busy_conversation: business.3,
        silent_percent: traffic.0.1,
        starts: traffic.0.0,
        failures_percent: traffic.1,
        handoffs_percent: traffic.2,
        changes: traffic.3,
        page: api.0,
        visible_after: api.1,
        rate_limit: api.2,
        limit_headers: api.3,
        interval: exporter.1,
        lookback: exporter.2,
        skew: exporter.3,
        schedule: rest.1,
        // A workflow's finished executions are not listed again: that they are gone shows in no list.
        deletion: rest.2 && exporter.0.1 != Walks::Workflows,
    })
}

fn seeds() -> impl Strategy<Value = u64> {
    (0..1_000_000_u64).no_shrink()
}

fn phases() -> impl Strategy<Value = Phase> {
    let faults =
        (prop_oneof![1 => Just(0), 3 => 3..12_u32], subsequence(&Fault::ALL[..], 1..=Fault::ALL.len()));
    let time = (
        1..8_u64,
        prop_oneof![2 => Just(0), 1 => 1..1500_u64],
        prop_oneof![2 => Just(0), 1 => -1500..1500_i64],
    );
    let end = prop_oneof![
        6 => Just(End::Nothing),
        1 => Just(End::Rename),
        1 => Just(End::OddStatus),
        1 => Just(End::Restart(Restart::Forgetful)),
        1 => Just(End::Restart(Restart::Keeping)),
    ];
    (time, faults, end).prop_map(|((intervals, latency, date), (one_in, faults), end)| Phase {
        intervals,
        latency,
        date,
        one_in,
        faults,
        end,
    })
}
