//! The crawl over conversations: discover them, list the executions of those that are due, and ask one by one for the
//! open executions that no list shows.

mod absence;
mod discovery;
mod kind;
mod plan;
mod trial;

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

pub use self::kind::ByConversation;
use self::{
    absence::Absence,
    discovery::{Discovery, Kind, newest_activity},
    trial::Trial,
};
use super::{
    CrawlContext, CrawlScope, Heartbeat, Progress,
    queue::{Backlog, Queue},
    singles::Singles,
    source::{Crawl, Discovered, Pass, Stop, is_hopeless},
};
use crate::{
    account::{Account, KnownConversation, Order},
    clock::Steady,
    frontier::Failed,
    kapso::{Client, Error, PAGE_SIZE, Reason},
    model::{Api, Conversation, ConversationId, ExecutionId, Page},
};

/// A sweep that goes on for long lists the workflows again after so many intervals.
const WORKFLOWS_EVERY: i32 = 10;

/// A crawl over the conversations of one API, into its account.
pub struct Conversations {
    context: CrawlContext,
    scope: CrawlScope,
    /// Of each phone number whose conversations are watched, or of all together.
    discoveries: Vec<Discovery>,
    probed: bool,
    /// Whether the API is there, where it may not be.
    absence: Absence,
    trial: Trial,
    /// When the workflows were last listed.
    workflows_read: Option<Steady>,
    /// When recent activity was last read, and a page of the full scan.
    recent_read: Option<Steady>,
    page_read: Option<Steady>,
    singles: Singles,
}

/// How much is read of the list of conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Recent activity, and a page of the full scan.
    Usual,
    /// The same, no more often than every [`SELDOM`] intervals.
    Least,
    /// Recent activity, and a page of the full scan no more often than that.
    Recent,
}

/// What of the list of conversations is to be read now.
#[derive(Debug, Clone, Copy)]
struct Due {
    recent: bool,
    /// A page of the full scan.
    page: bool,
}

/// Intervals from one look at the list of conversations to the next where nothing moves.
const SELDOM: i32 = 10;
/// A full scan takes no longer than this, or as many intervals as there are pages.
const LONGEST_SCAN: SignedDuration = SignedDuration::from_hours(24);

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Task {
    /// The list of a conversation's executions.
    Conversation(ConversationId),
    /// An execution by itself.
    Execution(ExecutionId),
}

impl Conversations {
    /// One that has not begun.
    #[must_use]
    pub fn new(context: CrawlContext, scope: CrawlScope) -> Self {
        let (discoveries, absence) = {
            let mut account = context.account.lock();
            account.list_conversations(scope.listed_by.conversations);
            if !scope.only.is_empty() {
                withdraw_others(&mut account, &scope.only);
            }
            let (activity, full_scan) = account.frontier.discovered();
            let was_there = account.ledger.remembered_conversations() > 0;
            let discoveries = match scope.phone_number_ids.len() {
                0 => vec![Discovery::resumed(activity, full_scan)],
                // How far they were read is not kept: the numbers may have been others.
                numbers => std::iter::repeat_with(Discovery::default).take(numbers).collect(),
            };
            (discoveries, Absence::new(was_there))
        };
        Self {
            context,
            scope,
            discoveries,
            probed: false,
            absence,
            trial: Trial::default(),
            workflows_read: None,
            recent_read: None,
            page_read: None,
            singles: Singles::default(),
        }
    }

    fn note_discovered(&self) {
        let ([discovery], []) = (&self.discoveries[..], &self.scope.phone_number_ids[..]) else { return };
        let (activity, full_scan) = discovery.read();
        self.context.account.lock().frontier.note_discovered(activity, full_scan);
    }

    /// Lists the workflows: their names and figures. Nothing waits for these, so that a sweep does it once.
    async fn read_workflows(&mut self, pass: Pass) -> Result<(), Error> {
        let now = self.context.client.clock().steady_now();
        let pause = self.scope.signed_interval().saturating_mul(WORKFLOWS_EVERY);
        if pass == Pass::First || self.workflows_read.is_none_or(|read| now.since(read) >= pause) {
            self.workflows_read = Some(now);
            self.context.learn_workflows().await?;
        }
        Ok(())
    }

