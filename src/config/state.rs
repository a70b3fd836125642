//! What survives a restart, and where: the flags `--state.*` and `--replica.*`.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use jiff::SignedDuration;
use secrecy::SecretString;

use super::DatabaseUrl;

/// The environment variable with the URL of the database.
pub const STATE_URL_VARIABLE: &str = "KAPSO_EXPORTER_STATE_URL";

/// What survives a restart.
#[derive(Debug, Clone, Default)]
pub struct StateConfig {
    /// File in which state survives; none = memory alone, or a database.
    pub path: Option<PathBuf>,
    /// How long the state of a project is kept that is no longer configured; none = for good.
    pub retention: Option<SignedDuration>,
    /// The database in which it survives, which several replicas share.
    pub shared: Option<SharedState>,
}

/// A state that several replicas share.
#[derive(Debug, Clone)]
pub struct SharedState {
    /// Where it is.
    pub url: DatabaseUrl,
    /// Whether the program may create and change its tables.
    pub migrate: bool,
    /// The label `instance` of what the owner of a project shows.
    pub instance_label: String,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
}

/// The same as it was given.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as in StateConfig")]
pub struct RawState {
    pub path: Option<PathBuf>,
    pub retention: Duration,
    /// File with the URL.
    pub url_file: Option<PathBuf>,
    pub migrate: bool,
    pub instance_label: String,
    pub lease_ttl: Duration,
}

impl StateConfig {
    /// Puts it together; reads the file of the URL where one is named, or else the environment.
    ///
    /// # Errors
    /// A sentence that names the flag or variable and what is allowed; quotes nothing of the URL.
    pub fn resolve(raw: RawState) -> anyhow::Result<Self> {
        let RawState { path, retention, url_file, migrate, instance_label, lease_ttl } = raw;
        let url = database_url(url_file.as_deref())?;
        if url.is_some() && path.is_some() {
            bail!(
                "--state.path keeps state in a file, and --state.url-file or {STATE_URL_VARIABLE} in a database: give one \
                 of them"
            );
        }
        ensure!(
            url.is_some() || !migrate,
            "--state.migrate goes with --state.url-file or {STATE_URL_VARIABLE}"
        );
        let shared = url.map(|url| SharedState { url, migrate, instance_label, lease_ttl });
        Ok(Self { path, retention: SignedDuration::try_from(retention).ok(), shared })
    }
}

/// The URL of the database, if there is one.
///
/// # Errors
/// A sentence that names the flag or variable and what is allowed; quotes nothing of the URL.
pub fn database_url(file: Option<&Path>) -> anyhow::Result<Option<DatabaseUrl>> {
    let (text, place) = match (file, in_variable()?) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            bail!("the URL is given twice, by --state.url-file and by {STATE_URL_VARIABLE}")
        }
        (Some(file), None) => {
            // A name that no file has may be the URL itself.
            ensure!(file.is_file(), "there is no file with the name given by --state.url-file");
            let place = format!("--state.url-file {}", file.display());
            (std::fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?, place)
        }
        (None, Some(url)) => (url, STATE_URL_VARIABLE.into()),
    };
    let url = DatabaseUrl::parse(&SecretString::from(text));
    url.map(Some).map_err(|error| anyhow!("{error}: {place}"))
}

fn in_variable() -> anyhow::Result<Option<String>> {
    match env::var(STATE_URL_VARIABLE) {
        Ok(url) if !url.is_empty() => Ok(Some(url)),
        Ok(_) | Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("{STATE_URL_VARIABLE} is not text"),
    }
}
