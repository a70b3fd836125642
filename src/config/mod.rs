//! What the exporter is to do, by concern. [`Raw`] is what was given, by flags; [`Config::resolve`] puts it together into
//! something that is known to make sense.

pub mod backfill;
mod content;
mod database_url;
pub mod file;
pub mod http_client;
mod log;
pub mod parse;
mod project;
mod raw;
mod remote_write;
mod state;
mod text;
mod tls_version;
pub mod web;
mod yaml;

use std::path::PathBuf;

pub use self::{
    backfill::BackfillConfig,
    content::{Content, Files},
    database_url::{DatabaseUrl, TlsSettings, Trust},
    log::{LogConfig, LogFormat, LogLevel},
    project::{KEY_VARIABLE, ProjectConfig},
    raw::{KeyFrom, Raw, RawProject},
    remote_write::RemoteWriteConfig,
    state::{RawState, STATE_URL_VARIABLE, SharedState, StateConfig, database_url},
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
}

impl Default for MetricsConfig {
    fn default() -> Self {
        let native_histograms = NativeHistograms::default();
        Self { max_series: 50_000, max_conversations: 0, exemplars: true, native_histograms }
    }
}

impl Config {
    /// Puts the configuration together; reads the file of the key where one is named.
    ///
    /// # Errors
    /// A sentence that names the flag or variable and what is allowed.
    pub fn resolve(raw: Raw) -> anyhow::Result<Self> {
        let Raw { projects, metrics, state, file, secret_files, text } = raw;
        let projects = projects.into_iter().map(ProjectConfig::resolve).collect::<anyhow::Result<_>>()?;
        let state = StateConfig::resolve(state)?;
        Ok(Self { projects, metrics, state, file, secret_files, text })
    }

    /// The same with some of the projects alone.
    #[must_use]
    pub fn with_projects(&self, is_watched: impl Fn(&ProjectConfig) -> bool) -> Self {
        let projects = self.projects.iter().filter(|project| is_watched(project)).cloned().collect();
        let (metrics, state, file) = (self.metrics.clone(), self.state.clone(), self.file.clone());
        let (secret_files, text) = (self.secret_files.clone(), self.text.clone());
        Self { projects, metrics, state, file, secret_files, text }
    }
}
