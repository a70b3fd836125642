//! The walk over conversations: discover them, list the executions of those that are due.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{Progress, plan};
use crate::{
    execution::{Api, ConversationId},
    kapso::{Client, Error, Reason},
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
    /// How many requests the budget allows from one sweep's start to the next, as a part of a minute's.
    pub minutes_per_sweep: f64,
}

/// A walk over the conversations of one API, into one ledger.
pub struct Conversations {
    client: Arc<Client>,
    ledger: Arc<Mutex<Ledger>>,
    scope: Scope,
    /// When this program began to watch, in our clock.
    started: Timestamp,
    discovery: plan::Discovery,
    probed: bool,
}

impl Conversations {
    /// A walk that began to watch at `started`, in our clock.
    #[must_use]
    pub fn new(client: Arc<Client>, ledger: Arc<Mutex<Ledger>>, scope: Scope, started: Timestamp) -> Self {
        Self { client, ledger, scope, started, discovery: plan::Discovery::default(), probed: false }
    }

    /// Asks for everything that may have changed; `per_minute` is the budget.
    pub async fn sweep(&mut self, per_minute: u32) -> Progress {
        let mut progress = Progress::default();
        self.walk(plan::background(self.per_sweep(per_minute)), &mut progress).await;
        let now = self.client.kapso_now();
        let mut ledger = self.ledger();
        ledger.prune(now);
        let watched = |record: &&Record| record.is_watched(now, self.scope.max_age);
        progress.watched = ledger.records().iter().filter(watched).count();
        progress.open = ledger.open_executions();
        progress
    }

    async fn walk(&mut self, background: usize, progress: &mut Progress) {
        if let Err(error) = self.learn_workflows().await {
            let hopeless = is_hopeless(&error);
            progress.note(error);
            if hopeless {
                return;
            }
        }
        if let Err(error) = self.discover(background).await {
            progress.absent = self.client.api() == Api::Legacy && error.reason() == Some(Reason::NotFound);
            progress.note(error);
            return;
        }
        let due = self.due(background);
        self.list_all(due, progress).await;
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn per_sweep(&self, per_minute: u32) -> u32 {
        (f64::from(per_minute) * self.scope.minutes_per_sweep) as u32
    }

    async fn learn_workflows(&self) -> Result<(), Error> {
        let Some(mut pager) = self.client.workflows() else {
            return Ok(());
        };
        while let Some(page) = pager.next().await? {
            self.ledger().learn_workflows(&page);
        }
        Ok(())
    }

    async fn discover(&mut self, background: usize) -> Result<(), Error> {
        if !self.scope.only.is_empty() {
            return self.probe().await;
        }
        let reach = self.discovery.next(self.client.kapso_now(), self.scope.max_age, background);
        let mut pager = self.client.conversations(Some(reach.active_since));
        let (mut asked, mut read, mut clean) = (None, 0, true);
        while let Some(page) = pager.next().await? {
            asked.get_or_insert(page.as_of);
            read += 1;
            clean &= page.bad_items == 0;
            self.ledger().learn_conversations(&page);
        }
        if let Some(asked) = asked {
            self.discovery.done(reach, asked, read, clean);
        }
        Ok(())
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

    fn due(&self, background: usize) -> Vec<ConversationId> {
        if !self.scope.only.is_empty() {
            return self.scope.only.clone();
        }
        let now = self.client.kapso_now();
        let ledger = self.ledger();
        plan::due(ledger.records(), self.discovery.full(), now, self.scope.max_age, background)
    }

    async fn list_all(&self, due: Vec<ConversationId>, progress: &mut Progress) {
        progress.due = due.len();
        let mut answers = stream::iter(due).map(|id| self.list(id).boxed()).buffer_unordered(CONCURRENCY);
        let mut failed_in_a_row = 0;
        while let Some(answer) = answers.next().await {
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
                return;
            }
        }
    }

    async fn list(&self, id: ConversationId) -> Result<(), Error> {
        let ordered = self.client.api() == Api::Platform;
        let mut listing = self.ledger().open(&id, ordered);
        let mut pager = self.client.executions(&id);
        loop {
            let page = match pager.next().await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) if error.reason() == Some(Reason::NotFound) => {
                    self.forget(&id);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let mut ledger = self.ledger();
            ledger.watch_from(self.client.in_kapso_clock(self.started));
            if !ledger.read(&mut listing, &page, self.client.kapso_now()) {
                break;
            }
        }
        self.ledger().close(&listing, self.client.kapso_now());
        Ok(())
    }

    fn forget(&self, id: &ConversationId) {
        let news = self.ledger().forget_conversation(id);
        if news && !self.scope.only.is_empty() {
            tracing::warn!(conversation = %id, "there is no such conversation: check --scrape.conversation");
        } else {
            tracing::debug!(conversation = %id, "the conversation was deleted");
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every other request would fail in the same way: the key is refused, or the exporter is stopping.
fn is_hopeless(error: &Error) -> bool {
    matches!(error.reason(), None | Some(Reason::Unauthorized))
}
