//! What is published, as series of the protocol.
//!
//! Names and values are those of the exposition, and bounds of buckets are written as in `OpenMetrics`: the series are those
//! that Prometheus would have if it had scraped.

use jiff::Timestamp;

use super::{
    Batches, CommonLabels,
    message::{
        BucketSpan, Exemplar, Histogram, Label, MetricMetadata, MetricType, Sample, TimeSeries, WriteRequest,
        histogram::{Count, ZeroCount},
    },
};
use crate::{
    ledger::{self, SCHEMA, ZERO_THRESHOLD},
    metrics::{EXEMPLAR_LABEL, Family, Kind, Labels, Options, Sink, Value, bound, unit},
};

/// Turns what it is given into series, each with one sample of one time.
pub struct Writer<'a> {
    labels: &'a CommonLabels,
    /// Unix time in milliseconds.
    timestamp: i64,
    options: Options,
    batches: Batches,
    name: &'static str,
    kind: Kind,
    /// What is to be sent of the family before its first series.
    metadata: Option<MetricMetadata>,
}

impl<'a> Writer<'a> {
    /// Nothing yet. Every series gets these labels, and every sample this time.
    #[must_use]
    pub fn new(labels: &'a CommonLabels, at: Timestamp, options: Options) -> Self {
        Self {
            labels,
            timestamp: at.as_millisecond(),
            options,
            batches: Batches::default(),
            name: "",
            kind: Kind::Gauge,
            metadata: None,
        }
    }

    /// All of it, in requests of a size that receivers take.
    #[must_use]
    pub fn finish(self) -> Vec<WriteRequest> {
        self.batches.finish()
    }

    /// The labels of a series: the family's name with this ending, and a bound where it is a bucket's.
    fn labels(&self, ending: &str, own: &Labels<'_>, le: Option<f64>) -> Vec<Label> {
        let le = le.map(|le| if le.is_finite() { bound(le) } else { "+Inf".into() });
        let le = le.as_deref().map(|bound| ("le", bound));
        let own = own.iter().map(|(name, value)| (*name, value.as_ref()));
        self.labels.of(format!("{}{ending}", self.name), own.chain(le))
    }

    fn push(&mut self, labels: Vec<Label>, value: f64, exemplar: Option<&ledger::Exemplar>) {
        let exemplar = self.options.exemplar(exemplar);
        self.batches.push(TimeSeries {
            labels,
            samples: vec![Sample { value, timestamp: self.timestamp }],
            exemplars: exemplar.map(Into::into).into_iter().collect(),
            histograms: Vec::new(),
        });
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    fn push_classic(&mut self, labels: &Labels<'_>, histogram: &ledger::Histogram) {
        let exemplars = self.options.by_bucket(histogram);
        let infinity = (f64::INFINITY, histogram.count());
        for ((upper, count), exemplar) in histogram.cumulative().chain([infinity]).zip(exemplars) {
            self.push(self.labels("_bucket", labels, Some(upper)), count as f64, exemplar);
        }
        self.push(self.labels("_sum", labels, None), histogram.sum(), None);
        self.push(self.labels("_count", labels, None), histogram.count() as f64, None);
    }

    fn push_native(&mut self, labels: &Labels<'_>, histogram: &ledger::Histogram) {
        let exemplars = self.options.by_time(histogram);
        self.batches.push(TimeSeries {
            labels: self.labels("", labels, None),
            samples: Vec::new(),
            exemplars: exemplars.into_iter().map(Into::into).collect(),
            histograms: vec![native(histogram, self.timestamp)],
        });
    }
}

impl Sink for Writer<'_> {
    /// A family may be begun more than once, for each stream.
    fn begin(&mut self, family: &Family) {
        if family.name != self.name {
            (self.name, self.kind) = (family.name, family.kind);
            self.metadata = Some(metadata(family));
        }
    }

    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        if let Some(metadata) = self.metadata.take() {
            self.batches.describe(metadata);
        }
        match *value {
            Value::Gauge(value) => self.push(self.labels("", labels, None), value, None),
            Value::Counter { total, exemplar, .. } => {
                self.push(self.labels("", labels, None), total, exemplar);
            }
            Value::Histogram { histogram, .. } => {
                if self.kind.has_classic_buckets(self.options.native_histograms) {
                    self.push_classic(labels, histogram);
                }
                if self.kind.is_native(self.options.native_histograms) {
                    self.push_native(labels, histogram);
                }
            }
        }
    }
}

fn metadata(family: &Family) -> MetricMetadata {
    let kind = match family.kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
        Kind::Histogram | Kind::Snapshot => MetricType::Histogram,
    };
    MetricMetadata {
        r#type: kind.into(),
        metric_family_name: family.name.into(),
        help: family.help.into(),
        unit: unit(family).unwrap_or_default().into(),
    }
}

fn native(histogram: &ledger::Histogram, timestamp: i64) -> Histogram {
    let native = histogram.native();
    let (spans, positive_deltas) = native.spans();
    let span = |(offset, length)| BucketSpan { offset, length };
    Histogram {
        count: Some(Count::CountInt(native.count())),
        sum: histogram.sum(),
        schema: SCHEMA,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: Some(ZeroCount::ZeroCountInt(native.zero())),
        positive_spans: spans.into_iter().map(span).collect(),
        positive_deltas,
        // The receiver compares it with the one before.
        reset_hint: 0,
        timestamp,
    }
}

impl From<&ledger::Exemplar> for Exemplar {
    fn from(exemplar: &ledger::Exemplar) -> Self {
        let label = Label { name: EXEMPLAR_LABEL.into(), value: exemplar.execution.as_str().into() };
        Self { labels: vec![label], value: exemplar.value, timestamp: exemplar.at.as_millisecond() }
    }
}
