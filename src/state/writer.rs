//! Writing with a deadline: a disk that hangs holds up one write, and nobody who waits for it.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout_at},
};

use super::{Error, Keeper, OpenedAccount, Place, Turn, keeper::Written};

/// How long a write is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// The keeper, shared with whoever opens further accounts in it.
#[derive(Clone)]
pub struct SharedKeeper(Arc<Shared>);

struct Shared {
    place: Place,
    /// `None` once it was closed. Locked while something is read or written.
    keeper: Mutex<Option<Keeper>>,
    /// What is to be kept or released before the next write.
    pending: Mutex<Vec<Pending>>,
}

enum Pending {
    Keep(OpenedAccount),
    Release(String),
}

impl SharedKeeper {
    /// Shares it.
    #[must_use]
    pub fn new(keeper: Keeper) -> Self {
        let place = keeper.place();
        Self(Arc::new(Shared { place, keeper: Mutex::new(Some(keeper)), pending: Mutex::default() }))
    }

    /// Reads something in it. Waits for a write that is under way.
    ///
    /// # Errors
    /// That of `read`, or that it is closed, or that the disk does not answer in time.
    pub fn read<T>(&self, read: impl FnOnce(&Keeper) -> Result<T, Error>) -> Result<T, Error> {
        let silent = || Error::Silent { place: self.0.place.clone(), waited: DEADLINE };
        let mut keeper = self.0.keeper.try_lock_for(DEADLINE).ok_or_else(silent)?;
        match keeper.as_mut() {
            Some(keeper) => {
                self.settle(keeper);
                read(keeper)
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

    /// How large the state is, in bytes, where that is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.0.keeper.try_lock()?.as_ref()?.size()
    }

    /// Whether the last write failed, and what changed since was not written.
    fn is_behind(&self) -> bool {
        self.0.keeper.try_lock().is_none_or(|keeper| keeper.as_ref().is_none_or(Keeper::is_behind))
    }

    fn settle(&self, keeper: &mut Keeper) {
        for pending in std::mem::take(&mut *self.0.pending.lock()) {
            match pending {
                Pending::Keep(opened) => keeper.keep(opened),
                Pending::Release(name) => keeper.release(&name),
            }
        }
    }

    fn write(&self, turn: Turn) -> Result<Option<Written>, Error> {
        let mut shared = self.0.keeper.lock();
        if let Some(keeper) = shared.as_mut() {
            self.settle(keeper);
        }
        match turn {
            Turn::Ordinary => shared.as_mut().map_or(Ok(None), |keeper| keeper.save(turn)),
            Turn::Last => shared.take().map_or(Ok(None), |mut keeper| keeper.save(turn)),
        }
    }
}

/// Writes the accounts that are kept, one write at a time, each on a thread of its own.
pub struct Writer {
    kept: SharedKeeper,
    under_way: Option<Write>,
}

/// A write that is under way. Its result tells whether there was something to write.
struct Write {
    begun: Instant,
    /// How many deadlines have passed.
    overdue: u32,
    task: JoinHandle<Result<Option<Written>, Error>>,
}

impl Writer {
    /// A writer of this keeper.
    #[must_use]
    pub fn new(kept: SharedKeeper) -> Self {
        Self { kept, under_way: None }
    }

    /// Writes what changed, and returns the size of the state if something was written. If the disk does not answer
    /// in time, that is an error each time another deadline has passed; the write goes on, and until it is done
    /// nobody waits for it and no other one begins.
    ///
    /// # Errors
    /// If it could not be written, or not in time; nothing is lost as long as the process lives.
    pub async fn write(&mut self) -> Result<Option<Written>, Error> {
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

    /// Writes what changed for the last time, and closes the store.
    ///
    /// # Errors
    /// If it could not be written, or not until then.
    pub async fn close(&mut self, until: Instant) -> Result<Option<Written>, Error> {
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
    async fn finish(&mut self, until: Option<Instant>) -> Result<Option<Written>, Error> {
        let Some(write) = &mut self.under_way else { return Ok(None) };
        let limit = until.unwrap_or(write.begun + DEADLINE);
        let Ok(done) = timeout_at(limit, &mut write.task).await else {
            return write.late(until.is_some(), &self.kept.0.place);
        };
        self.under_way = None;
        done.unwrap_or_else(|panicked| Err(Error::panicked(self.kept.0.place.clone(), panicked)))
    }
}

impl Write {
    fn late(&mut self, last: bool, place: &Place) -> Result<Option<Written>, Error> {
        let waited = self.begun.elapsed();
        let overdue = waited.as_secs() / DEADLINE.as_secs();
        let overdue = u32::try_from(overdue).unwrap_or(u32::MAX);
        if !last && overdue == self.overdue {
            return Ok(None);
        }
        self.overdue = overdue;
        Err(Error::Silent { place: place.clone(), waited })
    }
}
