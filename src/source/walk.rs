//! A sweep, in beats: what every source does in the same way.
//!
//! A sweep begins with a look around and asks everyone who is due. What does not fit into an interval goes on in
//! the next **beat**: another look around, and a new plan over all that is due by then, so that news does not
//! wait for the end of a long sweep. The last few of a sweep are not worth another look around: their beat may be a
//! quarter longer. The sweep is done when everyone who was due at its beginning was asked.
//!
//! Nobody holds up others. What is being asked goes on from one beat, and from one sweep, to the next: a long list
//! is read beside the short ones. A request that has waited for its answer for long takes no place from others. A look
//! around that fails leaves what is known to be asked. A list that fails while others do not is asked less often.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    Progress, Pulse,
    queue::{Load, Queue},
};
use crate::{
    kapso::{Error, Hanging, Reason},
    ledger::Failed,
};

/// Tasks that are under way at the same time, those aside that hang.
const CONCURRENCY: usize = 8;
/// Tasks that are under way at the same time, whatever hangs.
const MOST: usize = 64;
/// If the look around failed, too, the rest of a sweep is left for the next one after so many failures and no
/// success: the API is down.
const GIVE_UP_AFTER: usize = 10;

/// Ends a sweep before everyone was asked.
pub struct Stop;

/// A beat's place in its sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The one with which a sweep begins, or one after all who were due were asked.
    First,
    /// A later one, while others wait.
    Next,
}

/// What a source walks over.
pub trait Territory: Sync {
    /// Something to ask about.
    type Task: Send + 'static;
    /// What tells one task from another.
    type Key: Clone + Eq + Hash + Send + 'static;

    /// Which task it is.
    fn key(task: &Self::Task) -> Self::Key;
    /// What tells that the walk is alive.
    fn pulse(&self) -> &Pulse;
    /// The requests that hang.
    fn hanging(&self) -> &Hanging;
    /// How many tasks of a beat may be under way at the same time.
    fn places(&self) -> usize {
        CONCURRENCY
    }
    /// From one beat to the next.
    fn interval(&self) -> Duration;
    /// By how many seconds the most overdue list may be late before the numbers are not up to date.
    fn longest_lateness(&self) -> f64;
    /// Finds out what there is and what moved. What fails is noted, and whether anything did is returned.
    fn look_around(
        &mut self,
        beat: Beat,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<Looked, Stop>> + Send;
    /// What is due now; at the beginning of a sweep also what becomes due within an interval, since it would
    /// otherwise wait for the next one.
    fn plan(&self, beat: Beat) -> (Queue<Self::Task>, Load);
    /// How much that is.
    fn load(&self) -> Load;
    /// Whether all that there is was found.
    fn is_discovered(&self) -> bool;
    /// Asks. Returns whether there is nothing more to ask about it.
    fn ask(&self, task: Self::Task) -> BoxFuture<'static, Result<bool, Error>>;
    /// Takes note that asking failed.
    fn note_failure(&self, key: &Self::Key, failed: Failed);
    /// Takes note that there was nothing more to learn.
    fn note_complete(&self);
    /// Tidies up after a beat, and counts.
    fn settle(&self, progress: &mut Progress);
}

/// How a look around went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Everything could be read.
    Well,
    /// Something could not.
    Badly,
}

/// Walks over a territory.
pub struct Walker<T: Territory> {
    territory: T,
    under_way: JoinSet<Result<bool, Error>>,
    /// What is under way, and when it was begun.
    keys: HashMap<task::Id, (T::Key, Instant)>,
    /// The last beat asked everyone who was due.
    caught_up: bool,
    /// Turns of the queues so far.
    turn: usize,
}

/// What came of a task.
type Answer<K> = (K, Result<bool, Error>);

/// What came of the tasks of a beat.
struct Outcomes<K> {
    successes: usize,
    failed: Vec<K>,
}

impl<T: Territory> Walker<T> {
    /// A walk that has not begun.
    pub fn new(territory: T) -> Self {
        Self { territory, under_way: JoinSet::new(), keys: HashMap::new(), caught_up: false, turn: 0 }
    }

    /// What tells that the walk is alive.
    pub fn pulse(&self) -> &Pulse {
        self.territory.pulse()
    }

    /// Drops what is under way.
    pub fn reset(&mut self) {
        (self.under_way, self.keys) = (JoinSet::new(), HashMap::new());
    }

    /// Asks for everything that may have changed. Tells the load at the beginning and at the end of each beat, and
    /// whether all is well so far.
    pub async fn sweep(&mut self, mut tell: impl FnMut(&Load, bool) + Send) -> Progress {
        let mut progress = Progress::default();
        let mut pending = None;
        loop {
            let looked = self.beat(&mut progress, &mut pending, &mut tell).await;
            self.territory.settle(&mut progress);
            let load = self.territory.load();
            tell(&load, self.is_well(&progress, &load));
            let Ok(looked) = looked else { return progress };
            // What cannot be found now is looked for by the next sweep.
            let is_found = self.territory.is_discovered() || looked == Looked::Badly;
            if is_found && pending.as_ref().is_none_or(HashSet::is_empty) {
                // A list that keeps failing makes what is known of the others no older.
                if looked == Looked::Well && (progress.failed == 0 || progress.listed > 0) {
                    self.territory.note_complete();
                }
                return progress;
            }
        }
    }

