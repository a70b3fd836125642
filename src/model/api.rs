//! Kapso's two APIs.

use std::fmt;

/// Which of Kapso's two APIs something comes from; the `api` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Api {
    /// `https://app.kapso.ai/api/v1`: agent executions.
    Legacy,
    /// `https://api.kapso.ai/platform/v1`: workflow executions.
    Platform,
}

impl Api {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
