//! The sources by name: what each is to those who run it, and who foretell what it costs. To add one is to add a folder
//! with its [`SourceKind`], and a line in [`kind_of`].

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    Backlog, CrawlContext, CrawlScope, Heartbeat, Progress, auto::Auto, conversations::ByConversation,
    workflows::ByWorkflow,
};
use crate::{
    account::{Account, ListedBy},
    model::{Api, ConversationId, Source},
};

/// What a source is.
#[must_use]
pub fn kind_of(source: Source) -> &'static dyn SourceKind {
    match source {
        Source::Agents | Source::Conversations => &ByConversation,
        Source::Auto => &Auto,
        Source::Workflows => &ByWorkflow,
    }
}

/// The lists that these sources read of an API.
pub fn listed_by(sources: impl IntoIterator<Item = Source>, api: Api) -> ListedBy {
    let lists =
        sources.into_iter().filter(|source| source.api() == api).map(|source| kind_of(source).lists());
    lists.fold(ListedBy::default(), |all, lists| ListedBy {
        conversations: all.conversations || lists.conversations,
        workflows: all.workflows || lists.workflows,
    })
}

/// What a source is to those who run it, and who foretell what it costs.
pub trait SourceKind: Sync {
    /// The lists of executions that it reads.
    fn lists(&self) -> ListedBy;
    /// A crawl that has not begun.
    fn crawler(&self, context: CrawlContext, scope: CrawlScope) -> Box<dyn Sweep>;
    /// What a sweep costs in such a project; `None` where that is not known.
    fn requests(&self, size: &ProjectSize) -> Option<Requests>;
    /// How far the first sweep is.
    fn first_sweep(&self, account: &Account, watched: &Watched<'_>) -> FirstSweep;
}

/// A crawl, over whatever it is.
pub trait Sweep: Send {
    /// What tells that it is alive.
    fn heartbeat(&self) -> Heartbeat;
    /// Asks for everything that may have changed. Tells the backlog at the beginning and at the end of each pass, and
    /// whether all is well so far.
    fn sweep<'a>(&'a mut self, on_event: &'a mut OnBacklog<'_>) -> BoxFuture<'a, Progress>;
    /// Drops what is under way.
    fn reset(&mut self);
}

/// Hears of the backlog, and whether all is well so far.
pub type OnBacklog<'a> = dyn FnMut(&Backlog, bool) + Send + 'a;

/// How large a project is, as far as a few requests tell.
#[derive(Debug, Clone, Copy)]
pub struct ProjectSize {
    /// Of which API.
    pub api: Api,
    /// Its workflows.
    pub workflows: Option<Count>,
    /// Conversations to watch.
    pub conversations: Option<Count>,
    /// Whether these are named, and not discovered.
    pub named: bool,
    /// Some of the lists of executions that the source reads.
    pub sample: Option<Share>,
}

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// So many, …
    pub count: u64,
    /// … or at least so many.
    pub exact: bool,
}

/// How many of some lists have open executions.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// So many, …
    pub with_open_executions: u64,
    /// … of these.
    pub lists: u64,
    /// Whether the lists were read to the end.
    pub exact: bool,
}

impl Share {
    /// How many of so many that would be, at least.
    #[must_use]
    pub fn of(self, count: u64) -> u64 {
        (count * self.with_open_executions).div_ceil(self.lists.max(1))
    }
}

/// Requests of a sweep, estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// The first sweep, which lists every conversation, or every workflow's executions.
    pub first_sweep: u64,
    /// Those after it; `null` where no sample could be taken.
    pub later_sweeps: Option<u64>,
    /// Whether it is known that there are more.
    pub at_least: bool,
}

/// What is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// These conversations only; none = they are discovered.
    pub only: &'a [ConversationId],
    /// How long a conversation without activity is watched.
    pub max_age: SignedDuration,
    /// The time now, in Kapso's clock.
    pub now: Timestamp,
}

/// How far a first sweep is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstSweep {
    /// Lists that were read.
    pub read: usize,
    /// Lists that are to be read, those included.
    pub due: usize,
}
