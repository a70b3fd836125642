//! The exporter put together: what serving, `once`, tests and benches have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    account::{Account, Damaged, Saved},
    clock::{Clock, Steady},
    config::{Config, StateConfig},
    crawl::{self, CrawlContext, CrawlScope, Heartbeat},
    kapso,
    metrics::{InstanceMetrics, Limits, Renderer},
    model::{Api, Source},
    project::{Changed, Project, Stream, StreamKey, Transports},
    publisher::Publisher,
    state::{Claim, StateFile},
    sweep::Sweeper,
    verification::Verification,
};

/// Requests of a sweep may wait for their turn in a budget that is nearly used up, and the sweep is alive.
const PATIENCE: Duration = Duration::from_mins(15);

/// What opens a state file that is not large on a disk that works.
const OPENED_SOON: Duration = Duration::from_secs(5);

/// Where accounts come from, and where they are kept.
pub enum Store {
    /// Nowhere; these are gone on with.
    Memory(BTreeMap<StreamKey, Saved>),
    /// In a state file.
    File(StateFile),
}

/// An account, and the claim to it if it is kept.
type Opened = (Arc<Mutex<Account>>, Option<Arc<Claim>>);

impl Store {
    /// The store that is configured. Blocks.
    ///
    /// # Errors
    /// If the state file cannot be used.
    pub fn open(config: &StateConfig) -> anyhow::Result<Self> {
        Ok(match config.path.as_deref() {
            Some(path) => Self::File(StateFile::open(path)?),
            None => Self::Memory(BTreeMap::new()),
        })
    }

    fn account(&mut self, project: &Project, api: Api) -> anyhow::Result<Opened> {
        let (key, settings) = (project.key(api), project.config.account_of(api));
        match self {
            Self::Memory(saved) => {
                let restored = |saved: &Saved| Account::restore(settings.clone(), saved);
                let account: Result<_, Damaged> =
                    saved.get(&key).map_or_else(|| Ok(Account::new(settings.clone())), restored);
                Ok((Arc::new(Mutex::new(account?)), None))
            }
            Self::File(file) => {
                let (account, claim) = file.account(key.to_string(), settings, project.opener(api))?;
                Ok((account, Some(claim)))
            }
        }
    }

    fn into_file(self) -> Option<StateFile> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

/// Projects with their streams, and all that is published of them.
pub struct App {
    /// What is watched, by name.
    pub projects: BTreeMap<Arc<str>, WatchedProject>,
    /// What is published; nothing yet.
    pub publisher: Arc<Publisher>,
    /// Told of every change of a stream.
    pub changed: Changed,
    /// Our clock.
    pub clock: Clock,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl App {
    /// Opens the store that is configured and puts everything together, without holding up anybody else: that takes
    /// a while if a state file is large, and for ever if the disk hangs. That is said.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the store cannot be used.
    pub async fn open(
        config: Config,
        transports: Arc<dyn Transports>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let open = move || {
            let store = Store::open(&config.state)?;
            Self::build(config, transports, clock, store, shutdown)
        };
        let mut opening = spawn_blocking(open);
        if let Ok(opened) = timeout(OPENED_SOON, &mut opening).await {
            return opened?;
        }
        tracing::warn!(
            "the state file is not open after 5s: a large one takes a while, a disk that hangs for ever"
        );
        opening.await?
    }

    /// Puts everything together and asks nothing. Blocks while accounts are read.
    ///
    /// # Errors
    /// If there is no way to an API, or what is kept cannot be understood or is another project's.
    pub fn build(
        config: Config,
        transports: Arc<dyn Transports>,
        clock: Clock,
        mut store: Store,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let Config { projects, metrics, .. } = config;
        let mut opened = Vec::new();
        for project in projects {
            let project = Project::new(project, transports.clone(), clock.clone(), shutdown.clone());
            opened.push(OpenedProject::open(project, &mut store)?);
        }
        let clock = clock.going_on_after(opened.iter().filter_map(OpenedProject::learned).max());
        let (changed, started) = (Changed::default(), clock.steady());
        let watched = opened.into_iter().map(|opened| opened.watch(&clock, started, &changed));
        let projects: Vec<_> = watched.collect::<anyhow::Result<_>>()?;
        let streams: Vec<_> = projects.iter().flat_map(|watched| watched.streams.values().cloned()).collect();
        let instance = Arc::new(InstanceMetrics::default());
        let series = metrics.max_series / streams.len().max(1);
        let classes = projects.iter().map(|watched| watched.project.config.handoff_reasons.len()).max();
        let limits = Limits::within(series, metrics.max_conversations, classes.unwrap_or_default());
        let renderer = Arc::new(Renderer::new(instance.clone(), streams, limits));
        let publisher = Arc::new(Publisher::new(renderer, instance, store.into_file(), clock.clone()));
        let named = |watched: WatchedProject| (watched.project.config.name.as_str().into(), watched);
        Ok(Self { projects: projects.into_iter().map(named).collect(), publisher, changed, clock, shutdown })
    }

    /// The streams of all projects.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.projects.values().flat_map(|watched| watched.streams.values())
    }
}

/// A project whose accounts are open.
struct OpenedProject {
    project: Project,
    accounts: BTreeMap<Api, Opened>,
}

impl OpenedProject {
    fn open(project: Project, store: &mut Store) -> anyhow::Result<Self> {
        let accounts = project.config.apis().into_iter().map(|api| {
            let (account, claim) = store.account(&project, api)?;
            if let Some(claim) = &claim {
                say_what_changed(claim, api, &project.config.sources_of(api));
            }
            Ok((api, (account, claim)))
        });
        let accounts = accounts.collect::<anyhow::Result<_>>()?;
        Ok(Self { project, accounts })
    }

