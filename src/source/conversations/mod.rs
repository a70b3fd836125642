//! The walk over conversations: discover them, list the executions of those that are due, and ask one by one for the
//! open executions that no list shows.

mod absence;
mod discovery;
pub mod plan;

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use self::{
    absence::Absence,
    discovery::{Discovery, Kind, newest_activity},
};
use super::{
    Means, Progress, Pulse, Scope,
    queue::{Load, Queue},
    singles::Singles,
    walk::{Beat, Looked, Stop, Territory, is_hopeless},
};
use crate::{
    clock::Steady,
    execution::{Api, Conversation, ConversationId, ExecutionId, Page},
    kapso::{Error, Hanging, Reason},
    ledger::{Failed, Ledger, Record},
};

/// A sweep that goes on for long lists the workflows again after so many intervals.
const WORKFLOWS_EVERY: i32 = 10;

/// A walk over the conversations of one API, into its ledger.
pub struct Conversations {
    means: Means,
    scope: Scope,
    discovery: Discovery,
    probed: bool,
    /// Whether the API is there, where it may not be.
    absence: Absence,
    /// When the workflows were last listed.
    workflows_read: Option<Steady>,
    singles: Singles,
}

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Task {
    /// The list of a conversation's executions.
    Conversation(ConversationId),
    /// An execution by itself.
    Execution(ExecutionId),
}

impl Conversations {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(means: Means, scope: Scope) -> Self {
        let (discovery, absence) = {
            let mut ledger = means.ledger.lock();
            if !scope.only.is_empty() {
                withdraw_others(&mut ledger, &scope.only);
            }
            let (activity, round) = ledger.discovered();
            (Discovery::resumed(activity, round), Absence::new(ledger.remembered_conversations() > 0))
        };
        let (probed, workflows_read, singles) = (false, None, Singles::default());
        Self { means, scope, discovery, probed, absence, workflows_read, singles }
    }

    fn note_discovered(&self) {
        let (activity, round) = self.discovery.read();
        self.means.ledger.lock().note_discovered(activity, round);
    }

    /// Lists the workflows: their names and figures. Nothing waits for these, so that a sweep does it once.
    async fn read_workflows(&mut self, beat: Beat) -> Result<(), Error> {
        let now = self.means.client.steady_now();
        let pause = self.scope.signed_interval().saturating_mul(WORKFLOWS_EVERY);
        if beat == Beat::First || self.workflows_read.is_none_or(|read| now.since(read) >= pause) {
            self.workflows_read = Some(now);
            self.means.learn_workflows().await?;
        }
        Ok(())
    }

    async fn discover(&mut self) -> Result<(), Error> {
        let recent = match self.discovery.recent_since() {
            Some(since) => self.read_recent(since).await,
            None => Ok(()),
        };
        if recent.as_ref().is_err_and(is_hopeless) {
            return recent;
        }
        let pages = if self.discovery.last_round().is_some() {
            1
        } else {
            self.means.half_of_the_budget(self.scope.interval)
        };
        let round = self.read_round(pages).await;
        if round.is_err() {
            self.discovery.round_failed();
        }
        recent.and(round)
    }

    fn learn(&self, page: &Page<Conversation>) {
        self.means.learn(|ledger| ledger.learn_conversations(page, self.scope.signed_interval()));
    }

    async fn read_recent(&mut self, since: Timestamp) -> Result<(), Error> {
        let pager = self.means.client.conversations(Some(since));
        let mut newest = None;
        let learn = |page: &Page<_>| {
            newest = newest_activity(page).max(newest);
            self.learn(page);
        };
        if let Some(read) = pager.read(learn).await? {
            self.discovery.recent_read(newest, read.as_of, read.is_clean);
            self.note_discovered();
        }
        Ok(())
    }

