//! The accounts that a store keeps.

mod news;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use parking_lot::Mutex;

use self::news::{Entry, News};
use super::{
    Claim, Error, FileStore, Mark, Opener, Place, Standing, Store,
    identity::{Recognition, recognise},
};
use crate::{
    account::{Account, Settings},
    clock::Clock,
};

/// From one look for rows that nobody needs to the next.
const TIDIED_EVERY: Duration = Duration::from_hours(1);

/// Tells whether an account of this name is still configured.
type OwnedInUse = dyn Fn(&str) -> bool + Send;

/// A store, and the accounts that are kept in it.
pub struct Keeper {
    store: Box<dyn Store>,
    accounts: Vec<Entry>,
    failed: Option<Instant>,
    /// How long the rows of an account are kept that nobody opens, and the clock for that.
    retention: Option<(SignedDuration, Clock)>,
    /// Which accounts are in use, where it is not those that are kept here.
    in_use: Option<Box<OwnedInUse>>,
    opened: Instant,
    /// When it was last looked for such rows, unless accounts came or went since.
    tidied: Option<Instant>,
}

/// Something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How large the state is now, in bytes, where that is known.
    pub size: Option<u64>,
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
    /// How it was found in the store.
    pub(super) mark: Mark,
}

impl OpenedAccount {
    /// An account in memory alone, of whoever began it.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn in_memory(name: String, account: Account, opener: Opener) -> Result<Self, Error> {
        let claim = Arc::new(Claim::in_memory(opener)?);
        Ok(Self { name, account: Arc::new(Mutex::new(account)), claim, mark: Mark::default() })
    }

    /// The same account, claimed by another opener than the one whose claim is verified.
    ///
    /// # Errors
    /// If it is of another API.
    pub fn claimed_by(&self, opener: Opener) -> Result<Self, Error> {
        let claim = self.claim.again(Some(&self.claim.identity()), &self.account.lock(), opener)?;
        Ok(Self { claim: Arc::new(claim), ..self.clone() })
    }
}

impl Keeper {
    /// Keeps accounts in the state file at `path`, or in a new one.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::of(Box::new(FileStore::open(path)?)))
    }

    /// Keeps accounts in this store.
    #[must_use]
    pub fn of(store: Box<dyn Store>) -> Self {
        Self {
            store,
            accounts: Vec::new(),
            failed: None,
            retention: None,
            in_use: None,
            opened: Instant::now(),
            tidied: None,
        }
    }

    /// From now on the rows of an account that nobody opens are removed after this time. It begins when that is first
    /// noticed.
    pub fn set_retention(&mut self, retention: SignedDuration, clock: Clock) {
        self.retention = Some((retention, clock));
    }

    /// From now on an account is unused if this says so, and not if it is not kept here: others may keep it.
    pub fn set_in_use(&mut self, in_use: impl Fn(&str) -> bool + Send + 'static) {
        self.in_use = Some(Box::new(in_use));
    }

    /// The account that the file has under this name, or a new one, and the claim of `opener` to it.
    ///
    /// # Errors
    /// If what is kept cannot be understood, or is of another API.
    pub fn account(&self, name: &str, settings: Settings, opener: Opener) -> Result<OpenedAccount, Error> {
        if let Some(entry) = self.entry(name).filter(|_| !self.store.is_shared()) {
            entry.opened.account.lock().configure(settings);
            return self.claim_again(&entry.opened, opener);
        }
        let kept = self.store.kept(name)?;
        let mut account = match &kept.saved {
            Some(saved) => Account::restore(settings.clone(), saved)
                .map_err(|damaged| Error::damaged(self.place(), damaged))?,
            None => super::new_account(settings.clone()),
        };
        let recognition = recognise(kept.identity.as_ref(), &account, &opener);
        if recognition == Recognition::New {
            // When somebody else began to watch an empty project says nothing about this one.
            account = super::new_account(settings);
        }
        let claim = Claim::new(Some(&self.place()), opener, kept.identity.as_ref(), recognition)?;
        Ok(OpenedAccount {
            name: name.into(),
            account: Arc::new(Mutex::new(account)),
            claim: Arc::new(claim),
            mark: kept.mark,
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
                let kept = self.store.kept(&earlier.name)?.identity;
                let claim = Arc::new(earlier.claim.again(kept.as_ref(), &earlier.account.lock(), opener)?);
                Ok(OpenedAccount { claim, ..earlier.clone() })
            }
        }
    }

    /// Keeps an account from now on, instead of one with the same name.
    pub fn keep(&mut self, opened: OpenedAccount) {
        self.tidied = None;
        match self.accounts.iter_mut().find(|entry| entry.opened.name == opened.name) {
            Some(entry) if Arc::ptr_eq(&entry.opened.account, &opened.account) => {
                (entry.opened, entry.released) = (opened, false);
            }
            Some(entry) => *entry = Entry::new(opened),
            None => self.accounts.push(Entry::new(opened)),
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

    /// Where they are kept.
    #[must_use]
    pub fn place(&self) -> Place {
        self.store.place()
    }

    /// How large the state is, in bytes, where that is known.
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
    pub fn save(&mut self, turn: Turn) -> Result<Option<Written>, Error> {
        let patience = self.store.retry_after();
        if turn == Turn::Ordinary && self.failed.is_some_and(|at| at.elapsed() < patience) {
            return Ok(None);
        }
        let written = self.write_news()?;
        self.accounts.retain(|entry| !entry.released);
        let tidied = self.tidy(turn)?;
        self.failed = None;
        Ok((written || tidied).then(|| Written { size: self.store.size() }))
    }

    /// Whether there was something to write.
    fn write_news(&mut self) -> Result<bool, Error> {
        let news: Vec<_> = self.accounts.iter_mut().filter_map(Entry::take_news).collect();
        if news.is_empty() {
            return Ok(false);
        }
        let writes: Vec<_> = news.iter().map(News::write).collect();
        let fates = match self.store.put(&writes) {
            Ok(fates) => fates,
            Err(error) => {
                news.iter().for_each(News::give_back);
                self.failed = Some(Instant::now());
                return Err(error);
            }
        };
        for (news, fate) in news.into_iter().zip(fates) {
            news.end(fate);
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
        let tidied = match &self.in_use {
            Some(in_use) => self.store.tidy(&**in_use, now, least)?,
            None => self.store.tidy(&is_kept, now, least)?,
        };
        self.tidied = Some(Instant::now());
        Ok(tidied)
    }
}