    /// When the last full scan over all conversations that are watched began; `None` while the first one is under way.
    fn last_full_scan(&self) -> Option<Steady> {
        self.discoveries.iter().map(Discovery::last_full_scan).min().flatten()
    }

    /// The phone number of a discovery, if it is of one.
    fn phone_number(&self, discovery: usize) -> Option<&str> {
        self.scope.phone_number_ids.get(discovery).map(String::as_str)
    }

    async fn discover_all_numbers(&mut self, extent: Extent) -> Result<(), Error> {
        let due = self.begin_discovery(extent);
        let mut all = Ok(());
        for number in 0..self.discoveries.len() {
            let discovered = self.discover(number, due).await;
            if discovered.as_ref().is_err_and(is_hopeless) {
                return discovered;
            }
            all = all.and(discovered);
        }
        all
    }

    /// Whether recent activity is to be read now, and a page of the full scan.
    fn begin_discovery(&mut self, extent: Extent) -> Due {
        let now = self.context.client.clock().steady_now();
        let interval = self.scope.signed_interval();
        let pause = interval.saturating_mul(SELDOM);
        let is_due = |last: Option<Steady>, pause| last.is_none_or(|last| now.since(last) >= pause);
        let recent = extent != Extent::Least || is_due(self.recent_read, pause);
        let is_first = self.last_full_scan().is_none();
        let a_page = LONGEST_SCAN / self.pages();
        let page = extent == Extent::Usual || is_first || is_due(self.page_read, pause.min(a_page));
        self.recent_read = if recent { Some(now) } else { self.recent_read };
        self.page_read = if page { Some(now) } else { self.page_read };
        Due { recent, page }
    }

    /// Pages of the list of conversations, about.
    fn pages(&self) -> i32 {
        let known = self.context.account.lock().ledger.remembered_conversations();
        i32::try_from(known.div_ceil(PAGE_SIZE as usize).max(1)).unwrap_or(i32::MAX)
    }

    async fn discover(&mut self, number: usize, due: Due) -> Result<(), Error> {
        let recent = match self.discoveries[number].recent_since().filter(|_| due.recent) {
            Some(since) => self.read_recent(number, since).await,
            None => Ok(()),
        };
        if recent.as_ref().is_err_and(is_hopeless) {
            return recent;
        }
        let pages = if self.discoveries[number].last_full_scan().is_some() {
            usize::from(due.page)
        } else {
            self.context.half_of_the_budget(self.scope.interval)
        };
        let full_scan = self.read_full_scan(number, pages).await;
        if full_scan.is_err() {
            self.discoveries[number].full_scan_failed();
        }
        recent.and(full_scan)
    }

    fn learn(&self, number: usize, page: &Page<Conversation>) {
        let (phone_number, interval) = (self.phone_number(number), self.scope.signed_interval());
        self.context.learn(|account| account.learn_conversations_of(phone_number, page, interval));
    }

    async fn read_recent(&mut self, number: usize, since: Timestamp) -> Result<(), Error> {
        let list = self.context.client.conversations(Some(since));
        let pager = list.of_phone_number(self.phone_number(number));
        let mut newest = None;
        let learn = |page: &Page<_>| {
            newest = newest_activity(page).max(newest);
            self.learn(number, page);
        };
        if let Some(read) = pager.read(learn).await? {
            self.discoveries[number].recent_read(newest, read);
            self.note_discovered();
        }
        Ok(())
    }

