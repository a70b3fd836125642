//! Opening the projects of a configuration, and taking them over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use super::{Projects, Store, WatchedProject};
use crate::{
    clock::{Clock, Steady},
    config::{Config, MetricsConfig, ProjectConfig},
    kapso::{Budget, Usage},
    lease::{BootTime, Inherited, Lease},
    metrics::{Bounds, Options},
    model::{Api, Source},
    project::{Budgets, Changed, Project, Transports},
    state::{Claim, OpenedAccount},
};

/// Opens projects: reads their accounts, and asks nothing. Clones share budgets and accounts.
#[derive(Clone)]
pub struct Opening {
    transports: Arc<dyn Transports>,
    clock: Clock,
    store: Store,
    changed: Changed,
    shutdown: CancellationToken,
    budgets: Budgets,
}

/// The projects of a configuration, opened. Dropped, it leaves no trace.
pub struct Opened {
    metrics: MetricsConfig,
    /// The names of all projects, whether they are watched here or not.
    configured: BTreeSet<String>,
    projects: Projects,
    /// Those that are not as they were: removed, changed, or new.
    changes: Changes,
}

/// How a configuration differs from the one before, by the names of the projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// They were not there.
    pub added: BTreeSet<Arc<str>>,
    /// Something about them is new.
    pub changed: BTreeSet<Arc<str>>,
    /// They are no longer there.
    pub removed: BTreeSet<Arc<str>>,
}

impl Opened {
    /// What is new.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How much is published.
    pub(super) fn bounds(&self) -> Bounds {
        bounds(&self.metrics, self.projects.values().map(|watched| &*watched.project.config))
    }

    /// Whether every account goes on with what an earlier run kept.
    pub(super) fn is_restored(&self) -> bool {
        self.projects.values().all(|watched| {
            let config = &watched.project.config;
            let began = |opened: &OpenedAccount| opened.account.lock().ledger.watch_start().is_some();
            // An API that is only tried may never have been there.
            watched.accounts.iter().all(|(&api, opened)| config.only_tries(api) || began(opened))
        })
    }
}