    fn is_well(&self, progress: &Progress, load: &Load) -> bool {
        progress.is_complete() && load.failing == 0 && load.lateness <= self.territory.longest_lateness()
    }

    async fn beat(
        &mut self,
        progress: &mut Progress,
        pending: &mut Option<HashSet<T::Key>>,
        tell: &mut (impl FnMut(&Load, bool) + Send),
    ) -> Result<Looked, Stop> {
        // A sweep that waits for a single list looks around as one that begins.
        let beat = if pending.is_none() || self.caught_up { Beat::First } else { Beat::Next };
        let looked = self.territory.look_around(beat, progress).await?;
        let (mut queue, load) = self.territory.plan(beat);
        let under_way: HashSet<_> = self.keys.values().map(|(key, _)| key.clone()).collect();
        queue.go_on_after(self.turn);
        queue.retain(|task| !under_way.contains(&T::key(task)));
        tell(&load, self.is_well(progress, &load));
        let due: HashSet<_> = queue.iter().map(T::key).chain(under_way).collect();
        let pending = pending.get_or_insert_with(|| {
            progress.due = due.len();
            due.clone()
        });
        // Whoever is no longer due needs not be waited for.
        pending.retain(|key| due.contains(key));
        let mut outcomes = Outcomes { successes: 0, failed: Vec::new() };
        let result = self.ask(&mut queue, pending, progress, looked, &mut outcomes).await;
        (self.caught_up, self.turn) = (queue.is_empty(), queue.turn());
        let failed = if outcomes.successes > 0 { Failed::Alone } else { Failed::WithAll };
        for key in &outcomes.failed {
            self.territory.note_failure(key, failed);
        }
        result.map(|()| looked)
    }

    /// Asks one after the other, several at a time, until the beat is over or everyone was asked who is pending.
    async fn ask(
        &mut self,
        queue: &mut Queue<T::Task>,
        pending: &mut HashSet<T::Key>,
        progress: &mut Progress,
        looked: Looked,
        outcomes: &mut Outcomes<T::Key>,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        let end = begun + self.territory.interval();
        let late_end = end + self.territory.interval() / 4;
        let goes_on = !self.territory.is_discovered();
        loop {
            while self.has_a_place(begun)
                && let Some(task) = queue.pop()
            {
                self.begin(task);
            }
            if self.under_way.is_empty() || (pending.is_empty() && !goes_on) {
                return Ok(());
            }
            let end = if !goes_on && self.is_nearly_done(pending) { late_end } else { end };
            let answer = tokio::select! {
                biased;
                answer = self.under_way.join_next_with_id() => answer,
                () = sleep_until(end) => return Ok(()),
                () = self.territory.hanging().grew() => continue,
            };
            let Some((key, answer)) = answer.and_then(|answer| self.end(answer)) else { continue };
            self.territory.pulse().beat();
            take(key, answer, pending, progress, outcomes)?;
            if looked == Looked::Badly && outcomes.successes == 0 && outcomes.failed.len() >= GIVE_UP_AFTER {
                return Err(Stop);
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// Whether so few are left of the sweep that it is not worth another look around.
    fn is_nearly_done(&self, pending: &HashSet<T::Key>) -> bool {
        pending.len() <= CONCURRENCY && self.territory.hanging().count() < self.under_way.len()
    }

    /// Whether one more task may begin in a beat that began then.
    fn has_a_place(&self, begun: Instant) -> bool {
        let hanging = self.territory.hanging().count();
        let of_this_beat = self.keys.values().filter(|(_, at)| *at >= begun).count();
        of_this_beat < self.territory.places() + hanging
            && self.under_way.len() < (CONCURRENCY + hanging).min(MOST)
    }

    fn begin(&mut self, task: T::Task) {
        let key = T::key(&task);
        let id = self.under_way.spawn(self.territory.ask(task)).id();
        self.keys.insert(id, (key, Instant::now()));
    }

    /// The key of a task that ended, and what came of it. A panic goes on in whoever sweeps.
    fn end(&mut self, answer: Result<(task::Id, Result<bool, Error>), JoinError>) -> Option<Answer<T::Key>> {
        match answer {
            Ok((id, answer)) => self.keys.remove(&id).map(|(key, _)| (key, answer)),
            Err(error) => {
                self.keys.remove(&error.id());
                error.try_into_panic().map(|panic| std::panic::resume_unwind(panic)).ok()
            }
        }
    }
}

/// Takes note of what came of a task.
fn take<K: Eq + Hash>(
    key: K,
    answer: Result<bool, Error>,
    pending: &mut HashSet<K>,
    progress: &mut Progress,
    outcomes: &mut Outcomes<K>,
) -> Result<(), Stop> {
    match answer {
        Ok(done) => {
            outcomes.successes += 1;
            if done {
                pending.remove(&key);
                progress.listed += 1;
            }
            Ok(())
        }
        Err(error) => {
            pending.remove(&key);
            progress.failed += 1;
            outcomes.failed.push(key);
            let stop = is_hopeless(&error);
            progress.note(error);
            if stop { Err(Stop) } else { Ok(()) }
        }
    }
}

/// Whether every other request would fail in the same way: the key is refused, or the exporter is stopping.
pub fn is_hopeless(error: &Error) -> bool {
    matches!(error.reason(), None | Some(Reason::Unauthorized))
}
