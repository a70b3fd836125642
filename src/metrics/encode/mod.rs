//! The formats of an exposition: text, `OpenMetrics` and protobuf. Each writes the samples of a family as bytes that can
//! be put together in any number, and what stands before them.
//!
//! The `prometheus` crate and its like write no start timestamps of counters and no exemplars from samples that are at
//! hand; so the two text formats are written here, and protobuf by `prost`.

mod exemplars;
mod message;
mod protobuf;
mod text;

use std::ops::Range;

use strum::{EnumCount, VariantArray};

pub(crate) use self::{
    exemplars::EXEMPLAR_LABEL,
    text::{canonical_bound as bound, escape, unit},
};
use super::{
    Family,
    family::Kind,
    sink::{Labels, Sink, Value},
};
use crate::model::NativeHistograms;

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumCount, VariantArray)]
pub enum Format {
    /// Prometheus' text format, versions 0.0.4 and 1.0.0: they differ in what names may be, and ours are plain.
    Text,
    /// `OpenMetrics` 1.0.0: with start timestamps and exemplars.
    OpenMetrics,
    /// Prometheus' `MetricFamily` messages, each after its length: with native histograms, too.
    Protobuf,
}

/// What is written where a format has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Exemplars.
    pub exemplars: bool,
    /// Native histograms.
    pub native_histograms: NativeHistograms,
}

impl Format {
    /// Writes what stands before the samples of a family, which have so many bytes.
    pub fn head(self, family: &Family, samples: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text => text::head(family, out),
            Self::OpenMetrics => text::open_metrics_head(family, out),
            Self::Protobuf => protobuf::head(family, samples, out),
        }
    }

    /// Writes what stands at the very end.
    pub fn end(self, out: &mut Vec<u8>) {
        if self == Self::OpenMetrics {
            out.extend_from_slice(b"# EOF\n");
        }
    }
}

/// Writes samples, one family after the other, each in the order of the values of its labels.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    options: Options,
    name: &'static str,
    kind: Kind,
    /// The values of their labels, …
    keys: Vec<u8>,
    /// … the samples themselves, …
    bytes: Vec<u8>,
    /// … and where both are.
    samples: Vec<(Range<usize>, Range<usize>)>,
}

impl Encoder {
    /// Nothing yet.
    #[must_use]
    pub fn new(format: Format, options: Options) -> Self {
        let (keys, bytes, samples) = Default::default();
        Self { format, options, name: "", kind: Kind::Gauge, keys, bytes, samples }
    }

    /// Writes the samples of the family that was begun.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { keys, bytes, samples, .. } = self;
        let key = |(key, _): &(Range<usize>, Range<usize>)| &keys[key.clone()];
        if samples.is_sorted_by(|a, b| key(a) <= key(b)) {
            out.extend_from_slice(bytes);
        } else {
            samples.sort_by(|a, b| key(a).cmp(key(b)));
            for (_, sample) in samples.iter() {
                out.extend_from_slice(&bytes[sample.clone()]);
            }
        }
        keys.clear();
        bytes.clear();
        samples.clear();
    }
}

impl Sink for Encoder {
    fn begin(&mut self, family: &Family) {
        (self.name, self.kind) = (family.name, family.kind);
    }

    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let Self { format, options, name, kind, keys, bytes, samples } = self;
        let (key, start) = (keys.len(), bytes.len());
        for (_, value) in labels {
            keys.extend_from_slice(value.as_bytes());
            keys.push(0);
        }
        let row = Row { name, kind: *kind, labels, value, options: *options };
        match format {
            Format::Text => text::sample(&row, bytes),
            Format::OpenMetrics => text::open_metrics_sample(&row, bytes),
            Format::Protobuf => protobuf::sample(&row, bytes),
        }
        samples.push((key..keys.len(), start..bytes.len()));
    }
}

/// A sample with all that there is to say about it.
struct Row<'a> {
    name: &'a str,
    kind: Kind,
    labels: &'a Labels<'a>,
    value: &'a Value<'a>,
    options: Options,
}

impl Row<'_> {
    fn has_classic_buckets(&self) -> bool {
        self.kind.has_classic_buckets(self.options.native_histograms)
    }
}
