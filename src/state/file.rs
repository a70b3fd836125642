//! The accounts that a store keeps.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use parking_lot::Mutex;

use super::{
    Claim, Error, Opener, Standing, Store,
    identity::{Identity, Recognition, recognise},
};
use crate::{
    account::{Account, Changes, Settings},
    clock::Clock,
};

/// From one look for rows that nobody needs to the next.
const TIDIED_EVERY: Duration = Duration::from_hours(1);
/// From a failure to the next try.
const RETRY: Duration = Duration::from_secs(10);

/// A store, and the accounts that it keeps.
pub struct StateFile {
    pub(super) store: Store,
    accounts: Vec<Entry>,
    failed: Option<Instant>,
    /// How long the rows of an account are kept that nobody opens, and the clock for that.
    retention: Option<(SignedDuration, Clock)>,
    opened: Instant,
    /// When it was last looked for such rows, unless accounts came or went since.
    tidied: Option<Instant>,
}

/// Whether a write is followed by others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Ordinary,
    /// The exporter stops after it.
    Last,
}

/// An account and the claim to it. Nothing of the account is written before the claim is verified.
#[derive(Clone)]
pub struct OpenedAccount {
    /// Its name in the file.
    pub name: String,
    /// The account.
    pub account: Arc<Mutex<Account>>,
    /// The claim of whoever opened it.
    pub claim: Arc<Claim>,
}

impl OpenedAccount {
    /// The same account, claimed by another opener than the one whose claim is verified.
    ///
    /// # Errors
    /// If it is of another API.
    pub fn claimed_by(&self, opener: Opener) -> Result<Self, Error> {
        let claim = self.claim.again(Some(&self.claim.identity()), &self.account.lock(), opener)?;
        Ok(Self { claim: Arc::new(claim), ..self.clone() })
    }
}

struct Entry {
    opened: OpenedAccount,
    /// The watermarks as they were last written.
    watermarks: Vec<u8>,
    /// Once it is written for the last time, it is no longer kept.
    released: bool,
}

