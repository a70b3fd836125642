//! The crawl over workflows: one request lists them all, and each is asked for its open executions and for what
//! is new; `plan` says which, `cover` how. It sees executions without a conversation.
//!
//! The lists have no filter on the end of an execution. So each one that left the open ones, as far as the lists
//! show, is asked for by itself, and its outcome and end are exact. What finished before the watch began is only
//! looked for among the executions that started within `--scrape.conversation-max-age`.

pub(super) mod fetch_plan;
mod kind;
pub(super) mod plan;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::kind::ByWorkflow;
use self::plan::{FetchTask, Part, Rules, Task};
use super::{
    CrawlContext, CrawlScope, Heartbeat, Progress,
    queue::{Backlog, Queue},
    singles::Singles,
    source::{Crawl, Discovered, Pass, Stop, is_hopeless},
};
use crate::{
    account::{Account, KnownWorkflow, Statuses, Visit, VisitedList},
    clock::Steady,
    frontier::Failed,
    kapso::{Client, Error, ExecutionFilter, PageToken, Reason},
    model::{ExecutionId, Page, Reading, WorkflowId},
};

/// Visits at the same time, although they wait for the budget.
const VISITS_AT_ONCE: usize = 2;
/// A history with an item that could not be read, or that may have been cut short, is read again after these times.
/// After the last one it is taken as it is.
const SPOILT_RECHECKS: &[Duration] = &[Duration::ZERO, Duration::from_mins(10), Duration::from_hours(1)];
/// One that ended with an empty page, as a list does that hides the rest, is read once more after this time.
const EMPTY_RECHECK: Duration = Duration::from_mins(10);

/// A crawl over the workflows of a project, into its account.
pub struct Workflows {
    lists: Lists,
    scope: CrawlScope,
    /// When the list of workflows was last read to the end.
    listed: Option<Steady>,
    singles: Singles,
}

/// Reads the lists of workflows.
#[derive(Clone)]
struct Lists {
    context: CrawlContext,
    /// From one pass to the next.
    interval: Duration,
    /// Where to go on with the history of a workflow.
    history: Arc<Mutex<HashMap<WorkflowId, Progressing>>>,
}

/// A reading of a workflow's history, in progress.
#[derive(Clone)]
struct Progressing {
    /// Where its next page is.
    token: PageToken,
    /// Every item so far could be read.
    clean: bool,
    /// How many readings before this one were spoilt.
    spoilt: usize,
    /// Whether one before this one ended with an empty page.
    was_empty: bool,
    /// It is not to go on before then.
    not_before: Option<Instant>,
    /// Its last page was empty: the list ends there, or hides the rest.
    ends_empty: bool,
}

impl Progressing {
    const FIRST: Self = Self {
        token: PageToken::Start,
        clean: true,
        spoilt: 0,
        was_empty: false,
        not_before: None,
        ends_empty: false,
    };

    /// The reading after this one, which is done; `None` if this one is believed.
    fn next(&self) -> Option<Self> {
        let Self { spoilt, was_empty, .. } = *self;
        let next = Self { spoilt, was_empty, ..Self::FIRST };
        let after = |wait: Duration| Some(Instant::now() + wait).filter(|_| !wait.is_zero());
        if !self.clean {
            let wait = SPOILT_RECHECKS.get(spoilt)?;
            return Some(Self { spoilt: spoilt + 1, not_before: after(*wait), ..next });
        }
        let is_doubtful = self.ends_empty && !was_empty;
        is_doubtful.then(|| Self { was_empty: true, not_before: after(EMPTY_RECHECK), ..next })
    }
}

impl Workflows {
    /// One that has not begun.
    #[must_use]
    pub fn new(context: CrawlContext, scope: CrawlScope) -> Self {
        let lists = Lists { context, interval: scope.interval, history: Arc::default() };
        Self { lists, scope, listed: None, singles: Singles::default() }
    }

    pub(super) fn context(&self) -> &CrawlContext {
        &self.lists.context
    }

    pub(super) fn scope(&self) -> &CrawlScope {
        &self.scope
    }

