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
//! - What began and ended while answers lied, hid it or lagged behind. So every state outlasts them, twice, since
//!   lists that failed are asked less often: [`World::patience`].
//! - What happened in a conversation just before it was erased. So only those at rest are, and none where something is
//!   resumed, which moves no conversation: it is found within an hour or so.
//! - Whether what goes into handoff again has left it in between, for however short a time. So what is handed off in
//!   the midst of a phase never was before.
//! - What a second end means, where the exporter was restarted and forgets the first. So nothing that is resumed
//!   ends again.
//! - Since when a forgetful exporter watches, if Kapso's `Date` is wrong by much while it starts. So it is not.
//! - Durations, where times that can't be were told: they stay out of the sums for good. They are not drawn, but for
//!   those of conversations.
//! - What a list leaves out that is cut without a word: only its count tells that there is more, and not what.
//! - Made-up executions of a list without an end, which also takes all the time there is, and ids of dots alone,
//!   which no path can name.
//! - A legacy handoff that is over when the exporter first looks after such a restart: the API tells its end, and
//!   not whether it began before the watch. So agents hand nothing off there.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_exporter::{
    ledger::Buckets,
    model::Source,
    simulator::{Api, Conduct, Fault, Faults, Ids, Scenario, Traffic, Webhook},
};

use crate::{
    support::{Setup, simulated::SECRET},
    wrong::Wrong,
};

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
    /// What ids and names look like.
    pub ids: Ids,
    /// Kapso delivers handoffs and failures, and so.
    pub webhook: Option<Deliveries>,
}

/// How deliveries go.
#[derive(Clone, Debug, PartialEq)]
pub struct Deliveries {
    /// At most, in milliseconds.
    pub latency: u64,
    pub lost_percent: u32,
    pub repeated_percent: u32,
    pub disorder_percent: u32,
    pub tests_percent: u32,
    pub unknown_percent: u32,
    pub batch: Option<usize>,
}

impl Deliveries {
    /// The webhook of a Kapso that delivers so.
    pub fn webhook(&self) -> Webhook {
        let share = |percent: u32| f64::from(percent) / 100.0;
        let conduct = Conduct {
            latency: (Duration::ZERO, Duration::from_millis(self.latency)),
            lost: share(self.lost_percent),
            repeated: share(self.repeated_percent),
            disorder: share(self.disorder_percent),
            batch: self.batch,
            tests: share(self.tests_percent),
            unknown: share(self.unknown_percent),
        };
        Webhook { secret: SECRET.into(), url: None, conduct }
    }
}

/// What the exporter walks over on the Platform API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Walks {
    Conversations,
    Workflows,
    Both,
    Auto,
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
    /// What is wrong without being an error.
    pub wrongs: Vec<Wrong>,
    /// By how many milliseconds the exporter's clock is set forward at the beginning.
    pub step: i64,
    /// What becomes of so many open executions of each API in its midst, for good.
    pub moves: Vec<Move>,
    pub end: End,
}

/// What becomes of an execution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    HandOff,
    /// Is handed off and comes back within a second, which a delivery alone can show.
    PassThrough,
    End,
    Fail,
}

/// What happens at the end of a phase.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Nothing,
    /// A workflow gets another name.
    Rename,
    /// On each API an execution starts and goes into a status that is none of those documented.
    OddStatus,
    /// The same, with an end time.
    OddStatusOver,
    /// On each API an execution that ended long ago runs again.
    Resume,
    /// On each API a conversation that is at rest is erased.
    Erase,
    Restart(Restart),
    /// The configuration changes while the exporter runs: what it walks over, or else something of no consequence.
    Reconfigure(Walks),
}

