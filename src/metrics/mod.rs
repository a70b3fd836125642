//! The metrics: what is published, and the rendered exposition.
//!
//! [`TABLE`] has a row for each family that comes from the ledgers, [`InstanceMetrics`] those of the program
//! itself. [`Renderer`] renders everything once per change into bytes, plain and compressed; a scrape hands
//! these out and neither takes a lock nor renders anything.

mod collector;
mod exporter;
mod family;
mod notes;
mod reference;
mod series_budget;
mod statuses;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::{io::Write, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use prometheus::{Encoder, Registry, TextEncoder, process_collector::ProcessCollector, proto::MetricFamily};

pub use self::{
    collector::Stream,
    exporter::{InstanceMetrics, RequestObserver},
    family::{Family, Rows, RowsFrom},
    reference::{Described, Mismatch, Note, reference},
    table::TABLE,
    view::{Limits, OTHER, View, Workflow},
};
use crate::logging;

/// The media type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A rendered exposition.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// As it is.
    pub plain: Bytes,
    /// Compressed with gzip.
    pub gzip: Bytes,
}

/// Everything that is published, and its newest rendering.
pub struct Renderer {
    registry: Registry,
    exporter: Arc<InstanceMetrics>,
    streams: Vec<Stream>,
    newest: ArcSwap<Snapshot>,
}

impl Renderer {
    /// Publishes these ledgers, the exporter's own metrics and the process's.
    ///
    /// # Errors
    /// If two metrics share a name.
    pub fn new(
        registry: Registry,
        exporter: Arc<InstanceMetrics>,
        streams: Vec<Stream>,
    ) -> prometheus::Result<Self> {
        registry.register(Box::new(collector::Ledgers::new(streams.clone(), exporter.clone())?))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self { registry, exporter, streams, newest: ArcSwap::default() })
    }

    /// The newest rendering.
    #[must_use]
    pub fn newest(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Renders what is known now. Takes milliseconds for thousands of series: not for the threads that serve.
    ///
    /// # Errors
    /// If a family cannot be written as text.
    pub fn render(&self) -> anyhow::Result<Snapshot> {
        for stream in &self.streams {
            self.exporter.budget(&stream.project, stream.budget.status());
        }
        self.exporter.log_lines_dropped(logging::dropped_lines());
        let mut families = self.registry.gather();
        self.count_series(&mut families);
        let mut plain = Vec::new();
        TextEncoder::new().encode(&families, &mut plain)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain)?;
        Ok(Snapshot { plain: plain.into(), gzip: gzip.finish()?.into() })
    }

    /// Makes a rendering the newest one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.newest.store(Arc::new(snapshot));
    }

    /// Sets `kapso_exporter_series` in what was gathered, to what was gathered.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "a count of series in memory")]
    fn count_series(&self, families: &mut [MetricFamily]) {
        let series = families.iter().map(series_of).sum::<usize>();
        self.exporter.series.set(series as i64);
        for family in families.iter_mut().filter(|family| family.name() == "kapso_exporter_series") {
            for metric in family.mut_metric() {
                let mut gauge = metric.get_gauge().clone();
                gauge.set_value(series as f64);
                metric.set_gauge(gauge);
            }
        }
    }
}

/// The series of a family as Prometheus counts them: a histogram has one per bucket, `+Inf` included, a sum
/// and a count.
fn series_of(family: &MetricFamily) -> usize {
    let of = |metric: &prometheus::proto::Metric| match family.get_field_type() {
        prometheus::proto::MetricType::HISTOGRAM => metric.get_histogram().get_bucket().len() + 3,
        _ => 1,
    };
    family.get_metric().iter().map(of).sum()
}