    pub(super) fn rules(&self, pass: Pass) -> Rules {
        Rules {
            now: self.context().client.clock().steady_now(),
            kapso_now: self.context().client.clock().now(),
            interval: self.scope.signed_interval(),
            ahead: self.scope.ahead(pass),
            watch_start: self.context().watch_start(),
            history: self.scope.max_age,
            workflows_read: self.listed,
        }
    }

    /// Whether the history of a workflow is still to be read, and not only to be read again at some later time.
    pub(super) fn has_history_to_read(&self) -> bool {
        let rules = self.rules(Pass::Next);
        let account = self.context().account.lock();
        let history = self.lists.history.lock();
        let waits = |workflow: &KnownWorkflow<'_>| {
            let reading = history.get(&workflow.counted.id);
            reading.and_then(|reading| reading.not_before).is_some_and(|at| Instant::now() < at)
        };
        account.workflows().any(|w| plan::unread_history(w, &rules).is_some() && !waits(&w))
    }

    /// The executions that are due to be asked for one by one; none if another source of this API does that.
    fn singles(&self, rules: &Rules) -> Vec<(Steady, ExecutionId)> {
        if self.scope.listed_by.conversations {
            return Vec::new();
        }
        self.singles.due(self.context(), &self.scope, rules.now.plus(rules.ahead))
    }
}

impl Lists {
    async fn do_work(self, workflow: WorkflowId, work: FetchTask) -> Result<bool, Error> {
        let requested_at = self.context.client.clock().steady_now();
        let open = work.open();
        match self.try_work(&workflow, work).await {
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                let not_found = |account: &mut Account, now| {
                    account.workflow_not_found(&workflow, requested_at, now);
                };
                self.context.take_in(not_found);
                for id in open {
                    self.context.fetch_one(&id).await?;
                }
                Ok(true)
            }
            result => result,
        }
    }

    async fn try_work(&self, workflow: &WorkflowId, work: FetchTask) -> Result<bool, Error> {
        let mut visit =
            self.context.account.lock().visit_at(workflow, self.context.client.clock().steady_now());
        match work {
            FetchTask::History { since, until } => {
                self.read_history(workflow, &mut visit, since, until).await
            }
            FetchTask::Visit { open, fetch_plan, part } => {
                let asked = if part == Part::Whole { fetch_plan.asked() } else { Statuses::Part };
                for status in fetch_plan.statuses {
                    let which = ExecutionFilter::In { status, started: fetch_plan.started };
                    self.read(workflow, &mut visit, which).await?;
                }
                if let Some(since) = fetch_plan.since {
                    let which = ExecutionFilter::Started { since, until: None };
                    if let Some(reading) = self.read(workflow, &mut visit, which).await? {
                        self.context.account.lock().reached(&visit, since, reading);
                    }
                }
                let left = self.context.account.lock().not_seen(&visit, &open);
                for id in left {
                    self.context.fetch_one(&id).await?;
                }
                self.context.account.lock().close_visit(&visit, asked);
                Ok(true)
            }
        }
    }

    /// Reads a list to its end.
    async fn read(
        &self,
        workflow: &WorkflowId,
        visit: &mut Visit,
        which: ExecutionFilter,
    ) -> Result<Option<Reading>, Error> {
        let list = match which {
            ExecutionFilter::Started { .. } => VisitedList::ByStart,
            ExecutionFilter::In { .. } => VisitedList::ByStatus,
        };
        let pager = self.context.client.workflow_executions(workflow, which);
        pager
            .read(|page: &Page<_>| self.context.take_in(|account, now| account.see(visit, list, page, now)))
            .await
    }

    /// Reads on in what started before the watch began, for no longer than an interval; from the beginning again
    /// while what was read is in doubt. Returns whether that was all for now.
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
        let which = ExecutionFilter::Started { since, until: Some(until) };
        let mut pager = self.context.client.workflow_executions(workflow, which).from(reading.token.clone());
        while let Some(page) = pager.next().await? {
            self.context.take_in(|account, now| account.see(visit, VisitedList::ByStart, &page, now));
            reading.clean &= page.is_clean();
            reading.ends_empty = page.items.is_empty();
            if let Some(token) = pager.place().filter(|_| Instant::now() >= end) {
                self.history.lock().insert(workflow.clone(), Progressing { token, ..reading });
                return Ok(false);
            }
        }
        if let Some(next) = reading.next() {
            let is_all_for_now = next.not_before.is_some();
            self.history.lock().insert(workflow.clone(), next);
            return Ok(is_all_for_now);
        }
        self.context.account.lock().history_read(visit, since);
        Ok(true)
    }
}

