//! Sources: what to ask of which API, and what an answer means to the account.
//!
//! `crawler` sweeps whatever can be planned and asked: `conversations` lists the executions of each conversation,
//! on the platform API or (source `agents`) on the legacy one; `workflows` those of each workflow. `kind` has all
//! sources by name.

pub mod auto;
mod changed;
pub mod conversations;
mod crawler;
mod expectation;
mod follow_up;
mod heartbeat;
mod kind;
mod queue;
mod singles;
mod source;
pub mod workflows;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use self::source::{Pass, Stop};
pub use self::{
    changed::Changed,
    follow_up::{FollowUp, Named},
    heartbeat::Heartbeat,
    kind::{
        Count, FirstSweep, OnBacklog, ProjectSize, Requests, Share, SourceKind, Sweep, Watched, kind_of,
        listed_by,
    },
    queue::Backlog,
};
use crate::{
    account::{Account, ListedBy},
    clock::Steady,
    kapso::{Budget, Client, Error, Reason},
    model::ConversationId,
};

/// What a crawl covers.
#[derive(Debug, Clone)]
pub struct CrawlScope {
    /// These conversations only; none = discover them.
    pub only: Vec<ConversationId>,
    /// Discover the conversations of the phone numbers with these ids only; none = of all.
    pub phone_number_ids: Vec<String>,
    /// How long a conversation without activity and without open executions is watched; how far back a
    /// workflow's finished executions are read.
    pub max_age: SignedDuration,
    /// From one pass to the next.
    pub interval: Duration,
    /// A list that is due for longer is too late for the numbers to be up to date.
    pub max_staleness: SignedDuration,
    /// The lists that all sources of this API read together.
    pub listed_by: ListedBy,
    /// Nobody asked for this source: until the API has shown an execution, it is taken for absent and costs next to
    /// nothing.
    pub is_optional: bool,
}

impl CrawlScope {
    /// The interval, as that of timestamps.
    fn signed_interval(&self) -> SignedDuration {
        SignedDuration::try_from(self.interval).unwrap_or(SignedDuration::MAX)
    }

    /// What becomes due within this time is due already.
    fn ahead(&self, pass: Pass) -> SignedDuration {
        match pass {
            Pass::First => self.signed_interval(),
            Pass::Next => SignedDuration::ZERO,
        }
    }
}

/// What a crawl works with.
#[derive(Clone)]
pub struct CrawlContext {
    /// Asks.
    pub client: Arc<Client>,
    /// Takes in the answers.
    pub account: Arc<Mutex<Account>>,
    /// The client's.
    pub budget: Arc<Budget>,
    /// When this program began to watch.
    pub started: Steady,
    /// Tells that the crawl is alive.
    pub heartbeat: Heartbeat,
    /// Told of every answer that the account took in.
    pub changed: Changed,
}

impl CrawlContext {
    /// When watching began, in Kapso's clock: when this program began, unless the account remembers more.
    fn watch_start(&self) -> Timestamp {
        let remembered = self.account.lock().ledger.watch_start();
        remembered.unwrap_or_else(|| self.client.clock().at(self.started))
    }

    /// Takes in what there is to ask about. That comes before the first execution, so that Kapso's clock is known
    /// by then, and with it when watching began.
    fn learn<T>(&self, act: impl FnOnce(&mut Account) -> T) -> T {
        self.heartbeat.beat();
        let learned = act(&mut self.account.lock());
        self.changed.notify();
        learned
    }

    /// Takes executions into the account, which may be the first ones ever, at the time it is now in Kapso's clock.
    fn take_in<T>(&self, act: impl FnOnce(&mut Account, Timestamp) -> T) -> T {
        self.heartbeat.beat();
        let mut account = self.account.lock();
        let now = self.client.clock().now();
        account.watch(self.client.clock().at(self.started), now);
        let taken_in = act(&mut account, now);
        drop(account);
        self.changed.notify();
        taken_in
    }

    /// Reads the list of workflows, where there is one. Returns when it was asked for, if it could be read to
    /// the last item.
    async fn learn_workflows(&self) -> Result<Option<Steady>, Error> {
        let Some(pager) = self.client.workflows() else { return Ok(None) };
        let read = pager.read(|page| self.learn(|account| account.learn_workflows(page))).await?;
        Ok(read.filter(|read| read.is_clean).map(|read| read.requested_at))
    }

    /// Waits until Kapso's clock is beyond doubt, and lets in workflows that are to be watched from now on, before anybody
    /// plans. Ends the sweep where nobody tells the time: what is new could not be told from what is old.
    async fn require_clock(&self, progress: &mut Progress) -> Result<(), Stop> {
        self.client.settle_clock().await;
        self.client.clock().require_plausible().map_err(|error| {
            self.client.observer().failed(self.client.api(), Reason::Clock, 1);
            progress.note(error);
            Stop
        })?;
        let clock = self.client.clock();
        self.account.lock().let_in(clock.at(self.started), clock.now());
        Ok(())
    }

    /// Tidies up after a pass. Where many executions disappeared at once, that is an error.
    fn finish_pass(&self, progress: &mut Progress) {
        let mut account = self.account.lock();
        account.prune(self.client.clock().now_at_least());
        progress.open = account.ledger.open_executions();
        if account.ledger.many_are_missing() {
            self.client.observer().failed(self.client.api(), Reason::Disappeared, 1);
            progress.note(Error::Disappeared);
        }
        drop(account);
        self.changed.notify();
    }

    /// How many requests half of the budget allows in a time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn half_of_the_budget(&self, time: Duration) -> usize {
        let requests = f64::from(self.budget.status().per_minute) * time.as_secs_f64() / 60.0;
        ((requests / 2.0) as usize).max(1)
    }
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Progress {
    /// Conversations, or workflows, that are watched.
    pub watched: usize,
    /// Executions that are open.
    pub open: usize,
    /// How many of them were due at the beginning.
    pub due: usize,
    /// How many were listed, those that became due meanwhile included.
    pub listed: usize,
    /// How many could not be.
    pub failed: usize,
    /// How many are not known because their last reading failed, in this sweep or before.
    pub failing: usize,
    /// What went wrong, the first of it.
    pub error: Option<Error>,
    /// The API does not exist (any more).
    pub absent: bool,
}

impl Progress {
    /// Whether everything that was due was learned.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error.is_none() && self.failing == 0
    }

    fn note(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}
