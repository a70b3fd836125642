//! The projects of a configuration, opened, and how it differs from the one before.

use std::{collections::BTreeSet, sync::Arc};

use super::Projects;
use crate::{
    config::{MetricsConfig, ProjectConfig},
    metrics::{Bounds, Options},
    state::OpenedAccount,
};

/// The projects of a configuration, opened. Dropped, it leaves no trace.
pub struct Opened {
    pub(super) metrics: MetricsConfig,
    /// The names of all projects, whether they are watched here or not.
    pub(super) configured: BTreeSet<String>,
    pub(super) projects: Projects,
    /// Those that are not as they were: removed, changed, or new.
    pub(super) changes: Changes,
}

/// How a configuration differs from the one before, by the names of the projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// They were not there.
    pub added: BTreeSet<Arc<str>>,
    /// Something about them is new.
    pub changed: BTreeSet<Arc<str>>,
    /// They are no longer there.
    pub removed: BTreeSet<Arc<str>>,
}

impl Opened {
    /// What is new.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How much is published.
    pub(super) fn bounds(&self) -> Bounds {
        bounds(&self.metrics, self.projects.values().map(|watched| &*watched.project.config))
    }

    /// Whether every account goes on with what an earlier run kept.
    pub(super) fn is_restored(&self) -> bool {
        self.projects.values().all(|watched| {
            let config = &watched.project.config;
            let began = |opened: &OpenedAccount| opened.account.lock().ledger.watch_start().is_some();
            // An API that is only tried may never have been there.
            watched.accounts.iter().all(|(&api, opened)| config.only_tries(api) || began(opened))
        })
    }
}

/// How much is published of these projects.
pub fn bounds<'a>(metrics: &MetricsConfig, projects: impl Iterator<Item = &'a ProjectConfig>) -> Bounds {
    let &MetricsConfig { max_series, max_conversations, exemplars, native_histograms, ref instance } =
        metrics;
    let options = Options { exemplars, native_histograms };
    let handoff_classes = projects.map(ProjectConfig::handoff_kinds).max().unwrap_or_default();
    let instance = instance.as_deref().map(Into::into);
    Bounds { max_series, max_conversations, handoff_classes, options, instance }
}
