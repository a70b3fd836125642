//! What is published at one moment: copies of the streams and of the process, and the expositions that were made of them.
//!
//! An exposition is made when somebody asks for it first, and kept as long as the publication; one that nobody asks for
//! costs nothing.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use strum::{EnumCount, VariantArray};

use super::{Instance, Options, Sink, StreamFigures, TABLE, encode::Format, family::Of, views::Viewed};

/// How an exposition is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumCount, VariantArray)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// With gzip.
    Gzip,
    /// With Zstandard.
    Zstd,
}

/// What is published at one moment.
#[derive(Debug, Default)]
pub struct Publication {
    pub(super) views: Arc<[Arc<Viewed>]>,
    /// `None` before anything was published.
    pub(super) instance: Option<Instance>,
    pub(super) options: Options,
    made: [[OnceLock<Bytes>; Encoding::COUNT]; Format::COUNT],
}

impl Publication {
    pub(super) fn new(views: Arc<[Arc<Viewed>]>, mut instance: Instance, options: Options) -> Self {
        // Both are in one answer: a lease is held where its project is shown, and nowhere else.
        if let Some(replica) = &mut instance.replica {
            let held = views.iter().filter(|viewed| viewed.is_held());
            let shown: HashSet<_> = held.map(|viewed| viewed.view.project()).collect();
            replica.held.iter_mut().for_each(|(name, held)| *held = shown.contains(&**name));
        }
        Self { views, instance: Some(instance), options, made: Default::default() }
    }

    /// Hands all families to `sink` in the table's order, each with the samples of the process and of all streams.
    pub fn collect(&self, sink: &mut dyn Sink) {
        for family in TABLE.iter() {
            sink.begin(family);
            if let Some(instance) = &self.instance {
                family.collect(Of::Instance(instance), sink);
            }
            self.views.iter().for_each(|viewed| family.collect(Of::Stream(&viewed.view), sink));
        }
    }

    /// The same without the streams that may not be shown now; `None` if all may be.
    pub(super) fn without_lost(&self) -> Option<Self> {
        if self.views.iter().all(|viewed| viewed.is_held()) {
            return None;
        }
        let views = self.views.iter().filter(|viewed| viewed.is_held()).cloned().collect();
        Some(self.with_views(views))
    }

    /// The same process with other streams.
    pub(super) fn with_views(&self, views: Arc<[Arc<Viewed>]>) -> Self {
        match self.instance.clone() {
            Some(instance) => Self::new(views, instance, self.options),
            None => Self { views, options: self.options, ..Self::default() },
        }
    }

    /// How it is published.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// The figures in it, by project and API.
    pub fn figures(&self) -> impl Iterator<Item = &Arc<StreamFigures>> {
        self.views.iter().map(|viewed| &viewed.figures)
    }

    /// An exposition of it that was made.
    #[must_use]
    pub fn made(&self, format: Format, encoding: Encoding) -> Option<Bytes> {
        self.made[format as usize][encoding as usize].get().cloned()
    }

    /// Keeps an exposition of it.
    pub(super) fn keep(&self, format: Format, encoding: Encoding, made: &Bytes) {
        // Whoever was first made the same.
        let _ = self.made[format as usize][encoding as usize].set(made.clone());
    }
}
