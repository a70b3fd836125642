//! What the exporter is to do, by concern. [`Raw`] is what was given, by flags; [`Config::resolve`] puts it together into
//! something that is known to make sense.

pub mod backfill;
mod content;
pub mod file;
pub mod http_client;
mod log;
pub mod parse;
mod project;
mod raw;
mod remote_write;
mod text;
mod tls_version;
pub mod web;
mod yaml;

use std::path::PathBuf;

use jiff::SignedDuration;

pub use self::{
    backfill::BackfillConfig,
    content::{Content, Files},
    log::{LogConfig, LogFormat, LogLevel},
    project::{KEY_VARIABLE, ProjectConfig},
    raw::{KeyFrom, Raw, RawProject},
    remote_write::RemoteWriteConfig,
    tls_version::TlsVersion,
    web::WebConfig,
    yaml::{Place, Problem, Problems},
};

use crate::model::NativeHistograms;

/// Paths of the server that no telemetry path may take.
pub const RESERVED_PATHS: [&str; 2] = ["/", "/status.css"];
/// Nor may it be below these.
pub const RESERVED_FOLDERS: [&str; 4] = ["/-/", "/api/", "/projects/", "/webhooks/"];

/// What the exporter is to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is watched, and how; each has a name of its own.
    pub projects: Vec<ProjectConfig>,
    /// How much is published.
    pub metrics: MetricsConfig,
    /// What survives.
    pub state: StateConfig,
    /// The configuration file, if it comes from one.
    pub file: Option<PathBuf>,
    /// Files that hold secrets.
    pub secret_files: Vec<PathBuf>,
    /// The configuration file as it was read; empty without one.
    pub text: String,
}

/// How much is published.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Bound on the series of all workflows and steps.
    pub max_series: usize,
    /// Conversations with series of their own.
    pub max_conversations: usize,
    /// Whether exemplars are published.
    pub exemplars: bool,
    /// Whether histograms are published as native ones.
    pub native_histograms: NativeHistograms,
    /// The `instance` label of everything that is shown of a project; none = whoever scrapes gives one.
    pub instance: Option<String>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        let native_histograms = NativeHistograms::default();
        Self { max_series: 50_000, max_conversations: 0, exemplars: true, native_histograms, instance: None }
    }
}

/// What survives a restart.
#[derive(Debug, Clone, Default)]
pub struct StateConfig {
    /// File in which state survives; none = memory alone.
    pub path: Option<PathBuf>,
    /// How long the state of a project is kept that is no longer configured; none = for good.
    pub retention: Option<SignedDuration>,
}

impl Config {
    /// Puts the configuration together; reads the file of the key where one is named.
    ///
    /// # Errors
    /// A sentence that names the flag or variable and what is allowed.
    pub fn resolve(raw: Raw) -> anyhow::Result<Self> {
        let Raw { projects, metrics, state, file, secret_files, text } = raw;
        let projects = projects.into_iter().map(ProjectConfig::resolve).collect::<anyhow::Result<_>>()?;
        Ok(Self { projects, metrics, state, file, secret_files, text })
    }
}
