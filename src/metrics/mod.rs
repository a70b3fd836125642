//! The metrics: what is published, and the rendered exposition.
//!
//! [`TABLE`] has a row for each family. [`Renderer`] copies each stream under its lock, lets the table fill a sink with
//! the copies, and writes that into bytes, plain and compressed; a scrape hands these out and neither takes a lock
//! nor renders anything.

mod family;
mod instance;
mod reference;
mod series_budget;
mod sink;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod workflow;

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
    sync::Arc,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use parking_lot::Mutex;
use prometheus::{Encoder, TextEncoder, core::Collector, process_collector::ProcessCollector};

pub use self::{
    family::{Family, Kind, Label, Note, Rows, RowsFrom, Shown, Unit},
    instance::{ConfigFigures, Instance, InstanceMetrics, StateFigures},
    reference::reference,
    sink::{Labels, Sink},
    table::TABLE,
    view::{Limits, OTHER, View},
    workflow::Workflow,
};
use self::{series_budget::SeriesBudget, sink::MetricFamilies};
use crate::project::{StreamKey, Streams};

/// The media type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The family that counts the series of all.
const SERIES: &str = "kapso_exporter_series";

/// How much is published of all streams together.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Series of all workflows and steps.
    pub max_series: usize,
    /// Conversations with series of their own, in each stream.
    pub max_conversations: usize,
    /// Classes of the reasons of handoffs that a project may have.
    pub handoff_classes: usize,
}

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
    instance: Arc<InstanceMetrics>,
    streams: Arc<Streams>,
    /// Which workflows of each stream have series of their own.
    series_budgets: Mutex<BTreeMap<StreamKey, SeriesBudget>>,
    limits: ArcSwap<Bounds>,
    process: ProcessCollector,
    newest: ArcSwap<Snapshot>,
}

impl Renderer {
    /// Publishes these streams, which share the series that `limits` allows, and the process.
    #[must_use]
    pub fn new(instance: Arc<InstanceMetrics>, streams: Arc<Streams>, limits: Bounds) -> Self {
        Self {
            instance,
            streams,
            series_budgets: Mutex::default(),
            limits: ArcSwap::from_pointee(limits),
            process: ProcessCollector::for_self(),
            newest: ArcSwap::default(),
        }
    }

    /// Goes on within other limits.
    pub fn set_limits(&self, limits: Bounds) {
        self.limits.store(Arc::new(limits));
    }

    /// What is published, besides the process.
    #[must_use]
    pub fn streams(&self) -> &Arc<Streams> {
        &self.streams
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
        let plain = self.text()?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain)?;
        Ok(Snapshot { plain: plain.into(), gzip: gzip.finish()?.into() })
    }

    /// Makes a rendering the newest one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.newest.store(Arc::new(snapshot));
    }

    /// One family after the other, so that the samples of one alone are in memory beside the text.
    fn text(&self) -> anyhow::Result<Vec<u8>> {
        let (views, instance) = (self.views(), self.instance.now(0));
        let (mut text, mut rest, mut series) = (Vec::new(), Vec::new(), 0);
        for family in TABLE.iter().filter(|family| family.name != SERIES) {
            let part = if family.name < SERIES { &mut text } else { &mut rest };
            series += write(part, |families| family.collect(&instance, &views, families))?;
        }
        series += write(&mut rest, |families| families.extend(self.process.collect()))?;
        // The family that counts them has one itself.
        let instance = Instance { series: series + 1, ..instance };
        for family in TABLE.iter().filter(|family| family.name == SERIES) {
            write(&mut text, |families| family.collect(&instance, &views, families))?;
        }
        text.append(&mut rest);
        Ok(text)
    }

    /// Each stream now, copied under its locks.
    fn views(&self) -> Vec<View> {
        let (streams, limits) = (self.streams.all(), self.limits.load());
        let share = limits.max_series / streams.len().max(1);
        let limits = Limits::within(share, limits.max_conversations, limits.handoff_classes);
        let mut series_budgets = self.series_budgets.lock();
        series_budgets.retain(|key, _| streams.iter().any(|stream| stream.key == *key));
        let (mut views, mut projects) = (Vec::new(), HashSet::new());
        for stream in streams.iter() {
            let series_budget = series_budgets.entry(stream.key.clone()).or_default();
            let (view, refused) = View::of(stream, series_budget, limits);
            self.instance.refused(refused);
            views.push(View { is_first: projects.insert(view.key.project.clone()), ..view });
        }
        views
    }
}

/// Appends what `collect` collects as text. Returns how many series that are.
fn write(text: &mut Vec<u8>, collect: impl FnOnce(&mut MetricFamilies)) -> anyhow::Result<usize> {
    let mut families = MetricFamilies::default();
    collect(&mut families);
    let series = families.series();
    TextEncoder::new().encode(&families.sorted(), text)?;
    Ok(series)
}
