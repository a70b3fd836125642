//! The walk over conversations: discover them, list the executions of those that are due.
//!
//! A sweep begins with a look around (workflows, activity) and asks everyone who is due. What does not fit into
//! an interval goes on in the next **beat**: another look around, and a new plan over all that is due by then,
//! so that news does not wait for the end of a long sweep. The sweep is done when everyone who was due at its
//! beginning was asked.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Progress,
    discovery::Discovery,
    plan::{self, Load, Queue},
};
use crate::{
    execution::{Api, ConversationId},
    kapso::{Budget, Client, Error, Reason},
    ledger::{Ledger, Record},
};

/// Conversations that are listed at the same time.
const CONCURRENCY: usize = 8;
/// After so many failures in a row, each with its retries, the rest of a sweep is left for the next one.
const GIVE_UP_AFTER: usize = 10;

/// What a walk covers.
#[derive(Debug, Clone)]
pub struct Scope {
    /// These conversations only; none = discover them.
    pub only: Vec<ConversationId>,
    /// How long a conversation without activity and without open executions is watched.
    pub max_age: SignedDuration,
    /// From one beat to the next.
    pub interval: Duration,
}

/// A walk over the conversations of one API, into one ledger.
pub struct Conversations {
    client: Arc<Client>,
    ledger: Arc<Mutex<Ledger>>,
    budget: Arc<Budget>,
    scope: Scope,
    /// When this program began to watch, in our clock.
    started: Timestamp,
    discovery: Discovery,
    probed: bool,
}

/// Ends a sweep before everyone was asked.
struct Stop;

impl Conversations {
    /// A walk that began to watch at `started`, in our clock. `budget` is the client's.
    #[must_use]
    pub fn new(
        client: Arc<Client>,
        ledger: Arc<Mutex<Ledger>>,
        budget: Arc<Budget>,
        scope: Scope,
        started: Timestamp,
    ) -> Self {
        Self { client, ledger, budget, scope, started, discovery: Discovery::default(), probed: false }
    }

    /// Asks for everything that may have changed. Tells the load at the beginning and at the end of each beat.
    pub async fn sweep(&mut self, mut tell: impl FnMut(&Load)) -> Progress {
        let mut progress = Progress::default();
        let mut pending = None;
        while self.beat(&mut progress, &mut pending, &mut tell).await.is_ok() {
            let discovered = !self.scope.only.is_empty() || self.discovery.last_round().is_some();
            if discovered && pending.as_ref().is_none_or(HashSet::is_empty) {
                break;
            }
        }
        self.conclude(&mut progress);
        progress
    }

    async fn beat(
        &mut self,
        progress: &mut Progress,
        pending: &mut Option<HashSet<ConversationId>>,
        tell: &mut impl FnMut(&Load),
    ) -> Result<(), Stop> {
        self.look_around(progress).await?;
        let (mut queue, load) = self.plan();
        tell(&load);
        let due: HashSet<_> = queue.iter().cloned().collect();
        let pending = pending.get_or_insert_with(|| {
            progress.due = due.len();
            due.clone()
        });
        // Whoever is no longer due needs not be waited for.
        pending.retain(|id| due.contains(id));
        let result = self.ask(&mut queue, pending, progress).await;
        if queue.is_empty() {
            pending.clear();
        }
        tell(&self.plan().1);
        result
    }

    fn conclude(&self, progress: &mut Progress) {
        let now = self.client.kapso_now();
        let mut ledger = self.ledger.lock();
        ledger.prune(now);
        let watched = |record: &&Record| record.is_watched(now, self.scope.max_age);
        progress.watched = ledger.records().iter().filter(watched).count();
        progress.open = ledger.open_executions();
    }

    async fn look_around(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        if let Err(error) = self.learn_workflows().await {
            let hopeless = is_hopeless(&error);
            progress.note(error);
            if hopeless {
                return Err(Stop);
            }
        }
        let discovered = if self.scope.only.is_empty() { self.discover().await } else { self.probe().await };
        discovered.map_err(|error| {
            progress.absent = self.client.api() == Api::Legacy && error.reason() == Some(Reason::NotFound);
            progress.note(error);
            Stop
        })
    }

    async fn learn_workflows(&self) -> Result<(), Error> {
        let Some(mut pager) = self.client.workflows() else { return Ok(()) };
        while let Some(page) = pager.next().await? {
            self.ledger.lock().learn_workflows(&page);
        }
        Ok(())
    }

    async fn discover(&mut self) -> Result<(), Error> {
        if let Some(since) = self.discovery.recent_since() {
            self.read_recent(since).await?;
        }
        let pages = if self.discovery.last_round().is_some() { 1 } else { self.half_of_a_beat() };
        let result = self.read_round(pages).await;
        if result.is_err() {
            self.discovery.abandon_round();
        }
        result
    }

