//! The metrics: what is published, and the rendered exposition.
//!
//! [`TABLE`] has a row for each family. [`Renderer`] copies each stream that has changed under its lock, lets the table
//! fill a sink with the copy, and writes that as text (`pieces`). Then it puts the texts of all streams together
//! (`exposition`) and compresses what is new of that (`gzip`). A scrape hands out what is ready: it neither takes a lock
//! nor renders anything.

mod exposition;
mod family;
mod figures;
mod gzip;
mod instance;
mod pieces;
mod reference;
mod series_budget;
mod sink;
mod table;
#[cfg(test)]
mod tests;
mod trends;
mod view;
mod web;
mod workflow;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use prometheus::{core::Collector, process_collector::ProcessCollector};

use self::{exposition::Exposition, gzip::Gzip, pieces::Pieces};
pub use self::{
    family::{Family, Kind, Label, Note, Rows, RowsFrom, Shown, Unit},
    figures::{StreamFigures, WorkflowFigures},
    instance::{ConfigFigures, Instance, InstanceMetrics, StateFigures},
    reference::reference,
    sink::{Labels, Sink},
    table::TABLE,
    trends::{MINUTES, Trend},
    view::{Limits, OTHER, View},
    web::{RequestRefusal, WebFigures, WebMetrics},
    workflow::Workflow,
};
use crate::project::Streams;

/// The media type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How much is published of all streams together.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Series of all workflows and steps.
    pub max_series: usize,
    /// Conversations with series of their own, in each stream.
    pub max_conversations: usize,
    /// Kinds of handoffs with a class of reason that a project may have.
    pub handoff_classes: usize,
}

/// A rendered exposition.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// As it is.
    pub plain: Bytes,
    /// Compressed with gzip.
    pub gzip: Bytes,
    /// The figures in it, by project and API.
    pub streams: Arc<[Arc<StreamFigures>]>,
}

/// Everything that is published, and its newest rendering.
pub struct Renderer {
    instance: Arc<InstanceMetrics>,
    streams: Arc<Streams>,
    kept: Mutex<Kept>,
    limits: ArcSwap<Bounds>,
    process: ProcessCollector,
    newest: ArcSwap<Snapshot>,
}

/// What a rendering takes over from the one before.
#[derive(Default)]
struct Kept {
    pieces: Pieces,
    gzip: Gzip,
}

impl Renderer {
    /// Publishes these streams, which share the series that `limits` allows, and the process.
    #[must_use]
    pub fn new(instance: Arc<InstanceMetrics>, streams: Arc<Streams>, limits: Bounds) -> Self {
        Self {
            instance,
            streams,
            kept: Mutex::default(),
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

    /// What is published of the process itself.
    #[must_use]
    pub fn instance(&self) -> &InstanceMetrics {
        &self.instance
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
        let Kept { pieces, gzip } = &mut *self.kept.lock();
        let (streams, bounds) = (self.streams.all(), self.limits.load());
        let share = bounds.max_series / streams.len().max(1);
        let limits = Limits::within(share, bounds.max_conversations, bounds.handoff_classes);
        pieces.update(&streams, limits, |refused| self.instance.refused(refused))?;
        let (plain, blocks) = Exposition::of(&self.instance, pieces, self.process.collect())?;
        let gzip = gzip.compress(&plain, &blocks)?;
        let streams = pieces.iter().map(|piece| piece.figures().clone()).collect();
        Ok(Snapshot { plain, gzip, streams })
    }

    /// Makes a rendering the newest one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.newest.store(Arc::new(snapshot));
    }
}
