//! The parts of the exporter, put together: what serving, `once` and `check` have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::{net::TcpListener, sync::Notify, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    clock::{Clock, Steady},
    config::Config,
    crawl::{self, CrawlContext, CrawlScope, Heartbeat, SourceCrawler},
    kapso::{self, Budget, Client, Http, Observer, Transport},
    ledger::Ledger,
    metrics::{InstanceMetrics, Limits, Renderer, RequestObserver, Stream},
    model::{Api, Source},
    publisher::Publisher,
    simulator::{Scenario, Simulator},
    state::{BaseUrl, Claim, Opener, StateFile},
    sweep::Sweeper,
    verification::Verification,
};

/// Requests of a sweep may wait for their turn in a budget that is nearly used up, and the sweep is alive.
const PATIENCE: Duration = Duration::from_mins(15);

/// What opens a state file that is not large on a disk that works.
const OPENED_SOON: Duration = Duration::from_secs(5);

/// Starts the simulated Kapso on a free loopback port and points the configuration at it.
///
/// # Errors
/// If no port can be bound.
pub async fn embed_simulator(
    config: &mut Config,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.context("cannot bind a port for the simulated Kapso")?;
    let base = format!("http://{}", listener.local_addr()?);
    config.platform_url = Url::parse(&format!("{base}/platform/v1"))?;
    config.legacy_url = Url::parse(&format!("{base}/api/v1"))?;
    let simulator = Simulator::new(Scenario::demo(1), clock.clone());
    tokio::spawn(simulator.serve(listener, shutdown.clone()));
    Ok(())
}

/// A project to watch: its configuration, and what all that ask with its key share.
pub struct Project {
    /// What to do.
    pub config: Config,
    /// Of the key.
    pub budget: Arc<Budget>,
    /// Our clock.
    pub clock: Clock,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl Project {
    /// A project of which nothing was asked yet.
    #[must_use]
    pub fn new(config: Config, clock: Clock, shutdown: CancellationToken) -> Self {
        let budget = Arc::new(Budget::new(config.requests_per_minute));
        Self { config, budget, clock, shutdown }
    }

    /// The way to one of its APIs.
    ///
    /// # Errors
    /// If the TLS backend cannot be set up.
    pub fn http(&self, api: Api) -> anyhow::Result<Http> {
        Http::new(self.config.base_url(api), self.config.key.clone())
    }

    /// Who opens the state file for one of its APIs.
    #[must_use]
    pub fn opener(&self, api: Api) -> Opener {
        let config = &self.config;
        let base_url = if config.demo { BaseUrl::embedded() } else { config.base_url(api).into() };
        let sources = config.sources.iter().copied().filter(|source| source.api() == api).collect();
        Opener { base_url, key: config.key.clone(), sources }
    }

    /// The name of the ledger of one of its APIs in the state file.
    #[must_use]
    pub fn ledger_name(&self, api: Api) -> String {
        format!("{}/{api}", self.config.project)
    }

    /// A client of one of its APIs.
    pub fn client(
        &self,
        api: Api,
        observer: Arc<dyn Observer>,
        transport: impl Transport + 'static,
    ) -> Arc<Client> {
        let settings = kapso::Settings {
            api,
            base: self.config.base_url(api).clone(),
            timeout: self.config.timeout,
            budget: self.budget.clone(),
            clock: Arc::new(kapso::KapsoClock::new(self.clock.clone())),
            observer,
            shutdown: self.shutdown.clone(),
        };
        Arc::new(Client::new(settings, transport))
    }
}

/// A project with its ledgers and all that is published of it.
pub struct Wiring {
    /// What is watched.
    pub project: Project,
    /// The exporter's own metrics.
    pub exporter: Arc<InstanceMetrics>,
    /// What is published; nothing yet.
    pub publisher: Arc<Publisher>,
    /// Each source with its ledger, which the sources of an API share.
    pub streams: Vec<(Source, Stream)>,
    /// The claims to the ledgers that are kept.
    pub claims: BTreeMap<Api, Arc<Claim>>,
    /// Told of every request.
    pub requested: Arc<Notify>,
    /// When watching began.
    started: Steady,
}

impl Wiring {
    /// Puts everything together without holding up anybody else: to open the state file takes a while if it is
    /// large, and for ever if the disk hangs. That is said.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn open(project: Project) -> anyhow::Result<Self> {
        let mut opening = spawn_blocking(move || Self::new(project));
        if let Ok(opened) = timeout(OPENED_SOON, &mut opening).await {
            return opened?;
        }
        tracing::warn!(
            "the state file is not open after 5s: a large one takes a while, a disk that hangs for ever"
        );
        opening.await?
    }

