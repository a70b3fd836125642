//! Prometheus' protobuf format: `MetricFamily` messages, each after its length.
//!
//! The metrics of a family are one repeated field, so those of several streams can be put together as bytes.

use jiff::Timestamp;
use prost::{Message, encoding};

use super::{
    Row, message,
    text::{EXEMPLAR_LABEL, by_bucket, fits, unit},
};
use crate::{
    ledger::{Exemplar, Histogram, Native, SCHEMA, ZERO_THRESHOLD},
    metrics::{
        Family,
        family::Kind,
        sink::{Labels, Value},
    },
};

/// The number of `MetricFamily.metric`.
const METRIC: u32 = 4;

/// The length of a family whose metrics have so many bytes, and all that stands before these.
pub(super) fn head(family: &Family, metrics: usize, out: &mut Vec<u8>) {
    let head = message::FamilyHead {
        name: family.name.into(),
        help: family.help.into(),
        r#type: Some(match family.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram | Kind::Snapshot => 4,
        }),
        unit: unit(family.unit).filter(|unit| family.name.contains(unit)).unwrap_or_default().into(),
    };
    encoding::encode_varint((head.encoded_len() + metrics) as u64, out);
    // Memory grows as needed.
    let _ = head.encode(out);
}

/// A metric, as an item of the repeated field.
pub(super) fn sample(row: &Row<'_>, out: &mut Vec<u8>) {
    let mut metric = message::Metric { label: labels(row.labels), ..Default::default() };
    let exemplars = row.options.exemplars;
    match *row.value {
        Value::Gauge(value) => metric.gauge = Some(message::Gauge { value }),
        Value::Counter { total: value, since, exemplar } => {
            let exemplar = exemplar.filter(|exemplar| exemplars && fits(exemplar)).map(Into::into);
            let created_timestamp = since.map(Into::into);
            metric.counter = Some(message::Counter { value, exemplar, created_timestamp });
        }
        Value::Histogram { histogram, since } => metric.histogram = Some(of_histogram(row, histogram, since)),
    }
    encoding::message::encode(METRIC, &metric, out);
}

fn labels(labels: &Labels<'_>) -> Vec<message::LabelPair> {
    let pair = |(name, value): &(&'static str, std::borrow::Cow<'_, str>)| message::LabelPair {
        name: (*name).into(),
        value: value.as_ref().into(),
    };
    labels.iter().map(pair).collect()
}

fn of_histogram(row: &Row<'_>, histogram: &Histogram, since: Option<Timestamp>) -> message::Histogram {
    let mut message = message::Histogram {
        sample_count: histogram.count(),
        sample_sum: histogram.sum(),
        created_timestamp: since.map(Into::into),
        ..Default::default()
    };
    if row.has_classic_buckets() {
        message.bucket = classic(histogram, row.options.exemplars);
    }
    if row.kind.is_native(row.options.native_histograms) {
        add_native(histogram.native(), &mut message);
        if row.options.exemplars {
            message.exemplars = all(histogram);
        }
    }
    message
}

fn classic(histogram: &Histogram, with_exemplars: bool) -> Vec<message::Bucket> {
    let exemplars = with_exemplars.then(|| by_bucket(histogram)).unwrap_or_default();
    let exemplar = |index: usize| exemplars.get(index).copied().flatten().filter(|e| fits(e)).map(Into::into);
    let infinity = (f64::INFINITY, histogram.count());
    let buckets = histogram.cumulative().chain([infinity]).enumerate();
    let bucket = |(index, (upper_bound, cumulative_count))| message::Bucket {
        cumulative_count,
        upper_bound,
        exemplar: exemplar(index),
    };
    buckets.map(bucket).collect()
}

/// Native buckets: runs of neighbours, and by how much each count differs from the one before.
fn add_native(native: &Native, message: &mut message::Histogram) {
    (message.schema, message.zero_threshold, message.zero_count) = (SCHEMA, ZERO_THRESHOLD, native.zero());
    let (mut next, mut before) = (0_i32, 0_i64);
    for &(bucket, count) in native.buckets() {
        let offset = i32::from(bucket) - next;
        match message.positive_span.last_mut().filter(|_| offset == 0) {
            Some(span) => span.length += 1,
            None => message.positive_span.push(message::BucketSpan { offset, length: 1 }),
        }
        next = i32::from(bucket) + 1;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        message.positive_delta.push(count - before);
        before = count;
    }
}

/// All exemplars of a histogram, the earliest first, as Prometheus wants them.
fn all(histogram: &Histogram) -> Vec<message::Exemplar> {
    let mut all: Vec<_> = histogram.exemplars().iter().filter(|exemplar| fits(exemplar)).collect();
    all.sort_by(|a, b| a.at.cmp(&b.at).then(a.value.total_cmp(&b.value)));
    all.into_iter().map(Into::into).collect()
}

impl From<&Exemplar> for message::Exemplar {
    fn from(exemplar: &Exemplar) -> Self {
        let label =
            message::LabelPair { name: EXEMPLAR_LABEL.into(), value: exemplar.execution.as_str().into() };
        Self { label: vec![label], value: exemplar.value, timestamp: Some(exemplar.at.into()) }
    }
}

impl From<Timestamp> for message::Timestamp {
    fn from(at: Timestamp) -> Self {
        Self { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
    }
}