impl Opening {
    pub(super) fn new(
        transports: Arc<dyn Transports>,
        clock: Clock,
        store: Store,
        changed: Changed,
        shutdown: CancellationToken,
    ) -> Self {
        Self { transports, clock, store, changed, shutdown, budgets: Budgets::default() }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Opens the projects of `config`, where replicas share the store those of which this one has the lease; those that are
    /// as they are in `present` are taken from there. Blocks while accounts are read.
    ///
    /// # Errors
    /// If there is no way to an API, or what is kept cannot be understood or is another project's.
    pub fn open(&self, config: Config, present: &Projects) -> anyhow::Result<Opened> {
        let (mut projects, mut changes) = (Projects::new(), Changes::default());
        let configured = config.projects.iter().map(|project| project.name.clone()).collect();
        for config in config.projects {
            let name: Arc<str> = config.name.as_str().into();
            let lease = self.store.leases().map(|leases| leases.watched(&name));
            if matches!(lease, Some(None)) {
                continue;
            }
            let (lease, earlier) = (lease.flatten(), present.get(&name));
            let is_as_before = |earlier: &&Arc<WatchedProject>| {
                *earlier.project.config == config && earlier.project.is_under(lease.as_ref())
            };
            if let Some(earlier) = earlier.filter(is_as_before) {
                projects.insert(name, earlier.clone());
                continue;
            }
            // Under a lease that is not held any more, another replica may have gone on: all is as that one saved it.
            let goes_on = |earlier: &&Arc<WatchedProject>| {
                earlier.project.is_under(lease.as_ref()) || earlier.project.is_held()
            };
            let kind = if earlier.is_some() { &mut changes.changed } else { &mut changes.added };
            kind.insert(name.clone());
            let earlier = earlier.filter(goes_on).map(Arc::as_ref);
            projects.insert(name, Arc::new(self.open_project(config, lease, earlier)?));
        }
        changes.removed = present.keys().filter(|&name| !projects.contains_key(name)).cloned().collect();
        Ok(Opened { metrics: config.metrics, configured, projects, changes })
    }

    fn open_project(
        &self,
        config: ProjectConfig,
        lease: Option<Lease>,
        earlier: Option<&WatchedProject>,
    ) -> anyhow::Result<WatchedProject> {
        let budget = self.budgets.of(&config);
        if let Some(inherited) = lease.as_ref().and_then(Lease::take_inherited) {
            inherit(&budget, &inherited);
        }
        budget.set_lease(lease.clone());
        let mut project = Project {
            budget,
            lease,
            config: Arc::new(config),
            clock: self.clock.clone(),
            transports: self.transports.clone(),
            shutdown: self.shutdown.child_token(),
        };
        let mut accounts = BTreeMap::new();
        for api in project.config.apis() {
            let account = earlier.and_then(|earlier| earlier.accounts.get(&api));
            let opened = self.store.account(&project, api, account)?;
            say_what_changed(&opened.claim, api, &project.config.sources_of(api));
            accounts.insert(api, opened);
        }
        project.clock = match earlier {
            Some(earlier) => earlier.project.clock.clone(),
            None => project.clock.going_on_after(learned(&accounts)),
        };
        let started = earlier.map_or_else(|| project.clock.steady(), |earlier| earlier.started);
        let mut streams = BTreeMap::new();
        for (&api, opened) in &accounts {
            let before = earlier.and_then(|earlier| earlier.streams.get(&api)).map(Arc::as_ref);
            let stream = project.stream(api, opened, started, &self.changed, before)?;
            streams.insert(api, Arc::new(stream));
        }
        Ok(WatchedProject { project, streams, accounts, started })
    }

    /// Makes what was opened take effect: accounts get their settings, budgets their limits, and the store keeps what
    /// is there now.
    pub(super) fn take_over(&self, opened: Opened, present: &Projects) -> Projects {
        let Opened { configured, projects, changes, .. } = opened;
        self.store.set_configured(configured);
        let is_new = |name: &Arc<str>| changes.added.contains(name) || changes.changed.contains(name);
        let mut kept = Vec::new();
        for (_, watched) in projects.iter().filter(|(name, _)| is_new(name)) {
            let config = &watched.project.config;
            watched.project.budget.set_own(config.requests_per_minute);
            for (api, account) in &watched.accounts {
                account.account.lock().configure(config.account_of(*api));
                let sources = config.sources_of(*api);
                let mut status = watched.streams[api].status.lock();
                status.watch(sources, config.interval);
                status.take_deliveries(watched.streams[api].webhook.is_some());
                drop(status);
                kept.push(account.clone());
            }
        }
        let names = |projects: &Projects| -> BTreeSet<String> {
            let accounts = projects.values().flat_map(|watched| watched.accounts.values());
            accounts.map(|account| account.name.clone()).collect()
        };
        let released: Vec<_> = names(present).difference(&names(&projects)).cloned().collect();
        self.store.switch(kept, released);
        projects
    }
}

/// How much is published of these projects.
pub fn bounds<'a>(metrics: &MetricsConfig, projects: impl Iterator<Item = &'a ProjectConfig>) -> Bounds {
    let &MetricsConfig { max_series, max_conversations, exemplars, native_histograms, ref instance } =
        metrics;
    let options = Options { exemplars, native_histograms };
    let handoff_classes = projects.map(ProjectConfig::handoff_kinds).max().unwrap_or_default();
    let instance = instance.as_deref().map(Into::into);
    Bounds { max_series, max_conversations, handoff_classes, options, instance }
}

/// The budget goes on where another replica left it.
fn inherit(budget: &Budget, inherited: &Inherited) {
    let usage: Usage = postcard::from_bytes(&inherited.usage).unwrap_or_else(|_| Usage::unknown());
    let ago = inherited.told_ago + BootTime::now().since(inherited.learned);
    budget.inherit(&usage, ago, inherited.unseen);
}

/// When something was last learned, in an earlier run.
fn learned(accounts: &BTreeMap<Api, OpenedAccount>) -> Option<Steady> {
    accounts.values().filter_map(|opened| opened.account.lock().frontier.learned()).max()
}

/// The sources are others than those before: what only these listed is asked for one by one.
fn say_what_changed(claim: &Claim, api: Api, present: &BTreeSet<Source>) {
    if claim.previous_sources().is_some_and(|previous| previous != present) {
        tracing::info!(%api, "other sources than before: open executions that none of them lists are asked for one by one");
    }
    claim.confirm_sources();
}
