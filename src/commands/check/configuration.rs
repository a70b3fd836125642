//! The configuration, as a report shows it.

use serde::Serialize;

use super::WebReport;
use crate::config::{ProjectConfig, StateConfig};

/// What the flags say; times in seconds.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "named after their flags")]
pub struct Configuration {
    pub project: String,
    pub sources: Vec<&'static str>,
    pub platform_url: String,
    pub legacy_url: String,
    /// How many are named; 0 = they are discovered.
    pub conversations: usize,
    pub interval_seconds: f64,
    pub lookback_seconds: f64,
    pub conversation_max_age_seconds: f64,
    pub timeout_seconds: f64,
    /// `null` = half of the key's limit.
    pub requests_per_minute: Option<u32>,
    /// `null` = in memory alone.
    pub state_path: Option<String>,
    /// Where webhook deliveries are taken; `null` = they are not.
    pub webhook_path: Option<String>,
    /// What `--web.config.file` says; `null` without one.
    pub web: Option<WebReport>,
}

impl Configuration {
    pub(super) fn of(project: &ProjectConfig, state: &StateConfig, web: Option<&WebReport>) -> Self {
        Self {
            project: project.name.clone(),
            sources: project.sources.iter().map(|source| source.as_str()).collect(),
            platform_url: project.platform_url.to_string(),
            legacy_url: project.legacy_url.to_string(),
            conversations: project.conversations.len(),
            interval_seconds: project.interval.as_secs_f64(),
            lookback_seconds: project.account.lookback.as_secs_f64(),
            conversation_max_age_seconds: project.account.conversation_max_age.as_secs_f64(),
            timeout_seconds: project.timeout.as_secs_f64(),
            requests_per_minute: project.requests_per_minute,
            state_path: state.path.as_ref().map(|path| path.display().to_string()),
            webhook_path: project.takes_deliveries().then(|| format!("/webhooks/kapso/{}", project.name)),
            web: web.cloned(),
        }
    }
}
