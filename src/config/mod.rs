//! Flags and environment, put together into one [`Config`] that is known to make sense.

pub mod arguments;
pub mod discreet;
pub mod parse;

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use jiff::SignedDuration;
use secrecy::SecretString;
use url::Url;

use crate::{
    account,
    cli::{Scrape, Watch},
    ledger::Buckets,
    model::{Api, ConversationId, Source},
    simulator::DEFAULT_KEY,
};

/// The environment variable that holds the API key.
pub const KEY_VARIABLE: &str = "KAPSO_API_KEY";

/// What the exporter is to do.
#[derive(Debug)]
pub struct Config {
    /// The `project` label.
    pub project: String,
    /// The project's API key.
    pub key: SecretString,
    /// Base URL of the Platform API.
    pub platform_url: Url,
    /// Base URL of the legacy API.
    pub legacy_url: Url,
    /// Whether the two are those of the embedded simulated Kapso.
    pub demo: bool,
    /// What to watch; not empty.
    pub sources: BTreeSet<Source>,
    /// Watch these conversations only; none = discover them.
    pub conversations: Vec<ConversationId>,
    /// From one sweep's start to the next.
    pub interval: Duration,
    /// For one request.
    pub timeout: Duration,
    /// Own request budget; none = half of the reported limit.
    pub requests_per_minute: Option<u32>,
    /// What the accounts have to know.
    pub ledger: account::Settings,
    /// Bound on the series of all workflows and steps.
    pub max_series: usize,
    /// Conversations with series of their own.
    pub max_conversations: usize,
    /// File in which state survives; none = memory alone.
    pub state_path: Option<PathBuf>,
}

impl Config {
    /// Puts the configuration together.
    ///
    /// # Errors
    /// A sentence that names the flag or variable and what is allowed.
    pub fn load(flags: Watch) -> anyhow::Result<Self> {
        let by_workflow = flags.scrape.source.contains(&Source::Workflows);
        ensure!(
            !by_workflow || flags.scrape.conversation.is_empty(),
            "--scrape.conversation does not go with --scrape.source=workflows, which lists the executions of all \
             conversations: use conversations or agents"
        );
        let max_staleness = max_staleness(&flags.scrape)?;
        let key = if flags.demo { DEFAULT_KEY.into() } else { key(flags.kapso.api_key_file.as_deref())? };
        Ok(Self {
            project: "default".into(),
            key,
            platform_url: flags.kapso.platform_url,
            legacy_url: flags.kapso.legacy_url,
            demo: flags.demo,
            sources: flags.scrape.source.into_iter().collect(),
            conversations: flags.scrape.conversation,
            interval: flags.scrape.interval.std(),
            timeout: flags.scrape.timeout.std(),
            requests_per_minute: flags.scrape.requests_per_minute,
            ledger: account::Settings {
                remembered: account::Settings::default().remembered,
                lookback: flags.scrape.lookback.signed(),
                conversation_max_age: flags.scrape.conversation_max_age.signed(),
                max_staleness,
                buckets: Buckets::default(),
            },
            max_series: flags.metrics.max_series,
            max_conversations: flags.metrics.max_conversations,
            state_path: flags.state.path,
        })
    }

    /// Base URL of an API.
    #[must_use]
    pub fn base_url(&self, api: Api) -> &Url {
        match api {
            Api::Legacy => &self.legacy_url,
            Api::Platform => &self.platform_url,
        }
    }
}

/// As it is given, or ten intervals, at least ten minutes.
fn max_staleness(flags: &Scrape) -> anyhow::Result<SignedDuration> {
    let interval = flags.interval.signed();
    let Some(given) = &flags.max_staleness else {
        return Ok(interval.saturating_mul(10).max(SignedDuration::from_mins(10)));
    };
    ensure!(
        given.signed() > interval,
        "--scrape.max-staleness must be longer than --scrape.interval, or the gauges come and go with every sweep"
    );
    Ok(given.signed())
}

/// The key from the file, if one is named, else from the environment.
fn key(file: Option<&Path>) -> anyhow::Result<SecretString> {
    let (key, place) = match file {
        Some(path) => {
            let place = format!("--kapso.api-key-file {}", path.display());
            // A name that no file has may be the key itself.
            ensure!(path.exists(), "there is no file with the name given by --kapso.api-key-file");
            (std::fs::read_to_string(path).with_context(|| format!("cannot read {place}"))?, place)
        }
        None => match env::var(KEY_VARIABLE) {
            Ok(key) if !key.is_empty() => (key, KEY_VARIABLE.into()),
            Ok(_) | Err(env::VarError::NotPresent) => {
                bail!(
                    "no API key: set {KEY_VARIABLE}, or name a file with --kapso.api-key-file (--demo needs none)"
                )
            }
            Err(env::VarError::NotUnicode(_)) => bail!("{KEY_VARIABLE} is not text"),
        },
    };
    parse::key(&key).map_err(|error| anyhow!("{error}: {place}"))
}
