//! The metrics: what is published, and the expositions of it.
//!
//! [`TABLE`] has a row for each family. [`Renderer::collect`] copies each stream that has changed under its lock (`views`)
//! into a [`Publication`]. Whoever asks for a format gets an exposition of the newest one: the table fills a [`Sink`] with
//! the copies, which writes them in that format (`encode`, stream by stream: `pieces`). The samples of all streams are
//! put together (`exposition`), and what is new of that is compressed (`compress`).
//!
//! An exposition is made on its first demand and kept with its publication. What was asked for within the last minutes is
//! made as soon as something new is published, so that a regular scrape neither takes a lock nor waits.

mod compress;
mod demand;
mod encode;
mod exposition;
mod family;
mod figures;
mod instance;
mod pieces;
mod publication;
mod reference;
mod renderer;
mod replicas;
mod rows;
mod series_budget;
mod sink;
mod starts;
mod table;
#[cfg(test)]
mod tests;
mod trends;
mod view;
mod views;
mod web;
mod workflow;

pub(crate) use self::encode::{EXEMPLAR_LABEL, bound, escape, unit};
pub use self::{
    encode::{Encoder, Format, Options},
    family::{Family, Kind, Note, RowsFrom, Shown, Unit},
    figures::{StreamFigures, WorkflowFigures},
    instance::{ConfigFigures, Instance, InstanceMetrics, StateFigures},
    publication::{Encoding, Publication},
    reference::reference,
    renderer::Renderer,
    replicas::{LostBy, ReplicaMetrics},
    rows::{Label, Rows},
    sink::{Labels, Sink, Value},
    starts::SeriesStarts,
    table::TABLE,
    trends::{MINUTES, Trend},
    view::{Limits, OTHER, View},
    web::{RequestRefusal, WebFigures, WebMetrics},
    workflow::Workflow,
};

/// How much is published of all streams together, and how.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Series of all workflows and steps.
    pub max_series: usize,
    /// Conversations with series of their own, in each stream.
    pub max_conversations: usize,
    /// Kinds of handoffs with a class of reason that a project may have.
    pub handoff_classes: usize,
    /// What is written where a format has it.
    pub options: Options,
}
