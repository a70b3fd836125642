//! The sources: which lists of executions are read.

use strum::{Display, EnumString, IntoStaticStr};

use super::Api;

/// The name of a source, as in `--scrape.source`; the `source` label of a sweep's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Display, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Source {
    /// Platform API: each execution by the list that shows it with the fewest requests.
    Auto,
    /// Legacy API: agent executions per conversation.
    Agents,
    /// Platform API: flow executions per conversation.
    Conversations,
    /// Platform API: executions per workflow.
    Workflows,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Agents, Self::Conversations, Self::Workflows];

    /// The flag's and the label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The API it asks.
    #[must_use]
    pub const fn api(self) -> Api {
        match self {
            Self::Agents => Api::Legacy,
            Self::Auto | Self::Conversations | Self::Workflows => Api::Platform,
        }
    }
}