impl StateFile {
    /// Opens the state file at `path`, or begins a new one.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (store, opened) = (Store::open(path)?, Instant::now());
        Ok(Self { store, accounts: Vec::new(), failed: None, retention: None, opened, tidied: None })
    }

    /// From now on the rows of an account that nobody opens are removed after this time. It begins when that is first
    /// noticed.
    pub fn set_retention(&mut self, retention: SignedDuration, clock: Clock) {
        self.retention = Some((retention, clock));
    }

    /// The account that the file has under this name, or a new one, and the claim of `opener` to it.
    ///
    /// # Errors
    /// If what is kept cannot be understood, or is of another API.
    pub fn account(&self, name: &str, settings: Settings, opener: Opener) -> Result<OpenedAccount, Error> {
        if let Some(entry) = self.entry(name) {
            entry.opened.account.lock().configure(settings);
            return self.claim_again(&entry.opened, opener);
        }
        let kept = self.store.identity(name)?;
        let mut account = self.store.account(name, settings.clone())?;
        let recognition = recognise(kept.as_ref(), &account, &opener);
        if recognition == Recognition::New {
            // When somebody else began to watch an empty project says nothing about this one.
            account = super::new_account(settings);
        }
        let claim = Claim::new(Some(&self.store.path), opener, kept.as_ref(), recognition)?;
        Ok(OpenedAccount {
            name: name.into(),
            account: Arc::new(Mutex::new(account)),
            claim: Arc::new(claim),
        })
    }

    /// The same account, claimed by another opener.
    ///
    /// # Errors
    /// If it is of another API.
    pub fn claim_again(&self, earlier: &OpenedAccount, opener: Opener) -> Result<OpenedAccount, Error> {
        match earlier.claim.standing() {
            Standing::Verified => earlier.claimed_by(opener),
            // What the earlier opener claimed was not confirmed.
            Standing::Unverified => {
                let kept = self.store.identity(&earlier.name)?;
                let claim = Arc::new(earlier.claim.again(kept.as_ref(), &earlier.account.lock(), opener)?);
                Ok(OpenedAccount { claim, ..earlier.clone() })
            }
        }
    }

    /// Keeps an account from now on, instead of one with the same name.
    pub fn keep(&mut self, opened: OpenedAccount) {
        self.tidied = None;
        match self.accounts.iter_mut().find(|entry| entry.opened.name == opened.name) {
            Some(entry) => (entry.opened, entry.released) = (opened, false),
            None => self.accounts.push(Entry { opened, watermarks: Vec::new(), released: false }),
        }
    }

    /// Writes what changed of an account one more time, and keeps it no longer. Its rows stay for the retention.
    pub fn release(&mut self, name: &str) {
        self.tidied = None;
        if let Some(entry) = self.accounts.iter_mut().find(|entry| entry.opened.name == name) {
            entry.released = true;
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.accounts.iter().find(|entry| entry.opened.name == name)
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
        self.accounts.iter().all(|entry| entry.opened.account.lock().ledger.watch_start().is_some())
    }

    /// Whether the last write failed.
    pub(super) fn is_behind(&self) -> bool {
        self.failed.is_some()
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
        let written = self.write_news()?;
        self.accounts.retain(|entry| !entry.released);
        let tidied = self.tidy(turn)?;
        self.failed = None;
        Ok((written || tidied).then(|| self.store.size()).flatten())
    }

    /// Whether there was something to write.
    fn write_news(&mut self) -> Result<bool, Error> {
        let news: Vec<_> = self.accounts.iter_mut().filter_map(Entry::take_news).collect();
        if news.is_empty() {
            return Ok(false);
        }
        let name = |news: &News<'_>| news.entry.opened.name.clone();
        let names: Vec<_> = news.iter().map(name).collect();
        let changes: Vec<_> = names.iter().map(String::as_str).zip(news.iter().map(|n| &n.changes)).collect();
        let identities: Vec<_> = news.iter().filter_map(News::identity).collect();
        if let Err(error) = self.store.write_with(&changes, &identities) {
            news.iter().for_each(News::give_back);
            self.failed = Some(Instant::now());
            return Err(error);
        }
        for news in news {
            news.entry.watermarks = news.changes.watermarks;
        }
        Ok(true)
    }

    /// Removes the rows of accounts that nobody opened for the retention, now and then. A clock may be wrong until the
    /// machine has asked for the time: nothing is removed in the first hour.
    fn tidy(&mut self, turn: Turn) -> Result<bool, Error> {
        let Some((retention, clock)) = &self.retention else { return Ok(false) };
        if turn == Turn::Last || self.tidied.is_some_and(|at| at.elapsed() < TIDIED_EVERY) {
            return Ok(false);
        }
        let (now, retention) = (clock.wall(), *retention);
        let least =
            (self.opened.elapsed() >= TIDIED_EVERY).then(|| now.saturating_sub(retention).ok()).flatten();
        let is_kept = |name: &str| self.accounts.iter().any(|entry| entry.opened.name == name);
        let tidied = self.store.tidy(is_kept, now, least)?;
        self.tidied = Some(Instant::now());
        Ok(tidied)
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
        if self.opened.claim.standing() == Standing::Unverified {
            return None;
        }
        let (changes, identity) =
            (self.opened.account.lock().take_changes(), self.opened.claim.take_unwritten());
        let is_news = !changes.is_empty() || changes.watermarks != self.watermarks || identity.is_some();
        is_news.then_some(News { entry: self, changes, identity })
    }
}

impl News<'_> {
    fn identity(&self) -> Option<(&str, Identity)> {
        Some((self.entry.opened.name.as_str(), self.identity.clone()?))
    }

    fn give_back(&self) {
        self.entry.opened.account.lock().give_back(&self.changes);
        if self.identity.is_some() {
            self.entry.opened.claim.give_back();
        }
    }
}
