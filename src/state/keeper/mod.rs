//! The accounts that a store keeps.

mod news;
mod opening;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::SignedDuration;

use self::news::{Entry, News};
pub use self::opening::{OpenedAccount, Wanted};
use super::{Error, FileStore, Place, Store};
use crate::clock::Clock;

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
