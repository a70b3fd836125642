//! The sources: which lists of executions are read.

use std::{fmt, str::FromStr};

use super::Api;

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
