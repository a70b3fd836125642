//! What was given: each value is allowed by itself, and nothing is put together yet.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{MetricsConfig, RawState};
use crate::model::{ConversationId, ReasonRule, Source, WorkflowFilter, WorkflowId};

/// A configuration as it was given.
#[derive(Debug)]
pub struct Raw {
    /// What is watched, and how.
    pub projects: Vec<RawProject>,
    /// How much is published.
    pub metrics: MetricsConfig,
    /// What survives.
    pub state: RawState,
    /// The configuration file, if it comes from one.
    pub file: Option<PathBuf>,
    /// Files that hold secrets.
    pub secret_files: Vec<PathBuf>,
    /// The configuration file as it was read; empty without one.
    pub text: String,
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
    pub phone_number_ids: Vec<String>,
    pub workflows: WorkflowFilter,
    pub agents: BTreeMap<WorkflowId, String>,
    pub handoff_reasons: Vec<ReasonRule>,
    pub webhook_secrets: Vec<SecretString>,
    pub interval: Duration,
    pub timeout: Duration,
    pub requests_per_minute: Option<u32>,
    pub lookback: Duration,
    pub conversation_max_age: Duration,
    /// Ten intervals, at least ten minutes, unless it is given.
    pub max_staleness: Option<Duration>,
}

impl RawProject {
    /// One of which nothing but name and key was given.
    #[must_use]
    pub fn new(name: &str, key: KeyFrom) -> Self {
        Self {
            name: name.into(),
            key,
            platform_url: known("https://api.kapso.ai/platform/v1"),
            legacy_url: known("https://app.kapso.ai/api/v1"),
            embedded: false,
            sources: vec![Source::Auto],
            conversations: Vec::new(),
            phone_number_ids: Vec::new(),
            workflows: WorkflowFilter::default(),
            agents: BTreeMap::new(),
            handoff_reasons: Vec::new(),
            webhook_secrets: Vec::new(),
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(10),
            requests_per_minute: None,
            lookback: Duration::from_hours(24),
            conversation_max_age: Duration::from_hours(7 * 24),
            max_staleness: None,
        }
    }
}

#[allow(clippy::expect_used, reason = "a constant, and every test would fail")]
fn known(url: &str) -> Url {
    Url::parse(url).expect("a URL")
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
