//! A project: its key, its APIs, and how it is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    parse,
    raw::{KeyFrom, RawProject},
};
use crate::{
    account::{self, Scope},
    model::{Api, ConversationId, ReasonRule, Source, WorkflowFilter, WorkflowId},
};

/// The environment variable that holds the API key.
pub const KEY_VARIABLE: &str = "KAPSO_API_KEY";

/// What is watched of a project, and how.
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    /// The `project` label.
    pub name: String,
    /// The project's API key.
    pub key: SecretString,
    /// Base URL of the Platform API.
    pub platform_url: Url,
    /// Base URL of the legacy API.
    pub legacy_url: Url,
    /// Whether the two are those of an embedded simulated Kapso, whose port is another one each time.
    pub embedded: bool,
    /// What to watch; not empty.
    pub sources: BTreeSet<Source>,
    /// Whether the source agents was added by itself, for the case that the legacy API shows any.
    pub tries_agents: bool,
    /// Watch these conversations only; none = discover them.
    pub conversations: Vec<ConversationId>,
    /// Watch the conversations of these phone numbers only; none = of all.
    pub phone_number_ids: Vec<String>,
    /// Watch these workflows only.
    pub workflows: WorkflowFilter,
    /// Names of legacy agents, which the API does not tell.
    pub agents: BTreeMap<WorkflowId, String>,
    /// Classes of the reasons of handoffs; the first that fits holds.
    pub handoff_reasons: Vec<ReasonRule>,
    /// Secrets with which webhook deliveries are signed; none = deliveries are not taken.
    pub webhook_secrets: Vec<SecretString>,
    /// From one sweep's start to the next.
    pub interval: Duration,
    /// For one request.
    pub timeout: Duration,
    /// Own request budget; none = half of the reported limit.
    pub requests_per_minute: Option<u32>,
    /// What the accounts have to know.
    pub account: account::Settings,
}

/// Whether the same is watched in the same way.
impl PartialEq for ProjectConfig {
    fn eq(&self, other: &Self) -> bool {
        let facts = |of: &Self| {
            let Self { name, platform_url, legacy_url, embedded, sources, conversations, .. } = of.clone();
            let Self { phone_number_ids, workflows, agents, handoff_reasons, .. } = of.clone();
            let Self { tries_agents, interval, timeout, requests_per_minute, account, .. } = of.clone();
            let asked = (name, platform_url, legacy_url, embedded, sources, conversations, timeout);
            let watched = (phone_number_ids, workflows, agents, handoff_reasons);
            (asked, watched, tries_agents, interval, requests_per_minute, account)
        };
        let secrets = |of: &Self| {
            let secrets = of.webhook_secrets.iter().chain([&of.key]);
            secrets.map(|secret| secret.expose_secret().to_owned()).collect::<Vec<_>>()
        };
        secrets(self) == secrets(other) && facts(self) == facts(other)
    }
}

impl ProjectConfig {
    /// Puts it together; reads the file of the key where one is named.
    ///
    /// # Errors
    /// A sentence that names what is wrong and what is allowed.
    pub fn resolve(raw: RawProject) -> anyhow::Result<Self> {
        let (sources, tries_agents) = sources(&raw)?;
        ensure!(
            !sources.contains(&Source::Workflows) || raw.conversations.is_empty(),
            "chosen conversations (--scrape.conversation) do not go with the source workflows, which lists the \
             executions of all of them: use the source conversations or agents"
        );
        ensure!(
            raw.phone_number_ids.is_empty() || sources == [Source::Conversations].into(),
            "phone_number_ids goes with the source conversations alone, or with auto, which is conversations then: only the platform's list of conversations tells \
             which phone number a conversation is of"
        );
        ensure!(
            raw.phone_number_ids.is_empty() || raw.conversations.is_empty(),
            "phone_number_ids and conversations do not go together: of a conversation that is named, nothing tells which \
             phone number it is of"
        );
        ensure!(
            raw.webhook_secrets.is_empty() || sources.iter().any(|source| source.api() == Api::Platform),
            "webhook goes with the sources auto, conversations and workflows: its deliveries tell of executions of the platform \
             API"
        );
        let account = account::Settings {
            lookback: signed(raw.lookback),
            conversation_max_age: signed(raw.conversation_max_age),
            max_staleness: max_staleness(&raw)?,
            ..account::Settings::default()
        };
        Ok(Self {
            name: raw.name,
            key: key(raw.key)?,
            platform_url: raw.platform_url,
            legacy_url: raw.legacy_url,
            embedded: raw.embedded,
            sources,
            tries_agents,
            conversations: raw.conversations,
            phone_number_ids: raw.phone_number_ids,
            workflows: raw.workflows,
            agents: raw.agents,
            handoff_reasons: raw.handoff_reasons,
            webhook_secrets: raw.webhook_secrets,
            interval: raw.interval,
            timeout: raw.timeout,
            requests_per_minute: raw.requests_per_minute,
            account,
        })
    }

    /// What the account of an API has to know.
    #[must_use]
    pub fn account_of(&self, api: Api) -> account::Settings {
        let (names, names_are_listed) = match api {
            Api::Legacy => (self.agents.clone(), false),
            Api::Platform => (BTreeMap::new(), true),
        };
        let scope = Scope { workflows: self.workflows.clone(), names, names_are_listed };
        let phone_number_ids = self.phone_number_ids.clone();
        let expects_deliveries = api == Api::Platform && self.takes_deliveries();
        account::Settings { scope, phone_number_ids, expects_deliveries, ..self.account.clone() }
    }

