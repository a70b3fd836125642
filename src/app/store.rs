//! Where accounts come from, and where they are kept.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use parking_lot::Mutex;

use crate::{
    account::{Account, Damaged, Saved, Settings},
    clock::Clock,
    config::StateConfig,
    model::Api,
    project::{Project, StreamKey},
    state::{self, Claim, OpenedAccount, SharedStateFile, StateFile},
};

/// Where accounts come from, and where they are kept.
#[derive(Clone)]
pub enum Store {
    /// Nowhere; these are gone on with.
    Memory(Arc<BTreeMap<StreamKey, Saved>>),
    /// In a state file.
    File(SharedStateFile),
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
        Ok(match config.path.as_deref() {
            Some(path) => Self::File(SharedStateFile::new(Self::file_at(path, config, clock)?)),
            None => Self::empty(),
        })
    }

    fn file_at(path: &Path, config: &StateConfig, clock: &Clock) -> Result<StateFile, state::Error> {
        let mut file = StateFile::open(path)?;
        if let Some(retention) = config.retention {
            file.set_retention(retention, clock.clone());
        }
        Ok(file)
    }

    /// The account of a project in an API, which goes on with `earlier` if that is there. Blocks.
    ///
    /// # Errors
    /// If what is kept cannot be understood, or is another project's.
    pub(super) fn account(
        &self,
        project: &Project,
        api: Api,
        earlier: Option<&OpenedAccount>,
    ) -> anyhow::Result<OpenedAccount> {
        let (key, opener) = (project.key(api), project.opener(api));
        let settings = project.config.account_of(api);
        match (self, earlier) {
            (Self::Memory(_), Some(earlier)) => Ok(earlier.claimed_by(opener)?),
            (Self::Memory(saved), None) => {
                let account = Arc::new(Mutex::new(restored(saved.get(&key), settings)?));
                let claim = Arc::new(Claim::in_memory(opener)?);
                Ok(OpenedAccount { name: key.to_string(), account, claim })
            }
            (Self::File(file), earlier) => Ok(file.read(|file| match earlier {
                Some(earlier) => file.claim_again(earlier, opener),
                None => file.account(&key.to_string(), settings, opener),
            })?),
        }
    }

    /// Keeps these from now on, and no longer those with these names.
    pub(super) fn switch(&self, kept: Vec<OpenedAccount>, released: Vec<String>) {
        let Self::File(file) = self else { return };
        for name in released {
            file.release(name);
        }
        for opened in kept {
            file.keep(opened);
        }
    }

    pub(super) fn file(&self) -> Option<&SharedStateFile> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

fn restored(saved: Option<&Saved>, settings: Settings) -> Result<Account, Damaged> {
    match saved {
        Some(saved) => Account::restore(settings, saved),
        None => Ok(Account::new(settings)),
    }
}
