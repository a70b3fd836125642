//! Where accounts come from, and where they are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::{
    account::{Account, Saved},
    clock::Clock,
    config::StateConfig,
    lease::Leases,
    state::{Keeper, OpenedAccount, PostgresStore, SharedKeeper, Wanted, postgres::Database},
};

/// Where accounts come from, and where they are kept.
#[derive(Clone)]
pub enum Store {
    /// Nowhere; these are gone on with, by name.
    Memory(Arc<BTreeMap<String, Saved>>),
    /// In a state file.
    Kept(SharedKeeper),
    /// In a database that replicas share.
    Shared(Shared),
}

/// A database that replicas share.
#[derive(Clone)]
pub struct Shared {
    keeper: SharedKeeper,
    leases: Leases,
    /// The projects of all replicas, by name.
    configured: Arc<ArcSwap<BTreeSet<String>>>,
}

/// The database that replicas share, as one of them uses it.
#[derive(Clone)]
pub struct SharedStore {
    /// The database.
    pub database: Database,
    /// The leases that the replica holds.
    pub leases: Leases,
    /// Its id.
    pub replica: String,
}

impl Store {
    /// In memory alone, and nothing is there yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::Memory(Arc::default())
    }

    /// The store that is configured. Blocks.
    ///
    /// # Errors
    /// If the state file cannot be used.
    pub fn open(config: &StateConfig, clock: &Clock) -> anyhow::Result<Self> {
        let Some(path) = config.path.as_deref() else { return Ok(Self::empty()) };
        Ok(Self::Kept(SharedKeeper::new(with_retention(Keeper::open(path)?, config, clock))))
    }

    /// The database that replicas share. Asks nothing.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn shared(shared: SharedStore, config: &StateConfig, clock: &Clock) -> Self {
        let SharedStore { database, leases, replica } = shared;
        let configured = Arc::<ArcSwap<BTreeSet<String>>>::default();
        let store = PostgresStore::new(database.apart(), leases.clone(), replica, Handle::current());
        let mut keeper = with_retention(Keeper::of(Box::new(store)), config, clock);
        let projects = configured.clone();
        keeper.set_in_use(move |account| {
            account.rsplit_once('/').is_some_and(|(project, _)| projects.load().contains(project))
        });
        Self::Shared(Shared { keeper: SharedKeeper::new(keeper), leases, configured })
    }

    /// These accounts, in their order. Blocks.
    ///
    /// # Errors
    /// If what is kept of one cannot be understood, or is another project's.
    pub(super) fn accounts(&self, wanted: Vec<Wanted>) -> anyhow::Result<Vec<OpenedAccount>> {
        match self {
            Self::Memory(saved) => wanted.into_iter().map(|wanted| in_memory(saved, wanted)).collect(),
            Self::Kept(keeper) | Self::Shared(Shared { keeper, .. }) => {
                Ok(keeper.read(|keeper| keeper.accounts(wanted))?)
            }
        }
    }

    /// Keeps these from now on, and no longer those with these names.
    pub(super) fn switch(&self, kept: Vec<OpenedAccount>, released: Vec<String>) {
        let Some(keeper) = self.keeper() else { return };
        for name in released {
            keeper.release(name);
        }
        for opened in kept {
            keeper.keep(opened);
        }
    }

    /// These projects are configured, whoever watches them.
    pub(super) fn set_configured(&self, projects: BTreeSet<String>) {
        if let Self::Shared(shared) = self {
            shared.configured.store(Arc::new(projects));
        }
    }

    pub(super) fn keeper(&self) -> Option<&SharedKeeper> {
        match self {
            Self::Memory(_) => None,
            Self::Kept(keeper) | Self::Shared(Shared { keeper, .. }) => Some(keeper),
        }
    }

    /// The leases without which no project is watched, where replicas share the store.
    pub(super) fn leases(&self) -> Option<&Leases> {
        match self {
            Self::Shared(shared) => Some(&shared.leases),
            Self::Memory(_) | Self::Kept(_) => None,
        }
    }
}

fn in_memory(saved: &BTreeMap<String, Saved>, wanted: Wanted) -> anyhow::Result<OpenedAccount> {
    let Wanted { name, settings, opener, earlier } = wanted;
    if let Some(earlier) = earlier {
        return Ok(earlier.claimed_by(opener)?);
    }
    let account = match saved.get(&name) {
        Some(saved) => Account::restore(settings, saved)?,
        None => Account::new(settings),
    };
    Ok(OpenedAccount::in_memory(name, account, opener)?)
}

fn with_retention(mut keeper: Keeper, config: &StateConfig, clock: &Clock) -> Keeper {
    if let Some(retention) = config.retention {
        keeper.set_retention(retention, clock.clone());
    }
    keeper
}
