//! A client for one API of Kapso: what it works with, who hears of its requests, and its clock. The life of one
//! request is in `request.rs`.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use http::StatusCode;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Budget, Endpoint, Error, Hanging, KapsoClock, Latency, Reason, Transport, address::address};
use crate::model::{Api, ReasonRule};

/// How often Kapso is asked for the time while its clock is in doubt.
const ASKED_FOR_THE_TIME: Duration = Duration::from_secs(5);

/// A reading that gives way to others goes on after this time all the same.
const LONGEST_GIVING_WAY: Duration = Duration::from_secs(5);

/// Hears of every request. Implementations must not block.
pub trait Observer: Send + Sync {
    /// A request was answered with `status`, or not at all, after `elapsed`.
    fn requested(&self, api: Api, endpoint: Endpoint, status: Option<StatusCode>, elapsed: Duration);
    /// `count` requests or items were of no use.
    fn failed(&self, api: Api, reason: Reason, count: u64);
    /// An item was in a status that this program does not know, whose name is of the form `[a-z][a-z0-9_]{0,31}`.
    fn unknown_status(&self, _api: Api, _status: &str) {}
}

/// What a [`Client`] works with.
pub struct Settings {
    /// Which API this is.
    pub api: Api,
    /// Where it is; paths are appended.
    pub base: Url,
    /// For one request, everything included.
    pub timeout: Duration,
    /// Shared by all clients with the same key.
    pub budget: Arc<Budget>,
    /// Kapso's clock as this API shows it.
    pub clock: Arc<KapsoClock>,
    /// Classes of the reasons that are given for handoffs.
    pub handoff_reasons: Arc<[ReasonRule]>,
    /// Hears of every request.
    pub observer: Arc<dyn Observer>,
    /// Ends every wait.
    pub shutdown: CancellationToken,
}

/// A client for one API.
pub struct Client {
    pub(super) settings: Settings,
    pub(super) transport: Box<dyn Transport>,
    /// Sources that share a client do not wait for its clock at the same time.
    turn: tokio::sync::Mutex<()>,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) hanging: Hanging,
    pub(super) latency: Mutex<Latency>,
}

impl Client {
    /// A client that asks through `transport`.
    #[must_use]
    pub fn new(settings: Settings, transport: impl Transport + 'static) -> Self {
        let (requests, hanging) = (Arc::new(AtomicU64::new(1)), Hanging::default());
        let (turn, latency) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { settings, transport: Box::new(transport), turn, requests, hanging, latency }
    }

    /// A client with other settings that goes on as this one: their requests are numbered together, and Kapso's clock
    /// is the same.
    #[must_use]
    pub fn next(&self, settings: Settings, transport: impl Transport + 'static) -> Self {
        let settings = Settings { clock: self.settings.clock.clone(), ..settings };
        Self { requests: self.requests.clone(), ..Self::new(settings, transport) }
    }

    /// Which API this is.
    #[must_use]
    pub fn api(&self) -> Api {
        self.settings.api
    }

    /// Kapso's clock, as the answers show it.
    #[must_use]
    pub fn clock(&self) -> &KapsoClock {
        &self.settings.clock
    }

    /// Waits while Kapso's clock contradicts ours right after a start and has not lasted, and asks for the time
    /// meanwhile.
    pub async fn settle_clock(&self) {
        let settled = async {
            let _turn = self.turn.lock().await;
            let clock = self.clock();
            if clock.is_in_doubt() {
                self.say_that_clocks_differ();
            }
            while clock.is_in_doubt() {
                sleep(ASKED_FOR_THE_TIME).await;
                self.ask_for_the_time().await;
            }
        };
        self.settings.shutdown.run_until_cancelled(settled).await;
    }

    fn say_that_clocks_differ(&self) {
        let (ours, kapsos) = (self.clock().steady_now().timestamp(), self.clock().now());
        tracing::warn!(
            api = %self.api(),
            %ours,
            %kapsos,
            "this machine and Kapso tell different times: nothing is counted until Kapso has told the same for 30s"
        );
    }

    /// Any answer does, even a refusal.
    async fn ask_for_the_time(&self) {
        match self.workflows() {
            Some(mut list) => drop(list.next().await),
            None => drop(self.conversations(None).next().await),
        }
    }

    /// Waits until no other request waits for its turn in the budget, for a while at most.
    pub(super) async fn give_way(&self) {
        let others = self.settings.budget.is_free();
        self.settings.shutdown.run_until_cancelled(timeout(LONGEST_GIVING_WAY, others)).await;
    }

    /// The requests that hang.
    #[must_use]
    pub fn hanging(&self) -> &Hanging {
        &self.hanging
    }

    /// How many requests are to be under way, those aside that hang, so that the budget can be used: at least `usual`
    /// unless the API is overloaded.
    #[must_use]
    pub fn at_once(&self, usual: usize) -> usize {
        let per_second = f64::from(self.settings.budget.status().per_minute) / 60.0;
        self.latency.lock().at_once(per_second, usual)
    }

    /// Hears of every request.
    #[must_use]
    pub fn observer(&self) -> &dyn Observer {
        &*self.settings.observer
    }

    /// The URL with this path and query.
    ///
    /// # Errors
    /// [`Error::Unaddressable`] where it would name another path.
    pub(super) fn url(
        &self,
        endpoint: Endpoint,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Url, Error> {
        address(&self.settings.base, path, query).ok_or_else(|| {
            let error = Error::Unaddressable { endpoint };
            self.count(&error);
            error
        })
    }
}