    async fn read_recent(&mut self, since: Timestamp) -> Result<(), Error> {
        let mut pager = self.client.conversations(Some(since));
        let (mut asked, mut clean) = (None, true);
        while let Some(page) = pager.next().await? {
            asked.get_or_insert(page.as_of);
            clean &= page.bad_items == 0;
            self.ledger.lock().learn_conversations(&page);
        }
        if let Some(asked) = asked {
            self.discovery.recent_read(asked, clean);
        }
        Ok(())
    }

    /// Reads so many pages of the round, or up to its end.
    async fn read_round(&mut self, at_most: usize) -> Result<(), Error> {
        for _ in 0..at_most {
            let round = self.discovery.round(self.client.kapso_now(), self.scope.max_age);
            let mut pager = self.client.conversations(Some(round.active_since)).from(round.place);
            let Some(page) = pager.next().await? else { return Ok(()) };
            let next = pager.place();
            self.ledger.lock().learn_conversations(&page);
            self.discovery.round_read(page.as_of, next);
            if page.last {
                return Ok(());
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn half_of_a_beat(&self) -> usize {
        let per_beat = f64::from(self.budget.status().per_minute) * self.scope.interval.as_secs_f64() / 60.0;
        ((per_beat / 2.0) as usize).max(1)
    }

    /// Where nothing is discovered, one page of conversations tells an API that is absent from conversations
    /// that are.
    async fn probe(&mut self) -> Result<(), Error> {
        if self.client.api() == Api::Legacy && !self.probed {
            self.client.conversations(Some(self.client.kapso_now())).next().await?;
            self.probed = true;
        }
        Ok(())
    }

    fn plan(&self) -> (Queue, Load) {
        let now = self.client.kapso_now();
        let rules = plan::Rules {
            interval: SignedDuration::try_from(self.scope.interval).unwrap_or(SignedDuration::MAX),
            max_age: self.scope.max_age,
            watch_start: self.client.in_kapso_clock(self.started),
            last_round: self.discovery.last_round(),
        };
        let (queue, load) = plan::queue(self.ledger.lock().records(), &rules, now);
        if self.scope.only.is_empty() {
            return (queue, load);
        }
        let queue = Queue::of(self.scope.only.iter().cloned());
        (queue, load)
    }

    /// Asks one after the other, several at a time, until the beat is over or everyone was asked.
    async fn ask(
        &self,
        queue: &mut Queue,
        pending: &mut HashSet<ConversationId>,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let end = Instant::now() + self.scope.interval;
        let next = std::iter::from_fn(|| (Instant::now() < end).then(|| queue.pop()).flatten());
        let mut answers = stream::iter(next).map(|id| self.list(id).boxed()).buffer_unordered(CONCURRENCY);
        let mut failed_in_a_row = 0;
        while let Some((id, answer)) = answers.next().await {
            pending.remove(&id);
            let Err(error) = answer else {
                progress.listed += 1;
                failed_in_a_row = 0;
                continue;
            };
            progress.failed += 1;
            failed_in_a_row += 1;
            let hopeless = is_hopeless(&error);
            progress.note(error);
            if hopeless || failed_in_a_row >= GIVE_UP_AFTER {
                return Err(Stop);
            }
        }
        Ok(())
    }

    async fn list(&self, id: ConversationId) -> (ConversationId, Result<(), Error>) {
        let result = match self.read_list(&id).await {
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                self.forget(&id);
                Ok(())
            }
            result => result,
        };
        (id, result)
    }

    async fn read_list(&self, id: &ConversationId) -> Result<(), Error> {
        let ordered = self.client.api() == Api::Platform;
        let mut listing = self.ledger.lock().open(id, ordered);
        let mut pager = self.client.executions(id);
        while let Some(page) = pager.next().await? {
            let mut ledger = self.ledger.lock();
            ledger.watch_from(self.client.in_kapso_clock(self.started));
            if !ledger.read(&mut listing, &page, self.client.kapso_now()) {
                break;
            }
        }
        self.ledger.lock().close(&listing, self.client.kapso_now());
        Ok(())
    }

    fn forget(&self, id: &ConversationId) {
        let news = self.ledger.lock().forget_conversation(id);
        if news && !self.scope.only.is_empty() {
            tracing::warn!(conversation = %id, "there is no such conversation: check --scrape.conversation");
        } else {
            tracing::debug!(conversation = %id, "the conversation was deleted");
        }
    }
}

/// Whether every other request would fail in the same way: the key is refused, or the exporter is stopping.
fn is_hopeless(error: &Error) -> bool {
    matches!(error.reason(), None | Some(Reason::Unauthorized))
}
