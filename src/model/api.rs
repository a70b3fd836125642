//! Kapso's two APIs.

use strum::{Display, IntoStaticStr};

/// Which of Kapso's two APIs something comes from; the `api` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Display)]
#[strum(serialize_all = "snake_case")]
pub enum Api {
    /// `https://app.kapso.ai/api/v1`: agent executions.
    Legacy,
    /// `https://api.kapso.ai/platform/v1`: workflow executions.
    Platform,
}

impl Api {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
