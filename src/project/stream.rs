//! The handles: a project, and each of its streams.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Changed, DeliveryResult, Setting, StreamStatus, Webhook, in_force};
use crate::{
    account::Account,
    clock::{Clock, Steady},
    config::ProjectConfig,
    kapso::{self, Budget, Client, Connections, Http, KapsoClock, Observer, Transport},
    lease::Lease,
    model::{Api, Delivery, Source, WebhookEvent},
    state::{BaseUrl, OpenedAccount, Opener},
    sweep::SweepEvent,
};

/// How a project's APIs are reached.
pub trait Transports: Send + Sync {
    /// The way to one of them.
    ///
    /// # Errors
    /// If there is none, such as when TLS cannot be set up.
    fn open(&self, api: Api, config: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>>;
}

/// Over HTTP, with the project's key.
#[derive(Debug, Clone)]
pub struct HttpTransports(Connections);

impl HttpTransports {
    /// With connections that all projects share.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(Connections::new()?))
    }
}

impl Transports for HttpTransports {
    fn open(&self, api: Api, config: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        Ok(Box::new(Http::new(&self.0, config.base_url(api), config.key.clone())?))
    }
}

/// Names a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The `project` label.
    pub project: Arc<str>,
    /// The `api` label.
    pub api: Api,
}

/// As its account is named in a state file.
impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.api)
    }
}

