//! What a source has to say for itself, so that it can be swept.

use std::{hash::Hash, time::Duration};

use futures_util::future::BoxFuture;

use super::{
    Heartbeat, Progress,
    queue::{Backlog, Queue},
};
use crate::{
    frontier::Failed,
    kapso::{Client, Error, Reason},
};

/// Tasks that are under way at the same time where the API answers soon, those aside that hang. The API has fewer
/// of them to answer: most wait for the budget, or to be tried again.
const CONCURRENCY: usize = 8;

/// Ends a sweep before everyone was asked.
pub struct Stop;

/// A pass's place in its sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The one with which a sweep begins, or one after all who were due were asked.
    First,
    /// A later one, while others wait.
    Next,
}

/// What a source crawls.
pub trait Crawl: Sync {
    /// Something to ask about.
    type Task: Send + 'static;
    /// What tells one task from another.
    type Key: Clone + Eq + Hash + Send + 'static;

    /// Which task it is.
    fn key(task: &Self::Task) -> Self::Key;
    /// What tells that the crawl is alive.
    fn heartbeat(&self) -> &Heartbeat;
    /// What asks.
    fn client(&self) -> &Client;
    /// How many tasks may be under way at the same time, those aside that hang: as the API's latency demands.
    fn concurrency(&self) -> usize {
        self.client().at_once(CONCURRENCY)
    }
    /// How many tasks of a pass may be.
    fn places(&self) -> usize {
        self.concurrency()
    }
    /// From one pass to the next.
    fn interval(&self) -> Duration;
    /// By how many seconds the most overdue list may be late before the numbers are not up to date.
    fn longest_lateness(&self) -> f64;
    /// Finds out what there is and what moved. What fails is noted, and whether anything did is returned.
    fn discover_all(
        &mut self,
        pass: Pass,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<Discovered, Stop>> + Send;
    /// What is due now; at the beginning of a sweep also what becomes due within an interval, since it would
    /// otherwise wait for the next one.
    fn plan(&self, pass: Pass) -> (Queue<Self::Task>, Backlog);
    /// How much that is.
    fn backlog(&self) -> Backlog;
    /// Whether all that there is was found.
    fn is_discovered(&self) -> bool;
    /// Asks. Returns whether there is nothing more to ask about it.
    fn fetch(&self, task: Self::Task) -> BoxFuture<'static, Result<bool, Error>>;
    /// Takes note that asking failed.
    fn note_failure(&self, key: &Self::Key, failed: Failed);
    /// Takes note that there was nothing more to learn.
    fn note_complete(&self);
    /// Tidies up after a pass, and counts.
    fn finish_pass(&self, progress: &mut Progress);
}

/// How discovery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovered {
    /// Everything could be read.
    Well,
    /// Something could not.
    Badly,
}

/// Whether every other request would fail in the same way: the key is refused, or the exporter is stopping.
pub fn is_hopeless(error: &Error) -> bool {
    matches!(error.reason(), None | Some(Reason::Unauthorized))
}
