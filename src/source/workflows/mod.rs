//! The walk over workflows: one request lists them all, and each is asked for its open executions and for what
//! is new; `plan` says which, `cover` how. It sees executions without a conversation.
//!
//! The lists have no filter on the end of an execution. So each one that left the open ones, as far as the lists
//! show, is asked for by itself, and its outcome and end are exact. What finished before the watch began is only
//! looked for among the executions that started within `--scrape.conversation-max-age`.

mod cover;
mod plan;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::plan::{Rules, Task, Work};
use super::{
    Means, Progress, Pulse, Scope,
    queue::{Load, Queue},
    singles::Singles,
    walk::{Beat, Looked, Stop, Territory, is_hopeless},
};
use crate::{
    clock::Steady,
    execution::{ExecutionId, Page, WorkflowId},
    kapso::{Error, Hanging, Place, Reading, Reason, Which},
    ledger::{Account, Failed, Ledger, Visit},
};

/// Visits at the same time, although they wait for the budget.
const VISITS_AT_ONCE: usize = 2;
/// A history in which there was nothing is read once more after this time: one answer is not believed.
const EMPTY_RECHECK: Duration = Duration::from_mins(10);

/// A walk over the workflows of a project, into its ledger.
pub struct Workflows {
    lists: Lists,
    scope: Scope,
    /// When the list of workflows was last read to the end.
    listed: Option<Steady>,
    singles: Singles,
}

/// Reads the lists of workflows.
#[derive(Clone)]
struct Lists {
    means: Means,
    /// From one beat to the next.
    interval: Duration,
    /// Where to go on with the history of a workflow.
    history: Arc<Mutex<HashMap<WorkflowId, Progressing>>>,
}

/// A reading of a workflow's history, in progress.
#[derive(Clone)]
struct Progressing {
    /// Where its next page is.
    place: Place,
    /// Every item so far could be read.
    clean: bool,
    /// It is the second one, after one that was not clean or showed nothing.
    again: bool,
    /// It is not to go on before then.
    not_before: Option<Instant>,
    /// It has shown an execution.
    found: bool,
}

impl Progressing {
    const FIRST: Self =
        Self { place: Place::Start, clean: true, again: false, not_before: None, found: false };
    const SECOND: Self = Self { again: true, ..Self::FIRST };
}

impl Workflows {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(means: Means, scope: Scope) -> Self {
        means.ledger.lock().begin_listing_by_workflow();
        let lists = Lists { means, interval: scope.interval, history: Arc::default() };
        Self { lists, scope, listed: None, singles: Singles::default() }
    }

    fn means(&self) -> &Means {
        &self.lists.means
    }

    fn rules(&self, beat: Beat) -> Rules {
        let watch_start = self.means().watch_start();
        Rules {
            now: self.means().client.steady_now(),
            kapso_now: self.means().client.kapso_now(),
            interval: self.scope.signed_interval(),
            ahead: self.scope.ahead(beat),
            watch_start,
            history_since: watch_start.saturating_sub(self.scope.max_age).unwrap_or(Timestamp::MIN),
            workflows_read: self.listed,
        }
    }

    /// The executions that are due to be asked for one by one; none if another source of this API does that.
    fn singles(&self, rules: &Rules) -> Vec<(Steady, ExecutionId)> {
        if self.scope.listed_by.conversations {
            return Vec::new();
        }
        self.singles.due(self.means(), &self.scope, rules.now.plus(rules.ahead))
    }
}

