//! Writing with a deadline: a disk that hangs holds up one write, and nobody who waits for it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout_at},
};

use super::{Error, OpenedAccount, StateFile, Turn};

/// How long a write is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// The state file, shared with whoever opens further accounts in it.
#[derive(Clone)]
pub struct SharedStateFile(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// `None` once it was closed. Locked while something is read or written.
    file: Mutex<Option<StateFile>>,
    /// What is to be kept or released before the next write.
    pending: Mutex<Vec<Pending>>,
}

enum Pending {
    Keep(OpenedAccount),
    Release(String),
}

impl SharedStateFile {
    /// Shares it.
    #[must_use]
    pub fn new(file: StateFile) -> Self {
        let path = file.path().into();
        Self(Arc::new(Shared { path, file: Mutex::new(Some(file)), pending: Mutex::default() }))
    }

    /// Reads something in it. Waits for a write that is under way.
    ///
    /// # Errors
    /// That of `read`, or that it is closed, or that the disk does not answer in time.
    pub fn read<T>(&self, read: impl FnOnce(&StateFile) -> Result<T, Error>) -> Result<T, Error> {
        let silent = || Error::Silent { path: self.0.path.clone(), waited: DEADLINE };
        let mut file = self.0.file.try_lock_for(DEADLINE).ok_or_else(silent)?;
        match file.as_mut() {
            Some(file) => {
                self.settle(file);
                read(file)
            }
            None => Err(silent()),
        }
    }

    /// Keeps an account from the next write on. Waits for nothing.
    pub fn keep(&self, opened: OpenedAccount) {
        self.0.pending.lock().push(Pending::Keep(opened));
    }

    /// Keeps the account of this name no longer after the next write. Waits for nothing.
    pub fn release(&self, name: String) {
        self.0.pending.lock().push(Pending::Release(name));
    }

    /// How large the file is, in bytes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        std::fs::metadata(&self.0.path).ok().map(|metadata| metadata.len())
    }

    /// Whether the last write failed, and what changed since was not written.
    fn is_behind(&self) -> bool {
        self.0.file.try_lock().is_none_or(|file| file.as_ref().is_none_or(StateFile::is_behind))
    }

    fn settle(&self, file: &mut StateFile) {
        for pending in std::mem::take(&mut *self.0.pending.lock()) {
            match pending {
                Pending::Keep(opened) => file.keep(opened),
                Pending::Release(name) => file.release(&name),
            }
        }
    }

    fn write(&self, turn: Turn) -> Result<Option<u64>, Error> {
        let mut shared = self.0.file.lock();
        if let Some(file) = shared.as_mut() {
            self.settle(file);
        }
        match turn {
            Turn::Ordinary => shared.as_mut().map_or(Ok(None), |file| file.save(turn)),
            Turn::Last => shared.take().map_or(Ok(None), |mut file| file.save(turn)),
        }
    }
}

/// Writes the accounts that are kept, one write at a time, each on a thread of its own.
pub struct Writer {
    kept: SharedStateFile,
    under_way: Option<Write>,
}

/// A write that is under way. Its result is the size of the file, if there was something to write.
struct Write {
    begun: Instant,
    /// How many deadlines have passed.
    overdue: u32,
    task: JoinHandle<Result<Option<u64>, Error>>,
}

impl Writer {
    /// A writer of this file.
    #[must_use]
    pub fn new(kept: SharedStateFile) -> Self {
        Self { kept, under_way: None }
    }

    /// Writes what changed, and returns the size of the file if something was written. If the disk does not answer
    /// in time, that is an error each time another deadline has passed; the write goes on, and until it is done
    /// nobody waits for it and no other one begins.
    ///
    /// # Errors
    /// If it could not be written, or not in time; nothing is lost as long as the process lives.
    pub async fn write(&mut self) -> Result<Option<u64>, Error> {
        let earlier = self.finish(None).await?;
        if self.under_way.is_some() {
            return Ok(None);
        }
        self.begin(Turn::Ordinary);
        Ok(self.finish(None).await?.or(earlier))
    }

    /// Whether something that changed before the last call of [`write`](Self::write) may not be written.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.under_way.is_some() || self.kept.is_behind()
    }

    /// Writes what changed for the last time, and closes the file.
    ///
    /// # Errors
    /// If it could not be written, or not until then.
    pub async fn close(&mut self, until: Instant) -> Result<Option<u64>, Error> {
        let earlier = match self.finish(Some(until)).await {
            // The last write is one more try.
            Err(_) if self.under_way.is_none() => None,
            finished => finished?,
        };
        self.begin(Turn::Last);
        Ok(self.finish(Some(until)).await?.or(earlier))
    }

    fn begin(&mut self, turn: Turn) {
        let kept = self.kept.clone();
        let task = spawn_blocking(move || kept.write(turn));
        self.under_way = Some(Write { begun: Instant::now(), overdue: 0, task });
    }

    /// Waits for the write that is under way, until then or its deadline.
    async fn finish(&mut self, until: Option<Instant>) -> Result<Option<u64>, Error> {
        let Some(write) = &mut self.under_way else { return Ok(None) };
        let limit = until.unwrap_or(write.begun + DEADLINE);
        let Ok(done) = timeout_at(limit, &mut write.task).await else {
            return write.late(until.is_some(), &self.kept.0.path);
        };
        self.under_way = None;
        done.unwrap_or_else(|panicked| Err(Error::panicked(&self.kept.0.path, panicked)))
    }
}

impl Write {
    fn late(&mut self, last: bool, path: &std::path::Path) -> Result<Option<u64>, Error> {
        let waited = self.begun.elapsed();
        let overdue = waited.as_secs() / DEADLINE.as_secs();
        let overdue = u32::try_from(overdue).unwrap_or(u32::MAX);
        if !last && overdue == self.overdue {
            return Ok(None);
        }
        self.overdue = overdue;
        Err(Error::Silent { path: path.into(), waited })
    }
}