    /// Reads so many pages of the full scan, or up to its end.
    async fn read_full_scan(&mut self, number: usize, at_most: usize) -> Result<(), Error> {
        for _ in 0..at_most {
            let now = self.context.client.clock().now();
            let full_scan = self.discoveries[number].full_scan(now, self.scope.max_age);
            let list = match full_scan.kind {
                Kind::Activity => self.context.client.conversations(Some(full_scan.since)),
                Kind::Creation => self.context.client.conversations_created(full_scan.since),
            };
            let mut pager = list.of_phone_number(self.phone_number(number)).from(full_scan.token);
            let Some(page) = pager.next().await? else { return Ok(()) };
            let next = pager.place();
            self.learn(number, &page);
            self.discoveries[number].full_scan_read(&page, next);
            self.note_discovered();
            if page.last {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Finds out which conversations there are, and which moved.
    pub(super) async fn discover_conversations(
        &mut self,
        extent: Extent,
        progress: &mut Progress,
    ) -> Result<Discovered, Stop> {
        if self.scope.is_optional && !self.absence.was_there() {
            self.look_for_any(progress).await?;
        }
        let discovered = if self.scope.only.is_empty() {
            self.discover_all_numbers(extent).await
        } else {
            self.probe().await
        };
        self.note_discovery(discovered, progress)
    }

    /// When recent activity was last read.
    pub(super) fn recent_read(&self) -> Option<Steady> {
        self.recent_read
    }

    /// Takes note that a conversation's list could not be read.
    pub(super) fn note_list_failure(&self, id: &ConversationId, failed: Failed) {
        let now = self.context.client.clock().steady_now();
        self.context.account.lock().conversation_failed(id, now, failed);
    }

    /// Looks whether the API has any executions, in the conversations with the newest activity. Without any it is absent.
    async fn look_for_any(&mut self, progress: &mut Progress) -> Result<(), Stop> {
        let found = self.trial.find(&self.context.client).await;
        if matches!(found, Ok(true)) {
            self.absence.end();
            return Ok(());
        }
        progress.absent = !found.as_ref().is_err_and(|error| error.reason().is_none());
        found.err().into_iter().for_each(|error| progress.note(error));
        Err(Stop)
    }

    /// Where nothing is discovered, one page of conversations tells an API that is absent from conversations
    /// that are.
    async fn probe(&mut self) -> Result<(), Error> {
        if self.context.client.api() == Api::Legacy && !self.probed {
            self.context.client.conversations(Some(self.context.client.clock().now())).next().await?;
            self.probed = true;
        }
        Ok(())
    }

    /// Takes note of what a look at the list of conversations came to.
    fn note_discovery(
        &mut self,
        discovered: Result<(), Error>,
        progress: &mut Progress,
    ) -> Result<Discovered, Stop> {
        let legacy = self.context.client.api() == Api::Legacy;
        let Err(error) = discovered else {
            self.absence.end();
            return Ok(Discovered::Well);
        };
        let stop = is_hopeless(&error);
        if legacy && error.reason() == Some(Reason::NotFound) {
            progress.absent = self.absence.is_believed(self.context.client.clock().steady_now());
        }
        progress.note(error);
        if stop || progress.absent { Err(Stop) } else { Ok(Discovered::Badly) }
    }

    fn rules(&self, pass: Pass) -> plan::Rules {
        let interval = self.scope.signed_interval();
        let relaxed = if self.context.account.lock().ledger.trusts_deliveries() { plan::RELAXED } else { 1 };
        plan::Rules {
            now: self.context.client.clock().steady_now(),
            kapso_now: self.context.client.clock().now(),
            interval,
            open_interval: interval.saturating_mul(relaxed),
            ahead: self.scope.ahead(pass),
            max_age: self.scope.max_age,
            watch_start: self.context.watch_start(),
            last_full_scan: self.last_full_scan(),
        }
    }

    /// The executions that are due to be asked for one by one. The legacy API has no such request.
    fn singles(&self, rules: &plan::Rules) -> Vec<(Steady, ExecutionId)> {
        if self.context.client.api() == Api::Legacy {
            return Vec::new();
        }
        self.singles.due(&self.context, &self.scope, rules.now.plus(rules.ahead))
    }
}

/// Takes executions out of the current state that will not be asked for.
fn withdraw_others(account: &mut Account, only: &[ConversationId]) {
    let withdrawn = account.withdraw_all_but(only);
    if withdrawn > 0 {
        tracing::warn!(
            withdrawn,
            "open executions of other conversations than those of --scrape.conversation are no longer shown"
        );
    }
}

/// Reads a conversation's list.
pub(super) async fn read_list(context: CrawlContext, only: bool, id: ConversationId) -> Result<bool, Error> {
    let requested_at = context.client.clock().steady_now();
    let order = match context.client.api() {
        Api::Platform => Order::NewestFirst,
        Api::Legacy => Order::Any,
    };
    let mut listing = context.account.lock().open(&id, order);
    let mut pager = context.client.executions(&id);
    loop {
        match pager.next().await {
            Ok(Some(page)) => {
                if !context.take_in(|account, now| account.read(&mut listing, &page, now)) {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                let not_found =
                    |account: &mut Account, now| account.conversation_not_found(&id, requested_at, now);
                if context.take_in(not_found) && only {
                    tracing::warn!(conversation = %id, "there is no such conversation: check --scrape.conversation");
                }
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
    }
    context.account.lock().close(&listing);
    Ok(true)
}

impl Crawl for Conversations {
    type Task = Task;
    type Key = Task;

    fn key(task: &Task) -> Task {
        task.clone()
    }

    fn heartbeat(&self) -> &Heartbeat {
        &self.context.heartbeat
    }

    fn client(&self) -> &Client {
        &self.context.client
    }

    fn interval(&self) -> Duration {
        self.scope.interval
    }

    fn longest_lateness(&self) -> f64 {
        self.scope.max_staleness.as_secs_f64()
    }

    async fn discover_all(&mut self, pass: Pass, progress: &mut Progress) -> Result<Discovered, Stop> {
        let mut workflows = Discovered::Well;
        if let Err(error) = self.read_workflows(pass).await {
            let stop = is_hopeless(&error);
            progress.note(error);
            if stop {
                return Err(Stop);
            }
            workflows = Discovered::Badly;
        }
        let conversations = self.discover_conversations(Extent::Usual, progress).await?;
        self.context.require_clock(progress).await?;
        Ok(if workflows == Discovered::Badly { workflows } else { conversations })
    }

    fn plan(&self, pass: Pass) -> (Queue<Task>, Backlog) {
        let rules = self.rules(pass);
        let singles = self.singles(&rules);
        let (queue, backlog) = plan::queue(&self.context.account.lock(), singles, &rules);
        if self.scope.only.is_empty() {
            return (queue, backlog);
        }
        (Queue::new(self.scope.only.iter().cloned().map(Task::Conversation), []), backlog)
    }

    fn backlog(&self) -> Backlog {
        let rules = self.rules(Pass::Next);
        plan::backlog(&self.context.account.lock(), &rules)
    }

    fn is_discovered(&self) -> bool {
        !self.scope.only.is_empty() || self.last_full_scan().is_some()
    }

    fn fetch(&self, task: Task) -> BoxFuture<'static, Result<bool, Error>> {
        let context = self.context.clone();
        match task {
            Task::Conversation(id) => Box::pin(read_list(context, !self.scope.only.is_empty(), id)),
            Task::Execution(id) => {
                let singles = self.singles.clone();
                Box::pin(async move { singles.fetch(&context, id).await })
            }
        }
    }

    fn note_failure(&self, task: &Task, failed: Failed) {
        if let Task::Conversation(id) = task {
            self.note_list_failure(id, failed);
        }
    }

    fn note_complete(&self) {
        self.context.account.lock().frontier.note_learned(self.context.client.clock().steady_now());
    }

    fn finish_pass(&self, progress: &mut Progress) {
        self.context.finish_pass(progress);
        let account = self.context.account.lock();
        let (now, watch_start) = (self.context.client.clock().now(), account.ledger.watch_start());
        let is_watched = |c: &KnownConversation<'_>| c.is_watched(now, self.scope.max_age, watch_start);
        let watched = account.conversations().filter(is_watched);
        progress.watched = watched.clone().count();
        progress.failing = watched.filter(|c| c.read.attempts.is_failing()).count();
    }
}