    /// Whether webhook deliveries are taken.
    #[must_use]
    pub fn takes_deliveries(&self) -> bool {
        !self.webhook_secrets.is_empty()
    }

    /// How many kinds of handoffs with a class of reason there may be: of one source, or of three where webhook deliveries
    /// tell the source.
    #[must_use]
    pub fn handoff_kinds(&self) -> usize {
        self.handoff_reasons.len() * if self.takes_deliveries() { 3 } else { 1 }
    }

    /// Base URL of an API.
    #[must_use]
    pub fn base_url(&self, api: Api) -> &Url {
        match api {
            Api::Legacy => &self.legacy_url,
            Api::Platform => &self.platform_url,
        }
    }

    /// The APIs that the sources ask.
    #[must_use]
    pub fn apis(&self) -> BTreeSet<Api> {
        self.sources.iter().map(|source| source.api()).collect()
    }

    /// Whether nobody asked for this API: it is watched once it shows an execution.
    #[must_use]
    pub fn only_tries(&self, api: Api) -> bool {
        api == Source::Agents.api() && self.tries_agents
    }

    /// The sources that ask this API.
    #[must_use]
    pub fn sources_of(&self, api: Api) -> BTreeSet<Source> {
        self.sources.iter().copied().filter(|source| source.api() == api).collect()
    }
}

/// The sources, and whether agents is one of them for the case alone that the legacy API shows any. With conversations or
/// phone numbers that are named, nothing is left to choose: only the lists of these conversations show no others.
fn sources(raw: &RawProject) -> anyhow::Result<(BTreeSet<Source>, bool)> {
    let mut sources: BTreeSet<_> = raw.sources.iter().copied().collect();
    if !sources.remove(&Source::Auto) {
        return Ok((sources, false));
    }
    ensure!(
        sources.iter().all(|source| *source == Source::Agents),
        "the source auto reads whatever conversations and workflows read: name it alone, or with agents, or name the \
         others without it"
    );
    if !raw.conversations.is_empty() || !raw.phone_number_ids.is_empty() {
        sources.insert(Source::Conversations);
        return Ok((sources, false));
    }
    sources.insert(Source::Auto);
    let is_named = !sources.insert(Source::Agents) || !raw.agents.is_empty();
    Ok((sources, !is_named))
}

/// As it is given, or ten intervals, at least ten minutes.
fn max_staleness(raw: &RawProject) -> anyhow::Result<SignedDuration> {
    let Some(given) = raw.max_staleness else {
        return Ok(signed(raw.interval).saturating_mul(10).max(SignedDuration::from_mins(10)));
    };
    ensure!(
        given > raw.interval,
        "max_staleness (--scrape.max-staleness) must be longer than the interval, or the gauges come and go with every \
         sweep"
    );
    Ok(signed(given))
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

fn key(from: KeyFrom) -> anyhow::Result<SecretString> {
    let (key, place) = match from {
        KeyFrom::Value(key) => return Ok(key),
        KeyFrom::File(path) => key_in_file(&path)?,
        KeyFrom::Variable => (key_in_variable()?, KEY_VARIABLE.into()),
    };
    parse::key(&key).map_err(|error| anyhow!("{error}: {place}"))
}

/// What the file holds, and where that is.
fn key_in_file(path: &Path) -> anyhow::Result<(String, String)> {
    let place = format!("--kapso.api-key-file {}", path.display());
    // A name that no file has may be the key itself.
    ensure!(path.exists(), "there is no file with the name given by --kapso.api-key-file");
    Ok((std::fs::read_to_string(path).with_context(|| format!("cannot read {place}"))?, place))
}

fn key_in_variable() -> anyhow::Result<String> {
    match env::var(KEY_VARIABLE) {
        Ok(key) if !key.is_empty() => Ok(key),
        Ok(_) | Err(env::VarError::NotPresent) => {
            bail!(
                "no API key: set {KEY_VARIABLE}, or name a file with --kapso.api-key-file (--demo needs none)"
            )
        }
        Err(env::VarError::NotUnicode(_)) => bail!("{KEY_VARIABLE} is not text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(sources: &[Source], conversations: &[&str]) -> Result<ProjectConfig, String> {
        let raw = RawProject {
            sources: sources.into(),
            conversations: conversations.iter().map(|&id| id.into()).collect(),
            phone_number_ids: vec!["1".into()],
            ..RawProject::new("acme", KeyFrom::Value("key".into()))
        };
        ProjectConfig::resolve(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn phone_numbers_go_with_conversations_that_are_discovered_and_nothing_else() {
        assert_eq!(numbers(&[Source::Conversations], &[]).unwrap().phone_number_ids, ["1"]);
        for sources in
            [&[Source::Agents][..], &[Source::Workflows], &[Source::Conversations, Source::Workflows]]
        {
            let error = numbers(sources, &[]).unwrap_err();
            assert!(error.contains("goes with the source conversations alone"), "{error}");
        }
        let error = numbers(&[Source::Conversations], &["c"]).unwrap_err();
        assert!(error.contains("do not go together"), "{error}");
    }

    #[test]
    fn names_of_agents_are_names_of_the_legacy_api_alone() {
        let agents = [("a".into(), "Sales".into())].into();
        let raw = RawProject { agents, ..RawProject::new("acme", KeyFrom::Value("key".into())) };
        let config = ProjectConfig::resolve(raw).unwrap();
        let names = |api| config.account_of(api).scope.names.len();
        assert_eq!((names(Api::Legacy), names(Api::Platform)), (1, 0));
    }
}