    /// Reads so many pages of the round, or up to its end.
    async fn read_round(&mut self, at_most: usize) -> Result<(), Error> {
        for _ in 0..at_most {
            let round = self.discovery.round(self.means.client.kapso_now(), self.scope.max_age);
            let list = match round.kind {
                Kind::Activity => self.means.client.conversations(Some(round.since)),
                Kind::Creation => self.means.client.conversations_created(round.since),
            };
            let mut pager = list.from(round.place);
            let Some(page) = pager.next().await? else { return Ok(()) };
            let next = pager.place();
            self.learn(&page);
            self.discovery.round_read(&page, next);
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

    /// Takes note of what a look at the list of conversations came to.
    fn note_look(&mut self, looked: Result<(), Error>, progress: &mut Progress) -> Result<Looked, Stop> {
        let legacy = self.means.client.api() == Api::Legacy;
        let Err(error) = looked else {
            self.absence.end();
            return Ok(Looked::Well);
        };
        let stop = is_hopeless(&error);
        if legacy && error.reason() == Some(Reason::NotFound) {
            progress.absent = self.absence.is_believed(self.means.client.steady_now());
        }
        progress.note(error);
        if stop || progress.absent { Err(Stop) } else { Ok(Looked::Badly) }
    }

    fn rules(&self, beat: Beat) -> plan::Rules {
        plan::Rules {
            now: self.means.client.steady_now(),
            kapso_now: self.means.client.kapso_now(),
            interval: self.scope.signed_interval(),
            ahead: self.scope.ahead(beat),
            max_age: self.scope.max_age,
            watch_start: self.means.watch_start(),
            last_round: self.discovery.last_round(),
        }
    }

    /// The executions that are due to be asked for one by one. The legacy API has no such request.
    fn singles(&self, rules: &plan::Rules) -> Vec<(Steady, ExecutionId)> {
        if self.means.client.api() == Api::Legacy {
            return Vec::new();
        }
        self.singles.due(&self.means, &self.scope, rules.now.plus(rules.ahead))
    }
}

/// Takes executions out of the current state that will not be asked for.
fn withdraw_others(ledger: &mut Ledger, only: &[ConversationId]) {
    let withdrawn = ledger.withdraw_all_but(only);
    if withdrawn > 0 {
        tracing::warn!(
            withdrawn,
            "open executions of other conversations than those of --scrape.conversation are no longer shown"
        );
    }
}

/// Reads a conversation's list.
async fn read_list(means: Means, only: bool, id: ConversationId) -> Result<bool, Error> {
    let asked_at = means.client.steady_now();
    let ordered = means.client.api() == Api::Platform;
    let mut listing = means.ledger.lock().open(&id, ordered);
    let mut pager = means.client.executions(&id);
    loop {
        match pager.next().await {
            Ok(Some(page)) => {
                if !means.take_in(|ledger, now| ledger.read(&mut listing, &page, now)) {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                let not_found = |ledger: &mut Ledger, now| ledger.conversation_not_found(&id, asked_at, now);
                if means.take_in(not_found) && only {
                    tracing::warn!(conversation = %id, "there is no such conversation: check --scrape.conversation");
                }
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    }
    means.ledger.lock().close(&listing);
    Ok(true)
}

impl Territory for Conversations {
    type Task = Task;
    type Key = Task;

    fn key(task: &Task) -> Task {
        task.clone()
    }

    fn pulse(&self) -> &Pulse {
        &self.means.pulse
    }

    fn hanging(&self) -> &Hanging {
        self.means.client.hanging()
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    fn longest_lateness(&self) -> f64 {
        self.scope.max_staleness.as_secs_f64()
    }

    async fn look_around(&mut self, beat: Beat, progress: &mut Progress) -> Result<Looked, Stop> {
        let mut workflows = Looked::Well;
        if let Err(error) = self.read_workflows(beat).await {
            let stop = is_hopeless(&error);
            progress.note(error);
            if stop {
                return Err(Stop);
            }
            workflows = Looked::Badly;
        }
        let discovered = if self.scope.only.is_empty() { self.discover().await } else { self.probe().await };
        let conversations = self.note_look(discovered, progress)?;
        self.means.require_clock(progress).await?;
        Ok(if workflows == Looked::Badly { workflows } else { conversations })
    }

    fn plan(&self, beat: Beat) -> (Queue<Task>, Load) {
        let rules = self.rules(beat);
        let singles = self.singles(&rules);
        let (queue, load) = plan::queue(&self.means.ledger.lock(), singles, &rules);
        if self.scope.only.is_empty() {
            return (queue, load);
        }
        (Queue::new(self.scope.only.iter().cloned().map(Task::Conversation), []), load)
    }

    fn load(&self) -> Load {
        let rules = self.rules(Beat::Next);
        plan::load(&self.means.ledger.lock(), &rules)
    }

    fn is_discovered(&self) -> bool {
        !self.scope.only.is_empty() || self.discovery.last_round().is_some()
    }

    fn ask(&self, task: Task) -> BoxFuture<'static, Result<bool, Error>> {
        let means = self.means.clone();
        match task {
            Task::Conversation(id) => Box::pin(read_list(means, !self.scope.only.is_empty(), id)),
            Task::Execution(id) => {
                let singles = self.singles.clone();
                Box::pin(async move { singles.ask(&means, id).await })
            }
        }
    }

    fn note_failure(&self, task: &Task, failed: Failed) {
        let now = self.means.client.steady_now();
        if let Task::Conversation(id) = task {
            self.means.ledger.lock().conversation_failed(id, now, failed);
        }
    }

    fn note_complete(&self) {
        self.means.ledger.lock().note_learned(self.means.client.steady_now());
    }

    fn settle(&self, progress: &mut Progress) {
        self.means.settle(progress);
        let ledger = self.means.ledger.lock();
        let (now, watch_start) = (self.means.client.kapso_now(), ledger.watch_start());
        let watched = |record: &&Record| record.is_watched(now, self.scope.max_age, watch_start);
        progress.watched = ledger.records().filter(watched).count();
        progress.failing = ledger.records().filter(watched).filter(|r| r.attempts.is_failing()).count();
    }
}
