//! Where samples go: a format is one [`Sink`].

use std::borrow::Cow;

use jiff::Timestamp;

use super::family::{Family, Kind};
use crate::{
    ledger::{Exemplar, Histogram},
    model::NativeHistograms,
};

/// Labels with their values, by name.
pub type Labels<'a> = [(&'static str, Cow<'a, str>)];

/// The value of a sample, or what a histogram counted.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A gauge's.
    Gauge(f64),
    /// A counter's.
    Counter {
        /// How many there were.
        total: f64,
        /// When it was zero for the last time, in our clock; `None` if it is not known, or it never was.
        since: Option<Timestamp>,
        /// One of those that were counted.
        exemplar: Option<&'a Exemplar>,
    },
    /// A histogram.
    Histogram {
        /// What it counted.
        histogram: &'a Histogram,
        /// When it was empty for the last time, in our clock.
        since: Option<Timestamp>,
    },
}

/// Takes the samples of one family after the other.
pub trait Sink {
    /// The samples that follow are of this family.
    fn begin(&mut self, family: &Family);
    /// A sample, or a histogram.
    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>);
}

/// Counts series as Prometheus does where it takes no native histograms: a histogram has one per bucket, `+Inf` included, a
/// sum and a count.
#[derive(Debug, Default)]
pub struct SeriesCount {
    /// How many there were.
    pub series: usize,
    native: NativeHistograms,
    has_classic_buckets: bool,
}

impl SeriesCount {
    /// None yet, where native histograms are published so.
    #[must_use]
    pub fn new(native: NativeHistograms) -> Self {
        Self { series: 0, native, has_classic_buckets: true }
    }
}

impl Sink for SeriesCount {
    fn begin(&mut self, family: &Family) {
        self.has_classic_buckets = family.kind.has_classic_buckets(self.native);
    }

    fn sample(&mut self, _: &Labels<'_>, value: &Value<'_>) {
        self.series += match value {
            Value::Histogram { histogram, .. } if self.has_classic_buckets => histogram.counts().len() + 2,
            Value::Histogram { .. } => 3,
            Value::Gauge(_) | Value::Counter { .. } => 1,
        };
    }
}

impl Kind {
    /// Whether its histograms have all their classic buckets. A snapshot always has them.
    #[must_use]
    pub fn has_classic_buckets(self, native: NativeHistograms) -> bool {
        self == Self::Snapshot || native != NativeHistograms::Only
    }

    /// Whether its histograms are native ones, too. A snapshot never is.
    #[must_use]
    pub fn is_native(self, native: NativeHistograms) -> bool {
        self == Self::Histogram && native != NativeHistograms::Off
    }
}
