//! A sweep, in beats: what every source does in the same way.
//!
//! A sweep begins with a look around and asks everyone who is due. What does not fit into an interval goes on in
//! the next **beat**: another look around, and a new plan over all that is due by then, so that news does not
//! wait for the end of a long sweep. The sweep is done when everyone who was due at its beginning was asked.

use std::{collections::HashSet, hash::Hash, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::Instant;

use super::{
    Progress, Pulse,
    queue::{Load, Queue},
};
use crate::kapso::{Error, Reason};

/// Requests that wait for their answers at the same time.
const CONCURRENCY: usize = 8;
/// After so many failures in a row, each with its retries, the rest of a sweep is left for the next one.
const GIVE_UP_AFTER: usize = 10;

/// Ends a sweep before everyone was asked.
pub struct Stop;

/// What a source walks over.
pub trait Territory: Sync {
    /// Something to ask about.
    type Task: Send;
    /// What tells one task from another.
    type Key: Clone + Eq + Hash + Send;

    /// Which task it is.
    fn key(task: &Self::Task) -> Self::Key;
    /// What tells that the walk is alive.
    fn pulse(&self) -> &Pulse;
    /// From one beat to the next.
    fn interval(&self) -> Duration;
    /// Finds out what there is and what moved; at the beginning of a sweep, or while it goes on.
    fn look_around(
        &mut self,
        begins: bool,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<(), Stop>> + Send;
    /// What is due now; at the beginning of a sweep also what becomes due within an interval, since it would
    /// otherwise wait for the next one.
    fn plan(&self, begins: bool) -> (Queue<Self::Task>, Load);
    /// How much that is.
    fn load(&self) -> Load;
    /// Whether all that there is was found.
    fn is_discovered(&self) -> bool;
    /// Asks. Returns whether there is nothing more to ask about it.
    fn ask(&self, task: Self::Task) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Takes note that everything was learned.
    fn note_complete(&self);
    /// Tidies up after a beat, and counts.
    fn settle(&self, progress: &mut Progress);
}

/// Asks for everything that may have changed. Tells the load at the beginning and at the end of each beat.
pub async fn sweep<T: Territory>(territory: &mut T, mut tell: impl FnMut(&Load) + Send) -> Progress {
    let mut progress = Progress::default();
    let mut pending = None;
    loop {
        let result = beat(territory, &mut progress, &mut pending, &mut tell).await;
        territory.settle(&mut progress);
        let done = territory.is_discovered() && pending.as_ref().is_none_or(HashSet::is_empty);
        if result.is_ok() && done && progress.is_complete() {
            territory.note_complete();
        }
        if result.is_err() || done {
            return progress;
        }
    }
}

async fn beat<T: Territory>(
    territory: &mut T,
    progress: &mut Progress,
    pending: &mut Option<HashSet<T::Key>>,
    tell: &mut (impl FnMut(&Load) + Send),
) -> Result<(), Stop> {
    let begins = pending.is_none();
    territory.look_around(begins, progress).await?;
    let (mut queue, load) = territory.plan(begins);
    tell(&load);
    let due: HashSet<_> = queue.iter().map(T::key).collect();
    let pending = pending.get_or_insert_with(|| {
        progress.due = due.len();
        due.clone()
    });
    // Whoever is no longer due needs not be waited for.
    pending.retain(|key| due.contains(key));
    let result = ask(territory, &mut queue, pending, progress).await;
    tell(&territory.load());
    result
}

/// Asks one after the other, several at a time, until the beat is over or everyone was asked who is pending: whoever
/// became due meanwhile has a place in the next sweep.
async fn ask<T: Territory>(
    territory: &T,
    queue: &mut Queue<T::Task>,
    pending: &mut HashSet<T::Key>,
    progress: &mut Progress,
) -> Result<(), Stop> {
    let end = Instant::now() + territory.interval();
    let mut awaited = pending.clone();
    let goes_on = !territory.is_discovered();
    let next = std::iter::from_fn(|| {
        let task =
            (Instant::now() < end && (goes_on || !awaited.is_empty())).then(|| queue.pop()).flatten()?;
        awaited.remove(&T::key(&task));
        Some(task)
    });
    let asked = |task| {
        let key = T::key(&task);
        territory.ask(task).map(|answer| (key, answer)).boxed()
    };
    let mut answers = stream::iter(next).map(asked).buffer_unordered(CONCURRENCY);
    let mut failed_in_a_row = 0;
    while let Some((key, answer)) = answers.next().await {
        territory.pulse().beat();
        match answer {
            Ok(done) => {
                failed_in_a_row = 0;
                if done {
                    pending.remove(&key);
                    progress.listed += 1;
                }
            }
            Err(error) => {
                pending.remove(&key);
                progress.failed += 1;
                failed_in_a_row += 1;
                let hopeless = is_hopeless(&error);
                progress.note(error);
                if hopeless || failed_in_a_row >= GIVE_UP_AFTER {
                    return Err(Stop);
                }
            }
        }
    }
    Ok(())
}

/// Whether every other request would fail in the same way: the key is refused, or the exporter is stopping.
pub fn is_hopeless(error: &Error) -> bool {
    matches!(error.reason(), None | Some(Reason::Unauthorized))
}
