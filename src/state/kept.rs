//! The ledgers that a store keeps.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Error, Store};
use crate::ledger::{Changes, Ledger, Settings};

/// From a failure to the next try.
const RETRY: Duration = Duration::from_secs(10);

/// A store, and the ledgers that it keeps.
pub struct Kept {
    pub(super) store: Store,
    ledgers: Vec<(String, Arc<Mutex<Ledger>>)>,
    /// The marks of each ledger as they were last written.
    marks: Vec<Vec<u8>>,
    failed: Option<Instant>,
}

impl Kept {
    /// Opens the state file at `path`, or begins a new one.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = Store::open(path)?;
        Ok(Self { store, ledgers: Vec::new(), marks: Vec::new(), failed: None })
    }

    /// The ledger that is kept under this name, or a new one, which is kept from now on.
    ///
    /// # Errors
    /// If what is kept cannot be understood.
    pub fn ledger(&mut self, name: String, settings: Settings) -> Result<Arc<Mutex<Ledger>>, Error> {
        let ledger = Arc::new(Mutex::new(self.store.ledger(&name, settings)?));
        self.ledgers.push((name, ledger.clone()));
        self.marks.push(Vec::new());
        Ok(ledger)
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

    /// Whether every ledger goes on with what was kept.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.ledgers.iter().all(|(_, ledger)| ledger.lock().watch_start().is_some())
    }

    /// Writes what changed. Returns the size of the file if there was something to write. After a failure it is
    /// tried again once some seconds have passed, or at once if this is the `last` time.
    ///
    /// # Errors
    /// If it could not be written; nothing is lost as long as the process lives.
    pub fn save(&mut self, last: bool) -> Result<Option<u64>, Error> {
        if !last && self.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return Ok(None);
        }
        let changes: Vec<_> = self.ledgers.iter().map(|(_, ledger)| ledger.lock().take_changes()).collect();
        let is_news = |(changes, marks): (&Changes, &Vec<u8>)| !changes.is_empty() || changes.marks != *marks;
        if !changes.iter().zip(&self.marks).any(is_news) {
            return Ok(None);
        }
        let named = self.ledgers.iter().map(|(name, _)| name.as_str()).zip(&changes);
        if let Err(error) = self.store.write(&named.collect::<Vec<_>>()) {
            for ((_, ledger), changes) in self.ledgers.iter().zip(&changes) {
                ledger.lock().give_back(changes);
            }
            self.failed = Some(Instant::now());
            return Err(error);
        }
        self.marks = changes.into_iter().map(|changes| changes.marks).collect();
        self.failed = None;
        Ok(self.store.size())
    }
}
