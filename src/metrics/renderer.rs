//! Who makes what is published: copies of what is known now, and the expositions of them that somebody asks for.

use std::{io, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::process_collector::ProcessCollector;
use strum::{EnumCount, VariantArray};

use super::{
    Bounds, Encoding, Format, InstanceMetrics, Publication, SeriesStarts,
    compress::{Compressor, Gzip, Zstd},
    demand::Demand,
    exposition::Exposition,
    pieces::Pieces,
    views::Views,
};
use crate::{clock::Clock, project::Streams};

/// Everything that is published, and its newest publication.
pub struct Renderer {
    instance: Arc<InstanceMetrics>,
    streams: Arc<Streams>,
    collected: Mutex<Collected>,
    writers: [Mutex<Writer>; Format::COUNT],
    demand: Demand,
    limits: ArcSwap<Bounds>,
    process: ProcessCollector,
    clock: Clock,
    newest: ArcSwap<Publication>,
}

/// What a collection takes over from the one before.
struct Collected {
    views: Views,
    starts: SeriesStarts,
    /// When it was, in our clock.
    at: Timestamp,
}

/// What an exposition takes over from the one before.
struct Writer {
    format: Format,
    pieces: Pieces,
    gzip: Compressor<Gzip>,
    zstd: Compressor<Zstd>,
}

impl Renderer {
    /// Publishes these streams, which share the series that `limits` allows, and the process.
    #[must_use]
    pub fn new(instance: Arc<InstanceMetrics>, streams: Arc<Streams>, limits: Bounds, clock: Clock) -> Self {
        let collected =
            Collected { views: Views::default(), starts: SeriesStarts::default(), at: clock.wall() };
        Self {
            instance,
            streams,
            collected: collected.into(),
            writers: std::array::from_fn(|format| Writer::new(Format::VARIANTS[format]).into()),
            demand: Demand::default(),
            limits: ArcSwap::from_pointee(limits),
            process: ProcessCollector::for_self(),
            clock,
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

    /// The newest publication, without the streams that another replica may show by now.
    #[must_use]
    pub fn newest(&self) -> Arc<Publication> {
        let newest = self.newest.load();
        let Some(rest) = newest.without_lost() else { return newest.clone() };
        let rest = Arc::new(rest);
        // Unless there is a newer one: that is the next to be looked at.
        self.newest.compare_and_swap(&*newest, rest.clone());
        rest
    }

    /// Copies what is known now.
    #[must_use]
    pub fn collect(&self) -> Publication {
        let Collected { views, starts, at } = &mut *self.collected.lock();
        let (streams, bounds) = (self.streams.all(), self.limits.load());
        let begun = std::mem::replace(at, self.clock.wall());
        views.update(&streams, &bounds, begun, |refused| self.instance.refused(refused));
        let views = views.all();
        let of_streams = views.iter().map(|viewed| viewed.series).sum();
        let instance = self.instance.now().complete(&self.process, of_streams, (starts, begun));
        *starts = instance.starts.clone();
        Publication::new(views, instance, bounds.options)
    }

    /// An exposition of a publication: one that was made of it, or a new one. That takes milliseconds for thousands of
    /// series: not for the threads that serve.
    ///
    /// # Errors
    /// If it cannot be compressed.
    pub fn exposition(
        &self,
        publication: &Publication,
        format: Format,
        encoding: Encoding,
    ) -> io::Result<Bytes> {
        if let Some(made) = publication.made(format, encoding) {
            return Ok(made);
        }
        let mut writer = self.writers[format as usize].lock();
        // Somebody else may have waited for the same.
        if let Some(made) = publication.made(format, encoding) {
            return Ok(made);
        }
        writer.write(publication, encoding)
    }

    /// What is known now, as text.
    ///
    /// # Errors
    /// As for any exposition.
    pub fn text(&self) -> io::Result<Bytes> {
        self.exposition(&self.collect(), Format::Text, Encoding::Identity)
    }

    /// Takes note that somebody asked for these.
    pub fn note_demand(&self, format: Format, encoding: Encoding) {
        self.demand.note(format, encoding);
    }

    /// Makes the expositions of a publication that somebody is likely to ask for, since they did so lately.
    ///
    /// # Errors
    /// If one cannot be compressed.
    pub fn prepare(&self, publication: &Publication) -> io::Result<()> {
        for (format, encoding) in self.demand.lately() {
            self.exposition(publication, format, encoding)?;
        }
        Ok(())
    }

    /// Makes a publication the newest one.
    pub fn publish(&self, publication: Publication) {
        let rest = publication.without_lost();
        self.newest.store(Arc::new(rest.unwrap_or(publication)));
    }

    /// Publishes what is new of the process, and of the streams what was published before.
    pub fn publish_instance(&self, publication: &Publication) {
        let views = self.newest().views.clone();
        self.newest.store(Arc::new(publication.with_views(views)));
    }
}

impl Writer {
    fn new(format: Format) -> Self {
        let (gzip, zstd) = Default::default();
        Self { format, pieces: Pieces::new(format), gzip, zstd }
    }

    /// The whole, in all forms that are needed for this one; each is kept.
    fn write(&mut self, publication: &Publication, encoding: Encoding) -> io::Result<Bytes> {
        let Self { format, pieces, gzip, zstd } = self;
        let Publication { views, instance, options, .. } = publication;
        pieces.update(views, *options);
        let (plain, blocks) = Exposition::of(*format, *options, instance.as_ref(), pieces);
        publication.keep(*format, Encoding::Identity, &plain);
        let made = match encoding {
            Encoding::Identity => return Ok(plain),
            Encoding::Gzip => gzip.compress(&plain, &blocks)?,
            Encoding::Zstd => zstd.compress(&plain, &blocks)?,
        };
        publication.keep(*format, encoding, &made);
        Ok(made)
    }
}