    /// When something was last learned, in an earlier run.
    fn learned(&self) -> Option<Steady> {
        self.accounts.values().filter_map(|(account, _)| account.lock().frontier.learned()).max()
    }

    fn watch(self, clock: &Clock, started: Steady, changed: &Changed) -> anyhow::Result<WatchedProject> {
        let project = Project { clock: clock.clone(), ..self.project };
        let (mut streams, mut claims) = (BTreeMap::new(), BTreeMap::new());
        for (api, (account, claim)) in self.accounts {
            streams.insert(api, Arc::new(project.stream(api, account, changed.clone())?));
            claims.extend(claim.map(|claim| (api, claim)));
        }
        Ok(WatchedProject { project, streams, claims, started })
    }
}

/// A project with its streams.
pub struct WatchedProject {
    /// What is watched, and with what.
    pub project: Project,
    /// Each of its APIs.
    pub streams: BTreeMap<Api, Arc<Stream>>,
    /// The claims to the accounts that are kept.
    claims: BTreeMap<Api, Arc<Claim>>,
    /// When watching began.
    started: Steady,
}

impl WatchedProject {
    /// Each source, with its stream.
    pub fn sources(&self) -> impl Iterator<Item = (Source, &Arc<Stream>)> {
        let sources = self.project.config.sources.iter();
        sources.filter_map(|&source| Some((source, self.streams.get(&source.api())?)))
    }

    /// What verifies each claim, before its API is swept.
    #[must_use]
    pub fn verifications(&self) -> BTreeMap<Api, Arc<Verification>> {
        let Project { config, shutdown, .. } = &self.project;
        let verification = |(&api, stream): (&Api, &Arc<Stream>)| {
            let claim = self.claims.get(&api)?.clone();
            let (client, account) = (stream.client.clone(), stream.account.clone());
            let verification = Verification::new(client, account, claim, config.interval, shutdown.clone());
            Some((api, Arc::new(verification)))
        };
        self.streams.iter().filter_map(verification).collect()
    }

    /// The loop of one source.
    #[must_use]
    pub fn sweeper(&self, source: Source, stream: &Stream) -> Sweeper {
        let Project { config, clock, shutdown, .. } = &self.project;
        let scope = CrawlScope {
            only: config.conversations.clone(),
            phone_number_ids: config.phone_number_ids.clone(),
            max_age: config.account.conversation_max_age,
            interval: config.interval,
            max_staleness: config.account.max_staleness,
            listed_by: crawl::listed_by(config.sources.iter().copied(), source.api()),
        };
        let context = CrawlContext {
            client: stream.client.clone(),
            account: stream.account.clone(),
            budget: stream.budget.clone(),
            started: self.started,
            heartbeat: Heartbeat::default(),
            changed: stream.changed.clone(),
        };
        Sweeper {
            source,
            crawler: crawl::kind_of(source).crawler(context, scope),
            interval: config.interval,
            patience: PATIENCE + kapso::longest_call(config.timeout),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        }
    }
}

/// The sources are others than those before: what only these listed is asked for one by one.
fn say_what_changed(claim: &Claim, api: Api, present: &BTreeSet<Source>) {
    if claim.previous_sources().is_some_and(|previous| previous != present) {
        tracing::info!(%api, "other sources than before: open executions that none of them lists are asked for one by one");
    }
    claim.confirm_sources();
}
