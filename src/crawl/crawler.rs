//! A sweep, in passes: what every source does in the same way.
//!
//! A sweep begins with discovery and asks everyone who is due. What does not fit into an interval goes on in
//! the next **pass**: another discovery, and a new plan over all that is due by then, so that news does not
//! wait for the end of a long sweep. The last few of a sweep are not worth another discovery: their pass may be a
//! quarter longer. The sweep is done when everyone who was due at its beginning was asked.
//!
//! Nobody holds up others. What is being asked goes on from one pass, and from one sweep, to the next: a long list
//! is read beside the short ones. A request that has waited for its answer for long takes no place from others.
//! Where discovery fails, what is known is asked all the same. A list that fails while others do not is asked less often.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use futures_util::future::BoxFuture;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    Heartbeat, OnBacklog, Progress, Sweep,
    queue::{Backlog, Queue},
    source::{Crawl, Discovered, Pass, Stop, is_hopeless},
};
use crate::{frontier::Failed, kapso::Error};

/// Tasks that are under way at the same time, whatever hangs.
const MOST: usize = 64;
/// If discovery failed, too, the rest of a sweep is left for the next one after so many failures and no
/// success: the API is down.
const GIVE_UP_AFTER: usize = 10;

/// Sweeps what a source crawls.
pub struct Crawler<T: Crawl> {
    crawl: T,
    under_way: JoinSet<Result<bool, Error>>,
    /// What is under way, and when it was begun.
    keys: HashMap<task::Id, (T::Key, Instant)>,
    /// The last pass asked everyone who was due.
    caught_up: bool,
    /// Turns of the queues so far.
    turn: usize,
}

/// What came of a task.
type Answer<K> = (K, Result<bool, Error>);

/// What came of the tasks of a pass.
struct Outcomes<K> {
    successes: usize,
    failed: Vec<K>,
}

impl<T: Crawl> Crawler<T> {
    /// One that has not begun.
    pub fn new(crawl: T) -> Self {
        Self { crawl, under_way: JoinSet::new(), keys: HashMap::new(), caught_up: false, turn: 0 }
    }

    async fn sweep_all(&mut self, on_event: &mut OnBacklog<'_>) -> Progress {
        let mut progress = Progress::default();
        let mut pending = None;
        loop {
            let discovered = self.pass(&mut progress, &mut pending, on_event).await;
            self.crawl.finish_pass(&mut progress);
            let backlog = self.crawl.backlog();
            on_event(&backlog, self.is_well(&progress, &backlog));
            let Ok(discovered) = discovered else { return progress };
            // What cannot be found now is looked for by the next sweep.
            let is_found = self.crawl.is_discovered() || discovered == Discovered::Badly;
            if is_found && pending.as_ref().is_none_or(HashSet::is_empty) {
                // A list that keeps failing makes what is known of the others no older.
                if discovered == Discovered::Well && (progress.failed == 0 || progress.listed > 0) {
                    self.crawl.note_complete();
                }
                return progress;
            }
        }
    }

    fn is_well(&self, progress: &Progress, backlog: &Backlog) -> bool {
        progress.is_complete() && backlog.failing == 0 && backlog.lateness <= self.crawl.longest_lateness()
    }

    async fn pass(
        &mut self,
        progress: &mut Progress,
        pending: &mut Option<HashSet<T::Key>>,
        on_event: &mut OnBacklog<'_>,
    ) -> Result<Discovered, Stop> {
        // A sweep that waits for a single list discovers as one that begins.
        let pass = if pending.is_none() || self.caught_up { Pass::First } else { Pass::Next };
        let discovered = self.crawl.discover_all(pass, progress).await?;
        let (mut queue, backlog) = self.crawl.plan(pass);
        let under_way: HashSet<_> = self.keys.values().map(|(key, _)| key.clone()).collect();
        queue.go_on_after(self.turn);
        queue.retain(|task| !under_way.contains(&T::key(task)));
        on_event(&backlog, self.is_well(progress, &backlog));
        let due: HashSet<_> = queue.iter().map(T::key).chain(under_way).collect();
        let pending = pending.get_or_insert_with(|| {
            progress.due = due.len();
            due.clone()
        });
        // Whoever is no longer due needs not be waited for.
        pending.retain(|key| due.contains(key));
        let mut outcomes = Outcomes { successes: 0, failed: Vec::new() };
        let result = self.fetch(&mut queue, pending, progress, discovered, &mut outcomes).await;
        (self.caught_up, self.turn) = (queue.is_empty(), queue.turn());
        let failed = if outcomes.successes > 0 { Failed::Alone } else { Failed::WithAll };
        for key in &outcomes.failed {
            self.crawl.note_failure(key, failed);
        }
        result.map(|()| discovered)
    }

    /// Asks one after the other, several at a time, until the pass is over or everyone was asked who is pending.
    async fn fetch(
        &mut self,
        queue: &mut Queue<T::Task>,
        pending: &mut HashSet<T::Key>,
        progress: &mut Progress,
        discovered: Discovered,
        outcomes: &mut Outcomes<T::Key>,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        let end = begun + self.crawl.interval();
        let late_end = end + self.crawl.interval() / 4;
        let goes_on = !self.crawl.is_discovered();
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
                () = self.crawl.client().hanging().grew() => continue,
            };
            let Some((key, answer)) = answer.and_then(|answer| self.end(answer)) else { continue };
            self.crawl.heartbeat().beat();
            take(key, answer, pending, progress, outcomes)?;
            if discovered == Discovered::Badly
                && outcomes.successes == 0
                && outcomes.failed.len() >= GIVE_UP_AFTER
            {
                return Err(Stop);
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    /// Whether so few are left of the sweep that it is not worth another discovery.
    fn is_nearly_done(&self, pending: &HashSet<T::Key>) -> bool {
        pending.len() <= self.crawl.concurrency()
            && self.crawl.client().hanging().count() < self.under_way.len()
    }

    /// Whether one more task may begin in a pass that began then.
    fn has_a_place(&self, begun: Instant) -> bool {
        let hanging = self.crawl.client().hanging().count();
        let of_this_beat = self.keys.values().filter(|(_, at)| *at >= begun).count();
        of_this_beat < self.crawl.places() + hanging
            && self.under_way.len() < (self.crawl.concurrency() + hanging).min(MOST)
    }

    fn begin(&mut self, task: T::Task) {
        let key = T::key(&task);
        let id = self.under_way.spawn(self.crawl.fetch(task)).id();
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

impl<T: Crawl + Send + 'static> Sweep for Crawler<T> {
    fn heartbeat(&self) -> Heartbeat {
        self.crawl.heartbeat().clone()
    }

    fn sweep<'a>(&'a mut self, on_event: &'a mut OnBacklog<'_>) -> BoxFuture<'a, Progress> {
        Box::pin(self.sweep_all(on_event))
    }

    fn reset(&mut self) {
        (self.under_way, self.keys) = (JoinSet::new(), HashMap::new());
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
