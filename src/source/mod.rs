//! Sources: what to ask of which API, and what an answer means to the ledger.
//!
//! `walk` sweeps whatever can be planned and asked: `conversations` lists the executions of each conversation,
//! on the platform API or (source `agents`) on the legacy one; `workflows` those of each workflow.

pub mod conversations;
mod pulse;
mod queue;
mod walk;
pub mod workflows;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use self::{conversations::Conversations, walk::Territory, workflows::Workflows};
pub use self::{pulse::Pulse, queue::Load};
use crate::{
    clock::Steady,
    execution::{Api, ConversationId},
    kapso::{Budget, Client, Error},
    ledger::Ledger,
};

/// The name of a source, as in `--scrape.source`; the `source` label of a sweep's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Legacy API: agent executions per conversation.
    Agents,
    /// Platform API: flow executions per conversation.
    Conversations,
    /// Platform API: executions per workflow.
    Workflows,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Agents, Self::Conversations, Self::Workflows];

    /// The flag's and the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Conversations => "conversations",
            Self::Workflows => "workflows",
        }
    }

    /// The API it asks.
    #[must_use]
    pub const fn api(self) -> Api {
        match self {
            Self::Agents => Api::Legacy,
            Self::Conversations | Self::Workflows => Api::Platform,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|source| source.as_str() == text);
        known.ok_or_else(|| "it is none of: conversations, agents, workflows".into())
    }
}

/// What a walk covers.
#[derive(Debug, Clone)]
pub struct Scope {
    /// These conversations only; none = discover them.
    pub only: Vec<ConversationId>,
    /// How long a conversation without activity and without open executions is watched; how far back a
    /// workflow's finished executions are read.
    pub max_age: SignedDuration,
    /// From one beat to the next.
    pub interval: Duration,
}

impl Scope {
    /// The interval, as that of timestamps.
    fn signed_interval(&self) -> SignedDuration {
        SignedDuration::try_from(self.interval).unwrap_or(SignedDuration::MAX)
    }

    /// What becomes due within this time is due already.
    fn ahead(&self, begins: bool) -> SignedDuration {
        if begins { self.signed_interval() } else { SignedDuration::ZERO }
    }
}

/// What a walk works with.
#[derive(Clone)]
pub struct Means {
    /// Asks.
    pub client: Arc<Client>,
    /// Takes in the answers.
    pub ledger: Arc<Mutex<Ledger>>,
    /// The client's.
    pub budget: Arc<Budget>,
    /// When this program began to watch.
    pub started: Steady,
    /// Tells that the walk is alive.
    pub pulse: Pulse,
}

impl Means {
    /// When watching began, in Kapso's clock: when this program began, unless the ledger remembers more.
    fn watch_start(&self) -> Timestamp {
        let remembered = self.ledger.lock().watch_start();
        remembered.unwrap_or_else(|| self.client.in_kapso_clock(self.started))
    }

    /// Takes in what there is to ask about. That comes before the first execution, so that Kapso's clock is known
    /// by then, and with it when watching began.
    fn learn<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        self.pulse.beat();
        act(&mut self.ledger.lock())
    }

    /// Takes executions into the ledger, which may be the first ones ever, at the time it is now in Kapso's clock.
    fn take_in<T>(&self, act: impl FnOnce(&mut Ledger, Timestamp) -> T) -> T {
        self.pulse.beat();
        let mut ledger = self.ledger.lock();
        ledger.watch_from(self.client.in_kapso_clock(self.started));
        act(&mut ledger, self.client.kapso_now())
    }

    /// Reads the list of workflows, where there is one. Returns when it was asked for, if it could be read to
    /// the last item.
    async fn learn_workflows(&self) -> Result<Option<Timestamp>, Error> {
        let Some(pager) = self.client.workflows() else { return Ok(None) };
        let (asked, clean) = pager.read(|page| self.learn(|ledger| ledger.learn_workflows(page))).await?;
        Ok(asked.filter(|_| clean))
    }

    /// How many requests half of the budget allows in a time.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn half_of_the_budget(&self, time: Duration) -> usize {
        let requests = f64::from(self.budget.status().per_minute) * time.as_secs_f64() / 60.0;
        ((requests / 2.0) as usize).max(1)
    }
}

/// The walk of a source.
pub enum Walk {
    /// Over conversations.
    Conversations(Conversations),
    /// Over workflows.
    Workflows(Workflows),
}

impl Walk {
    /// The walk of this source.
    #[must_use]
    pub fn new(source: Source, means: Means, scope: Scope) -> Self {
        match source {
            Source::Agents | Source::Conversations => Self::Conversations(Conversations::new(means, scope)),
            Source::Workflows => Self::Workflows(Workflows::new(means, scope)),
        }
    }

    /// What tells that it is alive.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        match self {
            Self::Conversations(territory) => territory.pulse().clone(),
            Self::Workflows(territory) => territory.pulse().clone(),
        }
    }

    /// Asks for everything that may have changed. Tells the load at the beginning and at the end of each beat.
    pub async fn sweep(&mut self, tell: impl FnMut(&Load) + Send) -> Progress {
        match self {
            Self::Conversations(territory) => walk::sweep(territory, tell).await,
            Self::Workflows(territory) => walk::sweep(territory, tell).await,
        }
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
    /// What went wrong, the first of it.
    pub error: Option<Error>,
    /// The API does not exist (any more).
    pub absent: bool,
}

impl Progress {
    /// Whether everything that was due was learned.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }

    fn note(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}
