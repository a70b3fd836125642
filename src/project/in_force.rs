//! The configuration in force, for people: what is secret is left out, and so is what names a person.

use std::{fmt::Display, sync::Arc};

use crate::{
    config::ProjectConfig,
    model::{Api, WorkflowFilter},
};

/// A setting: its name in the configuration file, and its value in words.
pub type Setting = (&'static str, String);

/// The settings of a project. Of keys, secrets, conversations and phone numbers it tells whether there are any.
#[must_use]
pub fn in_force(config: &ProjectConfig) -> Arc<[Setting]> {
    let account = &config.account;
    let span = |span: jiff::SignedDuration| format!("{span:#}");
    [
        ("api_key", "set, not shown".into()),
        ("sources", list(config.sources.iter())),
        ("platform_url", config.base_url(Api::Platform).to_string()),
        ("legacy_url", config.base_url(Api::Legacy).to_string()),
        ("interval", humantime::format_duration(config.interval).to_string()),
        ("timeout", humantime::format_duration(config.timeout).to_string()),
        ("lookback", span(account.lookback)),
        ("conversation_max_age", span(account.conversation_max_age)),
        ("max_staleness", span(account.max_staleness)),
        ("requests_per_minute", config.requests_per_minute.map_or_else(half, |own| own.to_string())),
        ("workflows", filter(&config.workflows)),
        ("conversations", count(config.conversations.len(), "all that are found")),
        ("phone_number_ids", count(config.phone_number_ids.len(), "all")),
        ("agents", count(config.agents.len(), "no names")),
        ("handoff_reasons", classes(config)),
        ("webhook", secrets(config.webhook_secrets.len())),
    ]
    .into()
}

fn half() -> String {
    "half of the limit that the API reports".into()
}

fn count(count: usize, none: &str) -> String {
    if count == 0 { none.into() } else { format!("{count} given") }
}

fn secrets(count: usize) -> String {
    match count {
        0 => "none".into(),
        1 => "1 secret, not shown".into(),
        _ => format!("{count} secrets, not shown"),
    }
}

fn classes(config: &ProjectConfig) -> String {
    let classes = list(config.handoff_reasons.iter().map(|rule| &rule.class));
    if classes.is_empty() { "no classes".into() } else { classes }
}

fn filter(filter: &WorkflowFilter) -> String {
    let part = |word: &str, patterns: &[wildmatch::WildMatch]| {
        (!patterns.is_empty()).then(|| format!("{word} {}", list(patterns.iter())))
    };
    let parts = [part("include", &filter.include), part("exclude", &filter.exclude)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "all".into() } else { parts.join("; ") }
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