/// What an exporter that is started again knows of the one before.
#[derive(Clone, Debug, PartialEq)]
pub enum Restart {
    /// Nothing: its watch begins with it.
    Forgetful,
    /// What was kept two intervals before: its watch goes on. What it learned since is lost, as if it had been
    /// killed before it was written.
    Keeping,
    /// The same, and it walks over something else.
    Switching(Walks),
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
        let keeps = |end: &End| matches!(end, End::Restart(Restart::Keeping | Restart::Switching(_)));
        let lost = if self.schedule.iter().any(|phase| keeps(&phase.end)) { LOST } else { 0 };
        let hidden: u64 =
            self.schedule.iter().filter(|phase| phase.hides()).map(|phase| phase.intervals).sum();
        let lags = self.schedule.iter().flat_map(|phase| &phase.wrongs).map(Wrong::lag);
        self.interval() * (5 + lost + 2 * u32::try_from(hidden).unwrap())
            + Duration::from_mins(3)
            + lags.max().unwrap_or_default()
    }

    fn duration(&self) -> Duration {
        self.interval() * self.schedule.iter().map(|phase| u32::try_from(phase.intervals).unwrap()).sum()
    }

    /// Whether an exporter is started that knows nothing of the one before, also since nothing was kept yet.
    pub fn forgets(&self) -> bool {
        let first = self.schedule.first().filter(|phase| phase.intervals <= u64::from(LOST));
        let kept_nothing = first.is_some_and(|phase| matches!(phase.end, End::Restart(_)));
        kept_nothing || self.schedule.iter().any(|phase| phase.end == End::Restart(Restart::Forgetful))
    }

    /// Whether the exporter relies on nothing but the lists of workflows at some time.
    fn has_only_workflows(&self) -> bool {
        let is_of_workflows = |walks: &Walks| matches!(walks, Walks::Workflows | Walks::Auto);
        let only = |phase: &Phase| match &phase.end {
            End::Restart(Restart::Switching(walks)) | End::Reconfigure(walks) => is_of_workflows(walks),
            _ => false,
        };
        is_of_workflows(&self.walks) || self.schedule.iter().any(only)
    }

    /// Whether an execution may have been resumed that is found within an hour alone, since it is in no list that is
    /// asked for, or that was forgotten, so that it is not known whether its end before was counted: it has to stay as
    /// it is.
    pub fn may_hide_what_resumed(&self, place: usize) -> bool {
        let resumed = self.schedule[..place].iter().any(|phase| phase.end == End::Resume);
        resumed && (self.has_only_workflows() || self.forgets_what_is_over())
    }

    /// Whether what is over may be forgotten while the world is played.
    fn forgets_what_is_over(&self) -> bool {
        self.lookback().max(self.remembered()) < self.duration() + self.patience()
    }

    fn resumes(&self) -> bool {
        self.schedule.iter().any(|phase| phase.end == End::Resume)
    }

    /// Whether executions may be handed off.
    pub fn may_hand_off(&self) -> bool {
        // Of one that is resumed after it was forgotten it is not known whether it was handed off before.
        let forgotten = self.resumes() && self.forgets_what_is_over();
        self.silent_percent == 0 && !(self.forgets() && self.agents) && !forgotten
    }

    /// Whether executions may be handed off for so short a time that only a delivery shows it.
    pub fn may_pass_through(&self) -> bool {
        let is_told = self.webhook.as_ref().is_some_and(|deliveries| deliveries.lost_percent == 0);
        is_told && self.may_hand_off() && !self.forgets()
    }

    /// Whether conversations may go while the exporter watches: that a workflow's finished executions are gone shows
    /// in no list, what was started or resumed in silence may not have been seen, and who forgets never learns what had
    /// been.
    pub fn may_erase(&self) -> bool {
        self.may_delete() && self.silent_percent == 0 && !self.resumes() && !self.forgets()
    }

    /// Whether it shows in lists that a conversation is gone.
    pub fn may_delete(&self) -> bool {
        !self.has_only_workflows()
    }

    fn sources(&self, walks: Walks) -> Vec<Source> {
        let platform: &[_] = match walks {
            Walks::Conversations => &[Source::Conversations],
            Walks::Workflows => &[Source::Workflows],
            Walks::Both => &[Source::Conversations, Source::Workflows],
            Walks::Auto => &[Source::Auto],
        };
        let agents: &[_] = if self.agents { &[Source::Agents] } else { &[] };
        [agents, platform].concat()
    }

    /// How the exporter is set up.
    pub fn setup(&self, walks: Walks) -> Setup {
        Setup {
            sources: self.sources(walks),
            interval: self.interval(),
            timeout: Duration::from_secs(4),
            requests_per_minute: self.rate_limit.is_none().then_some(100_000),
            lookback: self.lookback(),
            remembered: self.remembered(),
            max_age: Setup::default().max_age,
            skew: SignedDuration::from_millis(self.skew),
            buckets: few_buckets(),
            has_webhook: self.webhook.is_some(),
            ..Setup::default()
        }
    }

    /// How long executions are remembered at least. What is hidden for longer than that is lost; where nothing is hidden,
    /// they are forgotten early, so that forgetting is played, too.
    fn remembered(&self) -> Duration {
        let hides = self.schedule.iter().any(Phase::hides);
        if hides { Duration::from_hours(2) } else { self.lookback() }
    }

    /// How long finished executions are shown.
    pub fn lookback(&self) -> Duration {
        Duration::from_mins(self.lookback)
    }

    /// The business at the start.
    pub fn scenario(&self) -> Scenario {
        Scenario {
            seed: self.seed,
            workflows: self.names(),
            ids: self.ids,
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

    fn names(&self) -> Vec<String> {
        let names = match self.ids {
            Ids::Plain => ["Order Support", "Booking"],
            Ids::Odd | Ids::Hostile => ["a=\"b\\c\",{}", " é😀 # "],
        };
        names.map(Into::into).into()
    }

    fn traffic(&self) -> Traffic {
        let minutes = self.duration().as_secs_f64() / 60.0;
        let dwell = self.patience()..self.patience() * 2;
        let handoffs = if self.may_hand_off() { self.handoffs_percent } else { 0 };
        Traffic {
            starts_per_minute: f64::from(self.starts) / minutes,
            reply_delay: Duration::from_millis(200)..Duration::from_secs(20),
            dwell: dwell.clone(),
            handoff_dwell: dwell,
            failure_ratio: f64::from(self.failures_percent) / 100.0,
            handoff_ratio: f64::from(handoffs) / 100.0,
            repeated_handoffs: !self.forgets(),
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

    /// Whether answers do not show what there is.
    pub fn hides(&self) -> bool {
        !self.wrongs.is_empty()
    }
}

/// Sums and counts are compared, buckets only cost time.
fn few_buckets() -> Buckets {
    let minute: std::sync::Arc<[f64]> = [60.0].into();
    Buckets { duration: minute.clone(), time_to_handoff: minute.clone(), idle: minute.clone(), delay: minute }
}
