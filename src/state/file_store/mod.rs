//! Rows in one file, an embedded database (redb).
//!
//! What changed is written in one transaction, so that the file always holds one moment, whenever the process is
//! killed. A file that is damaged, of another program or of a later version is never overwritten; one that cannot be
//! written while the exporter runs is tried again.

mod rows;
mod transfer;
mod unused;

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, backends::FileBackend};

use self::rows::Namespace;
use super::{
    Error, Fate, InUse, Kept, Mark, Place, Store, Write, error::Cause, identity::Identity, new_account,
};
use crate::account::{Account, Changes, Saved, Settings};

/// From a failure to the next try.
const RETRY: Duration = Duration::from_secs(10);
/// Bytes of the file that are kept in memory.
const CACHE: usize = 8 << 20;

/// A state file.
pub struct FileStore {
    path: PathBuf,
    /// `None` after a failure, until it could be opened again.
    database: Option<Database>,
    /// Counts the transactions: tells whether the file is still the one that was written last.
    generation: u64,
}

impl FileStore {
    /// Opens the file, or begins a new one. The whole of it is checked.
    ///
    /// # Errors
    /// If it cannot be used; then it is left as it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        rows::refuse_what_is_not_ours(path)?;
        let database = guarded(path, || create(path))?;
        let generation = guarded(path, || rows::begin(&database, path))?;
        Ok(Self { path: path.to_owned(), database: Some(database), generation })
    }

    /// The account that is kept under this name, or a new one. From now on it notes its changes.
    ///
    /// # Errors
    /// If what is kept cannot be understood.
    pub fn account(&self, name: &str, settings: Settings) -> Result<Account, Error> {
        let Some(saved) = guarded(&self.path, || self.read(name))? else {
            return Ok(new_account(settings));
        };
        let restored = Account::restore(settings, &saved);
        restored.map_err(|damaged| Error::damaged(self.place(), damaged))
    }

    fn read(&self, name: &str) -> Result<Option<Saved>, Error> {
        let Some(database) = &self.database else { return Ok(None) };
        let read = || Namespace::of(name).read(&database.begin_read()?);
        read().map_err(|cause: Cause| cause.at(&self.path, "read"))
    }

    /// Whose the account is that is kept under this name, if the file tells.
    fn identity(&self, name: &str) -> Result<Option<Identity>, Error> {
        let Some(database) = &self.database else { return Ok(None) };
        let read = || Namespace::of(name).identity(&database.begin_read()?);
        let read = || read().map_err(|cause: Cause| cause.at(&self.path, "read"));
        let Some(content) = guarded(&self.path, read)? else { return Ok(None) };
        let damaged = |_| Error::Damaged {
            place: self.place(),
            what: format!("the identity of {name} cannot be read"),
        };
        serde_json::from_slice(&content).map(Some).map_err(damaged)
    }

    /// Writes what changed in these accounts, all or nothing.
    ///
    /// # Errors
    /// If it could not be written; the accounts are to be given their changes back.
    pub fn write(&mut self, changes: &[(&str, &Changes)]) -> Result<(), Error> {
        self.write_with(changes, &[])
    }

    /// Writes them, and whose they are.
    fn write_with(
        &mut self,
        changes: &[(&str, &Changes)],
        identities: &[(&str, Identity)],
    ) -> Result<(), Error> {
        let path = self.path.clone();
        let result = guarded(&path, || {
            self.reopen()?;
            let Some(database) = &self.database else { return Err(Error::Replaced(path.clone())) };
            let write = || rows::write(database, self.generation + 1, changes, identities);
            write().map_err(|cause: Cause| cause.at(&path, "write"))
        });
        match result {
            Ok(()) => self.generation += 1,
            // After an error the database refuses everything until it is opened again.
            Err(_) => self.database = None,
        }
        result
    }

    /// Takes note of which accounts are not kept since when, and removes the rows of those that were not for as long
    /// as `least` is ago.
    fn remove_unused(
        &mut self,
        is_kept: impl Fn(&str) -> bool,
        now: Timestamp,
        least: Option<Timestamp>,
    ) -> Result<bool, Error> {
        let Some(database) = &self.database else { return Ok(false) };
        let path = self.path.clone();
        let generation = self.generation + 1;
        let tidied = guarded(&path, || {
            let tidy = || unused::tidy(database, generation, is_kept, now, least);
            tidy().map_err(|cause: Cause| cause.at(&path, "write"))
        });
        match tidied {
            Ok(true) => self.generation = generation,
            Ok(false) => {}
            Err(_) => self.database = None,
        }
        tidied
    }

    /// Opens it again after a failure.
    fn reopen(&mut self) -> Result<(), Error> {
        if self.database.is_some() {
            return Ok(());
        }
        rows::refuse_what_is_not_ours(&self.path)?;
        let database = create(&self.path)?;
        let generation = rows::begin(&database, &self.path)?;
        // A transaction whose end was not reported may have been written all the same.
        if generation != self.generation && generation != self.generation + 1 {
            return Err(Error::Replaced(self.path.clone()));
        }
        self.generation = generation;
        self.database = Some(database);
        Ok(())
    }
}

#[cfg(test)]
impl FileStore {
    /// As after a failure.
    pub(super) fn fail(&mut self) {
        self.database = None;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

impl Store for FileStore {
    fn kept(&self, names: &[&str]) -> Result<Vec<Kept>, Error> {
        let kept = |&name: &&str| {
            let identity = self.identity(name)?;
            Ok(Kept { saved: guarded(&self.path, || self.read(name))?, identity, mark: Mark::default() })
        };
        names.iter().map(kept).collect()
    }

    fn put(&mut self, writes: &[Write<'_>]) -> Result<Vec<Fate>, Error> {
        let changes: Vec<_> = writes.iter().map(|write| (write.name, write.changes)).collect();
        let identities: Vec<_> =
            writes.iter().filter_map(|write| Some((write.name, write.identity.clone()?))).collect();
        self.write_with(&changes, &identities)?;
        Ok(writes.iter().map(|write| Fate::Written(write.mark)).collect())
    }

    fn tidy(&mut self, in_use: &InUse<'_>, now: Timestamp, least: Option<Timestamp>) -> Result<bool, Error> {
        self.remove_unused(in_use, now, least)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn place(&self) -> Place {
        Place::File(self.path.clone())
    }

    fn size(&self) -> Option<u64> {
        fs::metadata(&self.path).ok().map(|metadata| metadata.len())
    }

    fn retry_after(&self) -> Duration {
        RETRY
    }
}

/// A new file is for the user alone: which customers a business has is nobody else's affair.
fn create(path: &Path) -> Result<Database, Error> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    let database = file.map_err(DatabaseError::from).and_then(FileBackend::new);
    let database = database.and_then(|backend| builder.create_with_backend(backend));
    database.map_err(|error| Cause::from(error).at(path, "open"))
}

/// The database promises no more than errors for a file that something else has written to; should it panic all
/// the same, that is one.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let panicked = |_| Err(Error::Damaged { place: path.into(), what: "the database gave up".into() });
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or_else(panicked)
}
