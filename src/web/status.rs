//! What the landing page and the readiness probe know: how each source's last sweep went.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    model::Source,
    sweep::{Outcome, Report},
};

/// The state of the program as a person wants to know it.
#[derive(Debug, Default)]
pub struct Status {
    ready: AtomicBool,
    sources: Mutex<BTreeMap<(String, Source), Option<LastSweep>>>,
}

/// The figures of a source's last sweep.
#[derive(Debug, Clone)]
pub struct LastSweep {
    /// How it went.
    pub outcome: Outcome,
    /// When it was done, in our clock.
    pub finished: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Conversations that are watched.
    pub watched: usize,
    /// Executions that are open.
    pub open: usize,
    /// What went wrong.
    pub error: Option<String>,
}

impl Status {
    /// Makes a source known, before its first sweep.
    pub fn announce(&self, project: &str, source: Source) {
        self.sources().insert((project.into(), source), None);
    }

    /// Takes note of a sweep.
    pub fn swept(&self, project: &str, report: &Report) {
        let last = LastSweep {
            outcome: report.outcome,
            finished: report.finished,
            duration: report.duration,
            watched: report.progress.watched,
            open: report.progress.open,
            error: report.progress.error.as_ref().map(ToString::to_string),
        };
        self.sources().insert((project.into(), report.source), Some(last));
    }

    /// Whether every source had a sweep to which nothing was missing.
    #[must_use]
    pub fn all_swept(&self) -> bool {
        let whole =
            |last: &Option<LastSweep>| last.as_ref().is_some_and(|l| l.outcome != Outcome::Incomplete);
        self.sources().values().all(whole)
    }

    /// Answers the readiness probe with yes from now on.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether the probe is answered with yes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Each source with its last sweep.
    pub fn sources(&self) -> MutexGuard<'_, BTreeMap<(String, Source), Option<LastSweep>>> {
        self.sources.lock()
    }
}
