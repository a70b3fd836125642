//! Writing with a deadline: a disk that hangs holds up one write, and nobody who waits for it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout_at},
};

use super::{Error, StateFile, Turn};

/// How long a write is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// Writes the accounts that are kept, one write at a time, each on a thread of its own.
pub struct Writer {
    path: PathBuf,
    /// `None` once it was closed.
    kept: Arc<Mutex<Option<StateFile>>>,
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
    /// A writer of these accounts.
    #[must_use]
    pub fn new(kept: StateFile) -> Self {
        Self { path: kept.path().into(), kept: Arc::new(Mutex::new(Some(kept))), under_way: None }
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
        self.begin(|kept| kept.as_mut().map_or(Ok(None), |kept| kept.save(Turn::Ordinary)));
        Ok(self.finish(None).await?.or(earlier))
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
        self.begin(|kept| kept.take().map_or(Ok(None), |mut kept| kept.save(Turn::Last)));
        Ok(self.finish(Some(until)).await?.or(earlier))
    }

    fn begin(
        &mut self,
        write: impl FnOnce(&mut Option<StateFile>) -> Result<Option<u64>, Error> + Send + 'static,
    ) {
        let kept = self.kept.clone();
        let task = spawn_blocking(move || write(&mut kept.lock()));
        self.under_way = Some(Write { begun: Instant::now(), overdue: 0, task });
    }

    /// Waits for the write that is under way, until then or its deadline.
    async fn finish(&mut self, until: Option<Instant>) -> Result<Option<u64>, Error> {
        let Some(write) = &mut self.under_way else { return Ok(None) };
        let limit = until.unwrap_or(write.begun + DEADLINE);
        let Ok(done) = timeout_at(limit, &mut write.task).await else {
            return write.late(until.is_some(), &self.path);
        };
        self.under_way = None;
        done.unwrap_or_else(|panicked| Err(Error::panicked(&self.path, panicked)))
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