    /// Puts everything together and asks nothing. Blocks.
    ///
    /// # Errors
    /// If two metrics share a name, the TLS backend cannot be set up, or the state file cannot be used.
    pub fn new(mut project: Project) -> anyhow::Result<Self> {
        let mut kept = project.config.state_path.as_deref().map(StateFile::open).transpose()?;
        let registry = Registry::new();
        let exporter = Arc::new(InstanceMetrics::register(&registry)?);
        let requested = Arc::new(Notify::new());
        let (mut of_api, mut claims) = (BTreeMap::new(), BTreeMap::new());
        let apis: BTreeSet<_> = project.config.sources.iter().map(|source| source.api()).collect();
        let mut ledgers = BTreeMap::new();
        for &api in &apis {
            let settings = project.config.ledger.clone();
            let ledger = match &mut kept {
                Some(kept) => {
                    let (ledger, claim) =
                        kept.ledger(project.ledger_name(api), settings, project.opener(api))?;
                    say_what_changed(&claim, api, &project.config.sources);
                    claims.insert(api, claim);
                    ledger
                }
                None => Arc::new(Mutex::new(Ledger::new(settings))),
            };
            ledgers.insert(api, ledger);
        }
        let learned = ledgers.values().filter_map(|ledger| ledger.lock().learned()).max();
        project.clock = project.clock.going_on_after(learned);
        for (api, ledger) in ledgers {
            let observer = RequestObserver {
                exporter: exporter.clone(),
                project: project.config.project.clone(),
                changed: requested.clone(),
            };
            let client = project.client(api, Arc::new(observer), project.http(api)?);
            of_api.insert(api, stream(&project, client, ledger, apis.len()));
        }
        let mut streams = Vec::new();
        for &source in &project.config.sources {
            exporter.announce(&project.config.project, source, project.config.interval);
            streams.extend(of_api.get(&source.api()).map(|stream| (source, stream.clone())));
        }
        let streams_of_api = of_api.into_values().collect();
        let renderer = Arc::new(Renderer::new(registry, exporter.clone(), streams_of_api)?);
        let started = project.clock.steady();
        let publisher = Publisher::new(renderer, exporter.clone(), kept, project.clock.clone());
        let publisher = Arc::new(publisher);
        Ok(Self { project, exporter, publisher, streams, claims, requested, started })
    }

    /// What verifies each claim, before its API is swept.
    #[must_use]
    pub fn verifications(&self) -> BTreeMap<Api, Arc<Verification>> {
        let verification = |(source, stream): &(Source, Stream)| {
            let claim = self.claims.get(&source.api())?.clone();
            let Project { config, shutdown, .. } = &self.project;
            let (client, ledger) = (stream.client.clone(), stream.ledger.clone());
            let verification = Verification::new(client, ledger, claim, config.interval, shutdown.clone());
            Some((source.api(), Arc::new(verification)))
        };
        self.streams.iter().filter_map(verification).collect()
    }

    /// The loop of one source.
    #[must_use]
    pub fn sweeper(&self, source: Source, stream: &Stream) -> Sweeper {
        let Project { config, budget, clock, shutdown } = &self.project;
        let scope = CrawlScope {
            only: config.conversations.clone(),
            max_age: config.ledger.conversation_max_age,
            interval: config.interval,
            max_staleness: config.ledger.max_staleness,
            listed_by: crawl::listed_by(config.sources.iter().copied(), source.api()),
        };
        let context = CrawlContext {
            client: stream.client.clone(),
            ledger: stream.ledger.clone(),
            budget: budget.clone(),
            started: self.started,
            heartbeat: Heartbeat::default(),
        };
        Sweeper {
            source,
            crawler: SourceCrawler::new(source, context, scope),
            interval: config.interval,
            patience: PATIENCE + kapso::longest_call(config.timeout),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        }
    }
}

/// The sources are others than those before: what only these listed is asked for one by one.
fn say_what_changed(claim: &Claim, api: Api, sources: &BTreeSet<Source>) {
    let present: BTreeSet<_> = sources.iter().copied().filter(|source| source.api() == api).collect();
    if claim.previous_sources().is_some_and(|previous| *previous != present) {
        tracing::info!(%api, "other sources than before: open executions that none of them lists are asked for one by one");
    }
    claim.confirm_sources();
}

fn stream(project: &Project, client: Arc<Client>, ledger: Arc<Mutex<Ledger>>, apis: usize) -> Stream {
    let config = &project.config;
    Stream {
        project: config.project.clone(),
        ledger,
        client,
        budget: project.budget.clone(),
        limits: Limits::within(config.max_series / apis, config.max_conversations),
    }
}
