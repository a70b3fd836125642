//! What was given: each value is allowed by itself, and nothing is put together yet.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{MetricsConfig, StateConfig};
use crate::model::{ConversationId, Source};

/// A configuration as it was given.
#[derive(Debug)]
pub struct Raw {
    /// What is watched, and how.
    pub project: RawProject,
    /// How much is published.
    pub metrics: MetricsConfig,
    /// What survives.
    pub state: StateConfig,
}

/// A project as it was given.
#[derive(Debug)]
#[allow(missing_docs, reason = "as in ProjectConfig")]
pub struct RawProject {
    pub name: String,
    pub key: KeyFrom,
    pub platform_url: Url,
    pub legacy_url: Url,
    pub embedded: bool,
    pub sources: Vec<Source>,
    pub conversations: Vec<ConversationId>,
    pub interval: Duration,
    pub timeout: Duration,
    pub requests_per_minute: Option<u32>,
    pub lookback: Duration,
    pub conversation_max_age: Duration,
    /// Ten intervals, at least ten minutes, unless it is given.
    pub max_staleness: Option<Duration>,
}

/// Where an API key is.
#[derive(Debug)]
pub enum KeyFrom {
    /// Here.
    Value(SecretString),
    /// In this file.
    File(PathBuf),
    /// In the environment.
    Variable,
}
