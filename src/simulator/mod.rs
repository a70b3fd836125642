//! The simulated Kapso: a faithful imitation of both APIs over HTTP, in process or as a server. It plays a small
//! business from a seed, can be scripted event by event, and knows from its own histories what an exporter has to
//! report, so that it is the judge of the exporter's numbers as well as its demonstration.

#[cfg(test)]
mod agreement;
mod answer;
mod control;
mod conversation;
mod edits;
mod endpoint;
mod error;
mod execution;
mod faults;
mod history;
mod http;
mod ids;
mod legacy;
mod life;
mod limit;
mod misbehaviour;
mod paging;
mod platform;
mod query;
mod random;
mod record;
mod scenario;
mod script;
mod state;
mod tally;
#[cfg(test)]
mod testing;
mod times;
mod traffic;
mod view;
mod webhooks;
mod wire;
mod workflow;
mod world;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use self::{
    error::ScriptError,
    faults::{Fault, Faults},
    misbehaviour::{
        Breakage, ConversationIds, Disagreement, Lag, Lie, Misbehaviour, Names, OddTime, OddTimes, Subject,
        Totals, Untruth,
    },
    record::{RequestCount, RequestRecord},
    scenario::{DEFAULT_KEY, Ids, Scenario, Traffic},
    tally::{ConversationTally, Sum, Tally, WorkflowTally},
    webhooks::{
        Answer, Attempt, Conduct, DeliveryCounts, DeliveryTally, Handoff, HandoffSource, Incident, Webhook,
        WebhookEvent, WebhookStatus, deliver,
    },
};
use self::{random::whole_millis, state::State};
use crate::clock::Clock;

/// One of the two APIs.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// `/platform/v1`
    Platform,
    /// `/api/v1`
    Legacy,
}

impl Api {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Legacy];

    /// Its name, as in a tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Legacy => "legacy",
        }
    }
}

/// A simulated Kapso. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    clock: Clock,
    /// Tells of another webhook whoever delivers.
    webhook_changed: watch::Sender<()>,
    started_at: Timestamp,
}

impl Simulator {
    /// The world of `scenario`, which starts now by `clock`.
    #[must_use]
    pub fn new(scenario: Scenario, clock: Clock) -> Self {
        let started_at = whole_millis(clock.wall());
        let state = Arc::new(Mutex::new(State::new(scenario, started_at)));
        Self { state, clock, webhook_changed: watch::Sender::new(()), started_at }
    }

    /// Both APIs (`/platform/v1/…`, `/api/v1/…`) and the control paths (`/_simulator/…`).
    pub fn router(&self) -> axum::Router {
        http::router(self.clone(), CancellationToken::new())
    }

    /// Serves [`router`](Self::router) on `listener` until `shutdown`, and a second longer at most. Until then it
    /// [delivers](deliver) to the URL of a webhook.
    ///
    /// # Errors
    /// What the listener reports; if there can be no HTTP client to deliver with.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        http::serve(self, listener, shutdown).await
    }

    /// What a faultless exporter reports now, if it counts events since `since` and shows finished executions
    /// for `lookback`. Legacy agents are in it while the legacy API is there.
    #[must_use]
    pub fn tally(&self, since: Timestamp, lookback: Duration) -> Tally {
        self.with(|state, now| state.world.tally(state.apis(), since, lookback, now))
    }

    /// When the world started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The world's time, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        whole_millis(self.clock.wall())
    }

    /// Drops everything that is scheduled: from now on nothing moves by itself.
    pub fn stop_traffic(&self) {
        self.with(|state, _| state.world.stop());
    }

    /// Other traffic from now on. Lives that are under way go on as they were planned.
    pub fn set_traffic(&self, traffic: Traffic) {
        self.with(|state, now| state.world.set_traffic(traffic, now));
    }

    /// Other faults from the next request on, counted from there.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|state, _| state.faults.replace(faults));
    }

    /// Another key; the one before is refused from now on.
    pub fn set_key(&self, key: impl Into<String>) {
        let key = key.into();
        self.with(|state, _| state.key = key);
    }

    /// Another rate limit in requests per minute, for the current minute too.
    pub fn set_rate_limit(&self, per_minute: Option<u32>) {
        self.with(|state, _| state.limit.per_minute = per_minute);
    }

    /// Whether the legacy API is there.
    pub fn set_legacy(&self, legacy: bool) {
        self.with(|state, _| state.legacy = legacy);
    }

    /// The wait before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.with(|state, _| state.latency = latency);
    }

    /// What the `Date` header is ahead of the world's own time from now on.
    pub fn set_date_offset(&self, offset: SignedDuration) {
        self.with(|state, _| state.date_offset = offset);
    }

    /// The latest 100,000 requests to the APIs, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.with(|state, _| state.record.all())
    }

    /// The most requests within any 60 s, as far as the record goes.
    #[must_use]
    pub fn busiest_minute(&self) -> u32 {
        self.with(|state, _| state.record.busiest_minute())
    }

    /// Brings the world up to now, and does something with it.
    fn with<T>(&self, act: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.now();
        state.catch_up(now);
        act(&mut state, now)
    }
}
