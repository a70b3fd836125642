//! The walk over conversations: discover them, list the executions of those that are due.

mod discovery;
pub mod plan;

use std::time::Duration;

use jiff::Timestamp;

use self::discovery::Discovery;
use super::{
    Means, Progress, Pulse, Scope,
    queue::{Load, Queue},
    walk::{Stop, Territory, is_hopeless},
};
use crate::{
    execution::{Api, ConversationId, Page},
    kapso::{Error, Reason},
    ledger::{Ledger, Record},
};

/// A sweep that goes on for long lists the workflows again after so many intervals.
const WORKFLOWS_EVERY: i32 = 10;

/// A walk over the conversations of one API, into its ledger.
pub struct Conversations {
    means: Means,
    scope: Scope,
    discovery: Discovery,
    probed: bool,
    /// When the workflows were last listed.
    workflows_read: Option<Timestamp>,
}

impl Conversations {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(means: Means, scope: Scope) -> Self {
        let (activity, round) = means.ledger.lock().discovered();
        let discovery = Discovery::resumed(activity, round);
        Self { means, scope, discovery, probed: false, workflows_read: None }
    }

    fn note_discovered(&self) {
        let (activity, round) = self.discovery.read();
        self.means.ledger.lock().note_discovered(activity, round);
    }

    /// Lists the workflows: their names and figures. Nothing waits for these, so that a sweep does it once.
    async fn read_workflows(&mut self, begins: bool) -> Result<(), Error> {
        let now = self.means.client.kapso_now();
        let pause = self.scope.signed_interval().saturating_mul(WORKFLOWS_EVERY);
        if begins || self.workflows_read.is_none_or(|read| now.duration_since(read) >= pause) {
            self.workflows_read = Some(now);
            self.means.learn_workflows().await?;
        }
        Ok(())
    }

    async fn discover(&mut self) -> Result<(), Error> {
        if let Some(since) = self.discovery.recent_since() {
            self.read_recent(since).await?;
        }
        let pages = if self.discovery.last_round().is_some() {
            1
        } else {
            self.means.half_of_the_budget(self.scope.interval)
        };
        let result = self.read_round(pages).await;
        if result.is_err() {
            self.discovery.abandon_round();
        }
        result
    }

    async fn read_recent(&mut self, since: Timestamp) -> Result<(), Error> {
        let pager = self.means.client.conversations(Some(since));
        let learn = |page: &Page<_>| self.means.learn(|ledger| ledger.learn_conversations(page));
        let (asked, clean) = pager.read(learn).await?;
        if let Some(asked) = asked {
            self.discovery.recent_read(asked, clean);
            self.note_discovered();
        }
        Ok(())
    }

    /// Reads so many pages of the round, or up to its end.
    async fn read_round(&mut self, at_most: usize) -> Result<(), Error> {
        for _ in 0..at_most {
            let round = self.discovery.round(self.means.client.kapso_now(), self.scope.max_age);
            let mut pager = self.means.client.conversations(Some(round.active_since)).from(round.place);
            let Some(page) = pager.next().await? else { return Ok(()) };
            let next = pager.place();
            self.means.learn(|ledger| ledger.learn_conversations(&page));
            self.discovery.round_read(page.as_of, next);
            self.note_discovered();
            if page.last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where nothing is discovered, one page of conversations tells an API that is absent from conversations
    /// that are.
    async fn probe(&mut self) -> Result<(), Error> {
        if self.means.client.api() == Api::Legacy && !self.probed {
            self.means.client.conversations(Some(self.means.client.kapso_now())).next().await?;
            self.probed = true;
        }
        Ok(())
    }

    fn rules(&self, begins: bool) -> plan::Rules {
        plan::Rules {
            interval: self.scope.signed_interval(),
            ahead: self.scope.ahead(begins),
            max_age: self.scope.max_age,
            watch_start: self.means.watch_start(),
            last_round: self.discovery.last_round(),
        }
    }

    async fn read_list(&self, id: &ConversationId) -> Result<(), Error> {
        let ordered = self.means.client.api() == Api::Platform;
        let mut listing = self.means.ledger.lock().open(id, ordered);
        let mut pager = self.means.client.executions(id);
        while let Some(page) = pager.next().await? {
            if !self.means.take_in(|ledger, now| ledger.read(&mut listing, &page, now)) {
                break;
            }
        }
        self.means.ledger.lock().close(&listing);
        Ok(())
    }

    fn forget(&self, id: &ConversationId) {
        let news = self.means.take_in(|ledger, now| ledger.forget_conversation(id, now));
        if news && !self.scope.only.is_empty() {
            tracing::warn!(conversation = %id, "there is no such conversation: check --scrape.conversation");
        } else {
            tracing::debug!(conversation = %id, "the conversation was deleted");
        }
    }
}

impl Territory for Conversations {
    type Task = ConversationId;
    type Key = ConversationId;

    fn key(task: &ConversationId) -> ConversationId {
        task.clone()
    }

    fn pulse(&self) -> &Pulse {
        &self.means.pulse
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    async fn look_around(&mut self, begins: bool, progress: &mut Progress) -> Result<(), Stop> {
        if let Err(error) = self.read_workflows(begins).await {
            let hopeless = is_hopeless(&error);
            progress.note(error);
            if hopeless {
                return Err(Stop);
            }
        }
        let discovered = if self.scope.only.is_empty() { self.discover().await } else { self.probe().await };
        discovered.map_err(|error| {
            progress.absent =
                self.means.client.api() == Api::Legacy && error.reason() == Some(Reason::NotFound);
            progress.note(error);
            Stop
        })
    }

    fn plan(&self, begins: bool) -> (Queue<ConversationId>, Load) {
        let (rules, now) = (self.rules(begins), self.means.client.kapso_now());
        let (queue, load) = plan::queue(self.means.ledger.lock().records(), &rules, now);
        if self.scope.only.is_empty() {
            return (queue, load);
        }
        (Queue::new(self.scope.only.iter().cloned(), []), load)
    }

    fn load(&self) -> Load {
        let (rules, now) = (self.rules(false), self.means.client.kapso_now());
        plan::load(self.means.ledger.lock().records(), &rules, now)
    }

    fn is_discovered(&self) -> bool {
        !self.scope.only.is_empty() || self.discovery.last_round().is_some()
    }

    async fn ask(&self, id: ConversationId) -> Result<bool, Error> {
        match self.read_list(&id).await {
            Err(error) if error.reason() == Some(Reason::NotFound) => self.forget(&id),
            result => result?,
        }
        Ok(true)
    }

    fn note_complete(&self) {
        self.means.take_in(Ledger::note_learned);
    }

    fn settle(&self, progress: &mut Progress) {
        let now = self.means.client.kapso_now();
        let mut ledger = self.means.ledger.lock();
        ledger.prune(now);
        let watch_start = ledger.watch_start();
        let watched = |record: &&Record| record.is_watched(now, self.scope.max_age, watch_start);
        progress.watched = ledger.records().iter().filter(watched).count();
        progress.open = ledger.open_executions();
    }
}