/// A project's configuration, and what all that ask with its key share.
#[derive(Clone)]
pub struct Project {
    /// What to do.
    pub config: Arc<ProjectConfig>,
    /// Of the key.
    pub budget: Arc<Budget>,
    /// Under which it is watched, where replicas share the state.
    pub lease: Option<Lease>,
    /// Our clock.
    pub clock: Clock,
    /// How Kapso is reached.
    pub transports: Arc<dyn Transports>,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl Project {
    /// A project of which nothing was asked yet.
    #[must_use]
    pub fn new(
        config: ProjectConfig,
        transports: Arc<dyn Transports>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        let budget = Arc::new(Budget::new(config.requests_per_minute));
        Self { config: Arc::new(config), budget, lease: None, clock, transports, shutdown }
    }

    /// Whether it is watched under this lease.
    #[must_use]
    pub fn is_under(&self, lease: Option<&Lease>) -> bool {
        match (&self.lease, lease) {
            (Some(own), Some(lease)) => own.is(lease),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether nobody else watches it: where replicas share the projects, whether its lease is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lease.as_ref().is_none_or(Lease::is_held)
    }

    /// The name of one of its streams.
    #[must_use]
    pub fn key(&self, api: Api) -> StreamKey {
        StreamKey { project: self.config.name.as_str().into(), api }
    }

    /// Who opens the account of one of its streams.
    #[must_use]
    pub fn opener(&self, api: Api) -> Opener {
        let config = &self.config;
        let base_url = if config.embedded { BaseUrl::embedded() } else { config.base_url(api).into() };
        Opener { base_url, key: config.key.clone(), sources: config.sources_of(api) }
    }

    /// A client of one of its APIs.
    ///
    /// # Errors
    /// If there is no way to it.
    pub fn client(&self, api: Api, observer: Arc<dyn Observer>) -> anyhow::Result<Arc<Client>> {
        let settings = self.client_settings(api, observer);
        Ok(Arc::new(Client::new(settings, self.transports.open(api, &self.config)?)))
    }

    fn client_settings(&self, api: Api, observer: Arc<dyn Observer>) -> kapso::Settings {
        kapso::Settings {
            api,
            base: self.config.base_url(api).clone(),
            timeout: self.config.timeout,
            budget: self.budget.clone(),
            clock: Arc::new(KapsoClock::new(self.clock.clone())),
            handoff_reasons: self.config.handoff_reasons.clone().into(),
            observer,
            shutdown: self.shutdown.clone(),
        }
    }

    /// The stream of one of its APIs, with this account, which was begun to be watched then, and which tells the listeners of
    /// `changed`. It goes on as `earlier`, the stream of that account until now.
    ///
    /// # Errors
    /// If there is no way to the API.
    pub fn stream(
        &self,
        api: Api,
        opened: &OpenedAccount,
        started: Steady,
        changed: &Changed,
        earlier: Option<&Stream>,
    ) -> anyhow::Result<Stream> {
        let new = || {
            let sources = self.config.sources_of(api).into_iter();
            let mut status = StreamStatus::new(sources, self.config.interval);
            let is_known = opened.account.lock().ledger.remembered_conversations() > 0;
            if self.config.only_tries(api) && !is_known {
                status.presume_absent(Source::Agents);
            }
            Arc::new(Mutex::new(status))
        };
        let status = earlier.map_or_else(new, |earlier| earlier.status.clone());
        let settings = self.client_settings(api, status.clone());
        let transport = self.transports.open(api, &self.config)?;
        let client = Arc::new(match earlier {
            Some(earlier) => earlier.client.next(settings, transport),
            None => Client::new(settings, transport),
        });
        Ok(Stream {
            key: self.key(api),
            client,
            budget: self.budget.clone(),
            lease: self.lease.clone(),
            account: opened.account.clone(),
            status,
            changed: changed.of_another(),
            settings: in_force(&self.config),
            webhook: Webhook::of(&self.config, opened.claim.clone(), started)
                .filter(|_| api == Api::Platform),
        })
    }
}

/// One project in one API.
pub struct Stream {
    /// Its name.
    pub key: StreamKey,
    /// Asks, and knows Kapso's clock.
    pub client: Arc<Client>,
    /// The budget of the key, which all streams share that ask with it.
    pub budget: Arc<Budget>,
    /// Under which it is watched, where replicas share the state.
    pub lease: Option<Lease>,
    /// What was counted, and what was read.
    pub account: Arc<Mutex<Account>>,
    /// How it is doing.
    pub status: Arc<Mutex<StreamStatus>>,
    /// Told of every change of the two.
    pub changed: Changed,
    /// What is configured of its project, secrets left out.
    pub settings: Arc<[Setting]>,
    /// Takes deliveries, where the project has a webhook and this is the platform API.
    pub webhook: Option<Webhook>,
}

impl Stream {
    /// Whether it may be asked for, shown and saved now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lease.as_ref().is_none_or(Lease::is_held)
    }

    /// Takes note that a source is not swept for now: it is not up.
    pub fn interrupted(&self, source: Source) {
        self.status.lock().interrupted(source);
        self.changed.notify();
    }

    /// Takes note that a source's loop panicked.
    pub fn panicked(&self, source: Source) {
        self.status.lock().panicked(source);
        self.changed.notify();
    }

    /// Takes note of why it is not watched.
    pub fn refused(&self, why: &str) {
        self.status.lock().refused(why, self.client.clock().steady_now().timestamp());
        self.changed.notify();
    }

    /// Takes a delivery into the account. `None` if it is not known yet whose the account is.
    #[must_use]
    pub fn deliver(&self, delivery: &Delivery) -> Option<DeliveryResult> {
        let webhook = self.webhook.as_ref()?;
        let clock = self.client.clock();
        if !webhook.is_verified() {
            return None;
        }
        if !webhook.concerns(delivery) {
            return Some(DeliveryResult::Ignored);
        }
        let mut account = self.account.lock();
        let now = clock.now();
        let taken = if clock.is_settled() {
            account.watch(clock.at(webhook.started), now);
            let at = clock.possible(delivery.at);
            account.deliver(&Delivery { at, ..delivery.clone() }, now)
        } else {
            // News could not be told from history.
            account.hold(delivery, now)
        };
        let result = DeliveryResult::from(taken);
        drop(account);
        if result == DeliveryResult::Accepted {
            webhook.named.push(&delivery.execution);
        }
        Some(result)
    }

    /// Counts a delivery.
    pub fn delivered(&self, event: WebhookEvent, result: DeliveryResult) {
        self.status.lock().delivered(event, result);
        self.changed.notify();
    }

    /// Takes note of what a source's loop tells. That the stream was swept for the first time is published soon.
    pub fn record(&self, source: Source, event: &SweepEvent<'_>) {
        let mut status = self.status.lock();
        let was_learned = status.is_learned();
        status.record(source, event);
        let is_news = !was_learned && status.is_learned();
        drop(status);
        self.changed.notify();
        if is_news {
            self.changed.hurry();
        }
    }
}
