//! The accounts that a store keeps.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    Claim, Error, Opener, Standing, Store,
    identity::{Identity, Recognition, recognise},
};
use crate::account::{Account, Changes, Settings};

/// From a failure to the next try.
const RETRY: Duration = Duration::from_secs(10);

/// A store, and the accounts that it keeps.
pub struct StateFile {
    pub(super) store: Store,
    accounts: Vec<Entry>,
    failed: Option<Instant>,
}

/// Whether a write is followed by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Ordinary,
    /// The exporter stops after it.
    Last,
}

struct Entry {
    name: String,
    account: Arc<Mutex<Account>>,
    claim: Arc<Claim>,
    /// The watermarks as they were last written.
    watermarks: Vec<u8>,
}

impl StateFile {
    /// Opens the state file at `path`, or begins a new one.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = Store::open(path)?;
        Ok(Self { store, accounts: Vec::new(), failed: None })
    }

    /// The account that is kept under this name, or a new one, which is kept from now on; and the claim of `opener` to
    /// it. Nothing of the account is written before the claim is verified.
    ///
    /// # Errors
    /// If what is kept cannot be understood, or is of another API.
    pub fn account(
        &mut self,
        name: String,
        settings: Settings,
        opener: Opener,
    ) -> Result<(Arc<Mutex<Account>>, Arc<Claim>), Error> {
        let kept = self.store.identity(&name)?;
        let mut account = self.store.account(&name, settings.clone())?;
        let recognition = recognise(kept.as_ref(), &account, &opener);
        if recognition == Recognition::New {
            // When somebody else began to watch an empty project says nothing about this one.
            account = super::new_account(settings);
        }
        let claim = Arc::new(Claim::new(&self.store.path, opener, kept.as_ref(), recognition)?);
        let account = Arc::new(Mutex::new(account));
        let (watermarks, accounts) = (Vec::new(), (account.clone(), claim.clone()));
        self.accounts.push(Entry { name, account, claim, watermarks });
        Ok(accounts)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// How large the file is, in bytes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.store.size()
    }

    /// Whether every account goes on with what was kept.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.accounts.iter().all(|entry| entry.account.lock().ledger.watch_start().is_some())
    }

    /// Writes what changed. Returns the size of the file if there was something to write. After a failure it is
    /// tried again once some seconds have passed, or at once if this is the last time.
    ///
    /// # Errors
    /// If it could not be written; nothing is lost as long as the process lives.
    pub fn save(&mut self, turn: Turn) -> Result<Option<u64>, Error> {
        if turn == Turn::Ordinary && self.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return Ok(None);
        }
        let news: Vec<_> = self.accounts.iter_mut().filter_map(Entry::take_news).collect();
        if news.is_empty() {
            return Ok(None);
        }
        let changes: Vec<_> = news.iter().map(|news| (news.entry.name.as_str(), &news.changes)).collect();
        let identities: Vec<_> = news.iter().filter_map(News::identity).collect();
        if let Err(error) = self.store.write_with(&changes, &identities) {
            news.iter().for_each(News::give_back);
            self.failed = Some(Instant::now());
            return Err(error);
        }
        for news in news {
            news.entry.watermarks = news.changes.watermarks;
        }
        self.failed = None;
        Ok(self.store.size())
    }
}

/// What the file does not hold yet of an account.
struct News<'a> {
    entry: &'a mut Entry,
    changes: Changes,
    identity: Option<Identity>,
}

impl Entry {
    /// What there is to write. Rows that changed while it is not known whose the account is wait until it is.
    fn take_news(&mut self) -> Option<News<'_>> {
        if self.claim.standing() == Standing::Unverified {
            return None;
        }
        let (changes, identity) = (self.account.lock().take_changes(), self.claim.take_unwritten());
        let is_news = !changes.is_empty() || changes.watermarks != self.watermarks || identity.is_some();
        is_news.then_some(News { entry: self, changes, identity })
    }
}

impl News<'_> {
    fn identity(&self) -> Option<(&str, Identity)> {
        Some((self.entry.name.as_str(), self.identity.clone()?))
    }

    fn give_back(&self) {
        self.entry.account.lock().give_back(&self.changes);
        if self.identity.is_some() {
            self.entry.claim.give_back();
        }
    }
}
