//! Opening the projects of a configuration, and taking them over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use super::{Changes, Opened, Projects, Store, WatchedProject};
use crate::{
    clock::{Clock, Steady},
    config::{Config, ProjectConfig},
    kapso::{Budget, Usage},
    lease::{BootTime, Inherited, Lease},
    model::{Api, Source},
    project::{Budgets, Changed, Project, Transports},
    state::{Claim, OpenedAccount, Wanted},
};

/// The most projects whose accounts are read at once: what was read of them is in memory twice until they are open.
const READ_AT_ONCE: usize = 10;

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

/// A project that is to be opened.
struct Draft<'a> {
    project: Project,
    /// It goes on with this.
    earlier: Option<&'a WatchedProject>,
}

impl Draft<'_> {
    /// Its accounts.
    fn wanted(&self) -> impl Iterator<Item = Wanted> {
        self.project.config.apis().into_iter().map(|api| Wanted {
            name: self.project.key(api).to_string(),
            settings: self.project.config.account_of(api),
            opener: self.project.opener(api),
            earlier: self.earlier.and_then(|earlier| earlier.accounts.get(&api)).cloned(),
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
        let (mut projects, mut changes, mut drafts) = (Projects::new(), Changes::default(), Vec::new());
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
            drafts.push((name, self.draft(config, lease, earlier)));
        }
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let (names, drafts): (Vec<_>, Vec<_>) = drafts.by_ref().take(READ_AT_ONCE).unzip();
            let opened = self.open_drafts(drafts)?;
            projects.extend(names.into_iter().zip(opened.into_iter().map(Arc::new)));
        }
        changes.removed = present.keys().filter(|&name| !projects.contains_key(name)).cloned().collect();
        Ok(Opened { metrics: config.metrics, configured, projects, changes })
    }

    /// A project that is to be opened, and the same project as it was watched before.
    fn draft<'a>(
        &self,
        config: ProjectConfig,
        lease: Option<Lease>,
        earlier: Option<&'a WatchedProject>,
    ) -> Draft<'a> {
        let project = Project {
            budget: self.budgets.of(&config),
            lease,
            config: Arc::new(config),
            clock: self.clock.clone(),
            transports: self.transports.clone(),
            shutdown: self.shutdown.child_token(),
        };
        Draft { project, earlier }
    }

    fn open_drafts(&self, drafts: Vec<Draft<'_>>) -> anyhow::Result<Vec<WatchedProject>> {
        let mut accounts = self.store.accounts(drafts.iter().flat_map(Draft::wanted).collect())?.into_iter();
        let open = |draft: Draft<'_>| {
            let apis = draft.project.config.apis();
            self.open_draft(draft, apis.into_iter().zip(accounts.by_ref()).collect())
        };
        drafts.into_iter().map(open).collect()
    }

    fn open_draft(
        &self,
        Draft { mut project, earlier }: Draft<'_>,
        accounts: BTreeMap<Api, OpenedAccount>,
    ) -> anyhow::Result<WatchedProject> {
        if let Some(inherited) = project.lease.as_ref().and_then(Lease::take_inherited) {
            inherit(&project.budget, &inherited);
        }
        project.budget.set_lease(project.lease.clone());
        for (&api, opened) in &accounts {
            say_what_changed(&opened.claim, api, &project.config.sources_of(api));
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