/// Which of the tasks about a workflow, or which execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// Its open executions and what is new.
    Visit(WorkflowId, Part),
    /// What started before the watch began.
    History(WorkflowId),
    /// An execution by itself.
    Execution(ExecutionId),
}

impl Crawl for Workflows {
    type Task = Task;
    type Key = Key;

    fn key(task: &Task) -> Key {
        match task {
            Task::Workflow { workflow, work: FetchTask::History { .. } } => Key::History(workflow.clone()),
            Task::Workflow { workflow, work: FetchTask::Visit { part, .. } } => {
                Key::Visit(workflow.clone(), *part)
            }
            Task::Execution(id) => Key::Execution(id.clone()),
        }
    }

    fn heartbeat(&self) -> &Heartbeat {
        &self.context().heartbeat
    }

    fn client(&self) -> &Client {
        &self.context().client
    }

    /// A visit takes several requests: where all wait for the budget, few visits at a time are done soon each, and
    /// many all late. As many go on as the latency takes.
    fn places(&self) -> usize {
        self.context().budget.requests_at_once().max(self.client().at_once(VISITS_AT_ONCE))
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    fn longest_lateness(&self) -> f64 {
        self.scope.max_staleness.as_secs_f64()
    }

    async fn discover_all(&mut self, _: Pass, progress: &mut Progress) -> Result<Discovered, Stop> {
        self.context().account.lock().begin_listing_by_workflow();
        let read = self.context().learn_workflows().await;
        self.context().require_clock(progress).await?;
        match read {
            Ok(read) => {
                self.listed = read.or(self.listed);
                Ok(Discovered::Well)
            }
            Err(error) => {
                let stop = is_hopeless(&error);
                progress.note(error);
                if stop { Err(Stop) } else { Ok(Discovered::Badly) }
            }
        }
    }

    fn plan(&self, pass: Pass) -> (Queue<Task>, Backlog) {
        let rules = self.rules(pass);
        let singles = self.singles(&rules);
        plan::queue(&self.context().account.lock(), singles, &rules)
    }

    fn backlog(&self) -> Backlog {
        let rules = self.rules(Pass::Next);
        plan::backlog(&self.context().account.lock(), &rules)
    }

    fn is_discovered(&self) -> bool {
        true
    }

    fn fetch(&self, task: Task) -> BoxFuture<'static, Result<bool, Error>> {
        match task {
            Task::Workflow { workflow, work } => Box::pin(self.lists.clone().do_work(workflow, work)),
            Task::Execution(id) => {
                let (singles, context) = (self.singles.clone(), self.context().clone());
                Box::pin(async move { singles.fetch(&context, id).await })
            }
        }
    }

    fn note_failure(&self, key: &Key, failed: Failed) {
        let now = self.context().client.clock().steady_now();
        if let Key::Visit(workflow, _) | Key::History(workflow) = key {
            self.context().account.lock().workflow_failed(workflow, now, failed);
        }
    }

    fn note_complete(&self) {
        self.context().account.lock().frontier.note_learned(self.context().client.clock().steady_now());
    }

    fn finish_pass(&self, progress: &mut Progress) {
        self.context().finish_pass(progress);
        let account = self.context().account.lock();
        let is_there = |w: &KnownWorkflow<'_>| !w.read.deleted && w.read.discovered.is_some();
        progress.watched = account.workflows().filter(is_there).count();
        progress.failing = account.workflows().filter(|w| w.read.attempts.is_failing()).count();
    }
}
