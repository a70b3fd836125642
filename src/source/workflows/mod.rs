//! The walk over workflows: one request lists them all, and each is asked for its open executions and for what
//! is new; `plan` says which, `cover` how. It sees executions without a conversation.
//!
//! The lists have no filter on the end of an execution. So each one that left the open ones, as far as the lists
//! show, is asked for by itself, and its outcome and end are exact. What finished before the watch began is only
//! looked for among the executions that started within `--scrape.conversation-max-age`.

mod cover;
mod plan;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::plan::{Rules, Task, Work};
use super::{
    Means, Progress, Pulse, Scope,
    queue::{Load, Queue},
    walk::{Stop, Territory},
};
use crate::{
    execution::{ExecutionId, Page, WorkflowId},
    kapso::{Error, Place, Reason, Which},
    ledger::{Account, Ledger, Visit},
};

/// A walk over the workflows of a project, into its ledger.
pub struct Workflows {
    means: Means,
    scope: Scope,
    /// When the list of workflows was last read to the end.
    listed: Option<Timestamp>,
    /// Where to go on with the history of a workflow.
    history: Mutex<HashMap<WorkflowId, Reading>>,
}

/// A reading of a workflow's history, in progress.
#[derive(Clone)]
struct Reading {
    /// Where its next page is.
    place: Place,
    /// Every item so far could be read.
    clean: bool,
    /// It is the second one, after one that was not clean.
    again: bool,
}

impl Reading {
    const FIRST: Self = Self { place: Place::Start, clean: true, again: false };
    const SECOND: Self = Self { again: true, ..Self::FIRST };
}

impl Workflows {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(means: Means, scope: Scope) -> Self {
        Self { means, scope, listed: None, history: Mutex::default() }
    }

    fn rules(&self, begins: bool) -> Rules {
        let watch_start = self.means.watch_start();
        Rules {
            interval: self.scope.signed_interval(),
            ahead: self.scope.ahead(begins),
            watch_start,
            history_since: watch_start.saturating_sub(self.scope.max_age).unwrap_or(Timestamp::MIN),
            workflows_read: self.listed,
        }
    }

    async fn do_work(&self, workflow: &WorkflowId, work: Work) -> Result<bool, Error> {
        let mut visit = self.means.ledger.lock().visit(workflow);
        match work {
            Work::History { since, until } => self.read_history(workflow, &mut visit, since, until).await,
            Work::Visit { open, cover, whole } => {
                for status in cover.statuses {
                    self.read(workflow, &mut visit, Which::In(status)).await?;
                }
                if let Some(since) = cover.since {
                    let which = Which::Started { since, until: None };
                    let (until, clean) = self.read(workflow, &mut visit, which).await?;
                    self.means.ledger.lock().reached(&visit, since, until, clean);
                }
                let left = self.means.ledger.lock().not_seen(&visit, &open);
                for id in left {
                    self.read_one(&mut visit, &id).await?;
                }
                self.means.ledger.lock().close_visit(&visit, whole);
                Ok(true)
            }
        }
    }

    /// Reads a list to its end. Returns when its first page was asked for, and whether every item could be read.
    async fn read(
        &self,
        workflow: &WorkflowId,
        visit: &mut Visit,
        which: Which,
    ) -> Result<(Timestamp, bool), Error> {
        let pager = self.means.client.workflow_executions(workflow, which);
        let see = |page: &Page<_>| self.means.take_in(|ledger, now| ledger.see(visit, page, now));
        let (asked, clean) = pager.read(see).await?;
        Ok((asked.unwrap_or(Timestamp::MIN), clean))
    }

    async fn read_one(&self, visit: &mut Visit, id: &ExecutionId) -> Result<(), Error> {
        match self.means.client.workflow_execution(id).await {
            Ok(page) => self.means.take_in(|ledger, now| ledger.see(visit, &page, now)),
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                self.means.take_in(|ledger, now| ledger.is_no_more(id, now));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads on in what started before the watch began, for no longer than an interval; from the beginning once
    /// more if an item could not be read. Returns whether that was all.
    async fn read_history(
        &self,
        workflow: &WorkflowId,
        visit: &mut Visit,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let end = Instant::now() + self.scope.interval;
        let mut reading = self.history.lock().remove(workflow).unwrap_or(Reading::FIRST);
        let which = Which::Started { since, until: Some(until) };
        let mut pager = self.means.client.workflow_executions(workflow, which).from(reading.place.clone());
        while let Some(page) = pager.next().await? {
            self.means.take_in(|ledger, now| ledger.see(visit, &page, now));
            reading.clean &= page.is_clean();
            if let Some(place) = pager.place().filter(|_| Instant::now() >= end) {
                self.history.lock().insert(workflow.clone(), Reading { place, ..reading });
                return Ok(false);
            }
        }
        if !reading.clean && !reading.again {
            self.history.lock().insert(workflow.clone(), Reading::SECOND);
            return Ok(false);
        }
        self.means.ledger.lock().history_read(visit, since);
        Ok(true)
    }
}

impl Territory for Workflows {
    type Task = Task;
    type Key = (WorkflowId, bool);

    fn key(task: &Task) -> Self::Key {
        (task.workflow.clone(), matches!(task.work, Work::History { .. }))
    }

    fn pulse(&self) -> &Pulse {
        &self.means.pulse
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    async fn look_around(&mut self, _: bool, progress: &mut Progress) -> Result<(), Stop> {
        match self.means.learn_workflows().await {
            Ok(read) => {
                self.listed = read.or(self.listed);
                Ok(())
            }
            Err(error) => {
                progress.note(error);
                Err(Stop)
            }
        }
    }

    fn plan(&self, begins: bool) -> (Queue<Task>, Load) {
        let (rules, now) = (self.rules(begins), self.means.client.kapso_now());
        let ledger = self.means.ledger.lock();
        plan::queue(ledger.accounts(), ledger.open_by_account(now), &rules, now)
    }

    fn load(&self) -> Load {
        let (rules, now) = (self.rules(false), self.means.client.kapso_now());
        plan::load(self.means.ledger.lock().accounts(), &rules, now)
    }

    fn is_discovered(&self) -> bool {
        true
    }

    async fn ask(&self, task: Task) -> Result<bool, Error> {
        match self.do_work(&task.workflow, task.work).await {
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                tracing::debug!(workflow = %task.workflow, "the workflow was deleted");
                self.means.take_in(|ledger, now| ledger.forget_workflow(&task.workflow, now));
                Ok(true)
            }
            result => result,
        }
    }

    fn note_complete(&self) {
        self.means.take_in(Ledger::note_learned);
    }

    fn settle(&self, progress: &mut Progress) {
        let now = self.means.client.kapso_now();
        let mut ledger = self.means.ledger.lock();
        ledger.prune(now);
        let is_there = |account: &&Account| !account.gone && account.discovered.is_some();
        progress.watched = ledger.accounts().iter().filter(is_there).count();
        progress.open = ledger.open_executions();
    }
}
