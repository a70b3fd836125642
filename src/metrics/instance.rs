//! The process: what is published beside the streams.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{
    core::Collector,
    process_collector::ProcessCollector,
    proto::{MetricFamily, MetricType},
};

use super::{
    TABLE,
    family::Of,
    replicas::ReplicaMetrics,
    series_budget::Refused,
    sink::{SeriesCount, Sink},
    starts::SeriesStarts,
    table,
    web::{WebFigures, WebMetrics},
};
use crate::logging;

/// What a process publishes of itself, kept up to date by its parts.
#[derive(Debug, Default)]
pub struct InstanceMetrics {
    state: Mutex<Option<StateFigures>>,
    config: Mutex<Option<ConfigFigures>>,
    web: OnceLock<Arc<WebMetrics>>,
    replica: OnceLock<Arc<ReplicaMetrics>>,
    refused: Mutex<Refused>,
}

/// The figures of a state file.
#[derive(Debug, Clone, Copy)]
pub struct StateFigures {
    /// Its size in bytes, where it is a file.
    pub size: Option<u64>,
    /// When it was last written by this process, in our clock.
    pub last_write: Option<Timestamp>,
    /// How often it could not be written.
    pub errors: u64,
}

/// The figures of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFigures {
    /// A hash of the one in force.
    pub hash: String,
    /// When that was read.
    pub loaded: Timestamp,
    /// Whether the last one that was read was taken over.
    pub successful: bool,
}

/// A process at one moment.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its state file, if it has one.
    pub state: Option<StateFigures>,
    /// Its configuration file, if it has one.
    pub config: Option<ConfigFigures>,
    /// Its web configuration file, if it has one.
    pub web: Option<WebFigures>,
    /// Workflows, or steps, that got no series of their own, by family.
    pub series_dropped: BTreeMap<&'static str, u64>,
    /// Lines of the log that were dropped since the start.
    pub log_lines_dropped: u64,
    /// Series of all families together.
    pub series: usize,
    /// What the client library tells of the process, by the names of its families.
    pub process: BTreeMap<String, u64>,
    /// Of the series of the process.
    pub(super) starts: SeriesStarts,
}

impl InstanceMetrics {
    /// There is a state file of this size, which was not written yet.
    pub fn announce_state(&self, size: Option<u64>) {
        *self.state.lock() = Some(StateFigures { size, last_write: None, errors: 0 });
    }

    /// Takes note that state was written, and how large the file is.
    pub fn state_written(&self, size: Option<u64>, at: Timestamp) {
        if let Some(state) = &mut *self.state.lock() {
            *state = StateFigures { size, last_write: Some(at), ..*state };
        }
    }

    /// Takes note that state could not be written.
    pub fn state_failed(&self) {
        if let Some(state) = &mut *self.state.lock() {
            state.errors += 1;
        }
    }

    /// Takes note that a configuration file with this hash is in force since then, in our clock.
    pub fn config_loaded(&self, hash: &str, at: Timestamp) {
        let figures = ConfigFigures { hash: hash.into(), loaded: at, successful: true };
        *self.config.lock() = Some(figures);
    }

    /// Takes note that a configuration file was refused.
    pub fn config_refused(&self) {
        if let Some(config) = &mut *self.config.lock() {
            config.successful = false;
        }
    }

    /// Publishes what the server counts, too.
    pub fn serves(&self, web: Arc<WebMetrics>) {
        self.web.set(web).ok();
    }

    /// Publishes what a replica counts, too.
    pub fn shares(&self, replica: Arc<ReplicaMetrics>) {
        self.replica.set(replica).ok();
    }

    /// The state file, if there is one.
    #[must_use]
    pub fn state(&self) -> Option<StateFigures> {
        *self.state.lock()
    }

    /// The configuration file, if there is one.
    #[must_use]
    pub fn config(&self) -> Option<ConfigFigures> {
        self.config.lock().clone()
    }

    /// Takes note of what got no series of its own.
    pub(super) fn refused(&self, refused: Refused) {
        let mut so_far = self.refused.lock();
        so_far.workflows += refused.workflows;
        so_far.steps += refused.steps;
    }

    /// The process now; how many series there are is not known.
    pub(super) fn now(&self) -> Instance {
        let refused = *self.refused.lock();
        let dropped = table::of_workflows().map(|family| {
            let steps = if family.name == table::STEPS { refused.steps } else { 0 };
            (family.name, refused.workflows + steps)
        });
        Instance {
            state: self.state(),
            config: self.config(),
            web: self.web.get().and_then(|web| web.now()),
            series_dropped: dropped.collect(),
            log_lines_dropped: logging::dropped_lines(),
            series: 0,
            process: BTreeMap::new(),
            starts: SeriesStarts::default(),
        }
    }
}

impl Instance {
    /// With what is told of the process, and all series counted, those of the streams being so many. Its own series go
    /// on from `earlier`, and those that are new began at `begun`, in our clock.
    #[must_use]
    pub(super) fn complete(
        self,
        process: &ProcessCollector,
        of_streams: usize,
        (earlier, begun): (&SeriesStarts, Timestamp),
    ) -> Self {
        let mut complete = Self { process: process.collect().iter().filter_map(value).collect(), ..self };
        let all = |sink: &mut dyn Sink| {
            TABLE.iter().for_each(|family| family.collect(Of::Instance(&complete), sink));
        };
        let mut count = SeriesCount::default();
        all(&mut count);
        let starts = earlier.next(begun, |sink| all(sink));
        (complete.series, complete.starts) = (of_streams + count.series, starts);
        complete
    }
}

/// The value of a family that has one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the library counts in whole numbers"
)]
fn value(family: &MetricFamily) -> Option<(String, u64)> {
    let metric = family.get_metric().first()?;
    let value = match family.get_field_type() {
        MetricType::COUNTER => metric.get_counter().get_value(),
        _ => metric.get_gauge().get_value(),
    };
    Some((family.name().to_owned(), value as u64))
}