impl Lists {
    async fn do_work(self, workflow: WorkflowId, work: Work) -> Result<bool, Error> {
        let asked_at = self.means.client.steady_now();
        let open = work.open();
        match self.try_work(&workflow, work).await {
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                let not_found = |ledger: &mut Ledger, now| {
                    ledger.workflow_not_found(&workflow, asked_at, now);
                };
                self.means.take_in(not_found);
                for id in open {
                    self.means.ask_for_one(&id).await?;
                }
                Ok(true)
            }
            result => result,
        }
    }

    async fn try_work(&self, workflow: &WorkflowId, work: Work) -> Result<bool, Error> {
        let mut visit = self.means.ledger.lock().visit_at(workflow, self.means.client.steady_now());
        match work {
            Work::History { since, until } => self.read_history(workflow, &mut visit, since, until).await,
            Work::Visit { open, cover, whole } => {
                for status in cover.statuses {
                    self.read(workflow, &mut visit, Which::In(status)).await?;
                }
                if let Some(since) = cover.since {
                    let which = Which::Started { since, until: None };
                    if let Some(Reading { asked_at, as_of, is_clean }) =
                        self.read(workflow, &mut visit, which).await?
                    {
                        self.means.ledger.lock().reached(&visit, since, (asked_at, as_of), is_clean);
                    }
                }
                let left = self.means.ledger.lock().not_seen(&visit, &open);
                for id in left {
                    self.means.ask_for_one(&id).await?;
                }
                self.means.ledger.lock().close_visit(&visit, whole);
                Ok(true)
            }
        }
    }

    /// Reads a list to its end.
    async fn read(
        &self,
        workflow: &WorkflowId,
        visit: &mut Visit,
        which: Which,
    ) -> Result<Option<Reading>, Error> {
        let pager = self.means.client.workflow_executions(workflow, which);
        pager.read(|page: &Page<_>| self.means.take_in(|ledger, now| ledger.see(visit, page, now))).await
    }

    /// Reads on in what started before the watch began, for no longer than an interval; from the beginning once
    /// more if an item could not be read, or, some time later, if there was nothing. Returns whether that was all
    /// for now.
    async fn read_history(
        &self,
        workflow: &WorkflowId,
        visit: &mut Visit,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let end = Instant::now() + self.interval;
        let mut reading = self.history.lock().remove(workflow).unwrap_or(Progressing::FIRST);
        if reading.not_before.is_some_and(|at| Instant::now() < at) {
            self.history.lock().insert(workflow.clone(), reading);
            return Ok(true);
        }
        let which = Which::Started { since, until: Some(until) };
        let mut pager = self.means.client.workflow_executions(workflow, which).from(reading.place.clone());
        while let Some(page) = pager.next().await? {
            self.means.take_in(|ledger, now| ledger.see(visit, &page, now));
            reading.clean &= page.is_clean();
            reading.found |= !page.items.is_empty();
            if let Some(place) = pager.place().filter(|_| Instant::now() >= end) {
                self.history.lock().insert(workflow.clone(), Progressing { place, ..reading });
                return Ok(false);
            }
        }
        if !reading.clean && !reading.again {
            self.history.lock().insert(workflow.clone(), Progressing::SECOND);
            return Ok(false);
        }
        if !reading.found && !reading.again {
            let not_before = Some(Instant::now() + EMPTY_RECHECK);
            self.history.lock().insert(workflow.clone(), Progressing { not_before, ..Progressing::SECOND });
            return Ok(true);
        }
        self.means.ledger.lock().history_read(visit, since);
        Ok(true)
    }
}

/// Which of the tasks about a workflow, or which execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// Its open executions and what is new.
    Visit(WorkflowId),
    /// What started before the watch began.
    History(WorkflowId),
    /// An execution by itself.
    Execution(ExecutionId),
}

impl Territory for Workflows {
    type Task = Task;
    type Key = Key;

    fn key(task: &Task) -> Key {
        match task {
            Task::Workflow { workflow, work: Work::History { .. } } => Key::History(workflow.clone()),
            Task::Workflow { workflow, work: Work::Visit { .. } } => Key::Visit(workflow.clone()),
            Task::Execution(id) => Key::Execution(id.clone()),
        }
    }

    fn pulse(&self) -> &Pulse {
        &self.means().pulse
    }

    fn hanging(&self) -> &Hanging {
        self.means().client.hanging()
    }

    /// A visit takes several requests: where all wait for the budget, few visits at a time are done soon each, and
    /// many all late.
    fn places(&self) -> usize {
        self.means().budget.requests_at_once().max(VISITS_AT_ONCE)
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    fn longest_lateness(&self) -> f64 {
        self.scope.max_staleness.as_secs_f64()
    }

    async fn look_around(&mut self, _: Beat, progress: &mut Progress) -> Result<Looked, Stop> {
        let read = self.means().learn_workflows().await;
        self.means().require_clock(progress).await?;
        match read {
            Ok(read) => {
                self.listed = read.or(self.listed);
                Ok(Looked::Well)
            }
            Err(error) => {
                let stop = is_hopeless(&error);
                progress.note(error);
                if stop { Err(Stop) } else { Ok(Looked::Badly) }
            }
        }
    }

    fn plan(&self, beat: Beat) -> (Queue<Task>, Load) {
        let rules = self.rules(beat);
        let singles = self.singles(&rules);
        let ledger = self.means().ledger.lock();
        let open = ledger.open_by_account(rules.kapso_now);
        plan::queue(ledger.accounts(), open, singles, &rules)
    }

    fn load(&self) -> Load {
        let rules = self.rules(Beat::Next);
        plan::load(self.means().ledger.lock().accounts(), &rules)
    }

    fn is_discovered(&self) -> bool {
        true
    }

    fn ask(&self, task: Task) -> BoxFuture<'static, Result<bool, Error>> {
        match task {
            Task::Workflow { workflow, work } => Box::pin(self.lists.clone().do_work(workflow, work)),
            Task::Execution(id) => {
                let (singles, means) = (self.singles.clone(), self.means().clone());
                Box::pin(async move { singles.ask(&means, id).await })
            }
        }
    }

    fn note_failure(&self, key: &Key, failed: Failed) {
        let now = self.means().client.steady_now();
        if let Key::Visit(workflow) | Key::History(workflow) = key {
            self.means().ledger.lock().workflow_failed(workflow, now, failed);
        }
    }

    fn note_complete(&self) {
        self.means().ledger.lock().note_learned(self.means().client.steady_now());
    }

    fn settle(&self, progress: &mut Progress) {
        self.means().settle(progress);
        let ledger = self.means().ledger.lock();
        let is_there = |account: &&Account| !account.gone && account.discovered.is_some();
        progress.watched = ledger.accounts().iter().filter(is_there).count();
        progress.failing = ledger.accounts().iter().filter(|account| account.attempts.is_failing()).count();
    }
}
