//! Sources: what to ask of which API, and what an answer means to the ledger.
//!
//! A source is a walk that can be swept. Both sources so far walk conversations, `conversations` on the
//! platform API and `agents` on the legacy one: they differ in the [`Client`](crate::kapso::Client) they ask.

mod conversations;
mod discovery;
pub mod plan;

use std::{fmt, str::FromStr};

pub use self::{
    conversations::{Conversations, Scope},
    plan::Load,
};
use crate::{execution::Api, kapso::Error};

/// The name of a source, as in `--scrape.source`; the `source` label of a sweep's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Legacy API: agent executions per conversation.
    Agents,
    /// Platform API: flow executions per conversation.
    Conversations,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::Agents, Self::Conversations];

    /// The flag's and the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Conversations => "conversations",
        }
    }

    /// The API it asks.
    #[must_use]
    pub const fn api(self) -> Api {
        match self {
            Self::Agents => Api::Legacy,
            Self::Conversations => Api::Platform,
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
        known.ok_or_else(|| "it is none of: conversations, agents".into())
    }
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Progress {
    /// Conversations that are watched.
    pub watched: usize,
    /// Executions that are open.
    pub open: usize,
    /// Conversations that were due at the beginning.
    pub due: usize,
    /// Conversations that were listed, those that became due meanwhile included.
    pub listed: usize,
    /// Conversations that could not be.
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
