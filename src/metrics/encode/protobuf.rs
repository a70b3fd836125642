//! Prometheus' protobuf format: `MetricFamily` messages, each after its length.
//!
//! The metrics of a family are one repeated field, so those of several streams can be put together as bytes.

use jiff::Timestamp;
use prost::{Message, encoding};

use super::{EXEMPLAR_LABEL, Options, Row, message, unit};
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
        unit: unit(family).unwrap_or_default().into(),
    };
    encoding::encode_varint((head.encoded_len() + metrics) as u64, out);
    // Memory grows as needed.
    let _ = head.encode(out);
}

/// A metric, as an item of the repeated field.
pub(super) fn sample(row: &Row<'_>, out: &mut Vec<u8>) {
    let mut metric = message::Metric { label: labels(row.labels), ..Default::default() };
    match *row.value {
        Value::Gauge(value) => metric.gauge = Some(message::Gauge { value }),
        Value::Counter { total: value, since, exemplar } => {
            let exemplar = row.options.exemplar(exemplar).map(Into::into);
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
        message.bucket = classic(histogram, row.options);
    }
    if row.kind.is_native(row.options.native_histograms) {
        add_native(histogram.native(), &mut message);
        message.exemplars = row.options.by_time(histogram).into_iter().map(Into::into).collect();
    }
    message
}

fn classic(histogram: &Histogram, options: Options) -> Vec<message::Bucket> {
    let infinity = (f64::INFINITY, histogram.count());
    let buckets = histogram.cumulative().chain([infinity]).zip(options.by_bucket(histogram));
    let bucket = |((upper_bound, cumulative_count), exemplar): (_, Option<&Exemplar>)| message::Bucket {
        cumulative_count,
        upper_bound,
        exemplar: exemplar.map(Into::into),
    };
    buckets.map(bucket).collect()
}

fn add_native(native: &Native, message: &mut message::Histogram) {
    (message.schema, message.zero_threshold, message.zero_count) = (SCHEMA, ZERO_THRESHOLD, native.zero());
    let (spans, deltas) = native.spans();
    let span = |(offset, length)| message::BucketSpan { offset, length };
    message.positive_span = spans.into_iter().map(span).collect();
    message.positive_delta = deltas;
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{super::exemplars::fits, *};
    use crate::{
        metrics::{Encoder, Format, Sink, TABLE},
        model::NativeHistograms,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn exemplar(id: &str, value: f64, second: i64) -> Exemplar {
        Exemplar { execution: id.into(), value, at: at(second) }
    }

    /// The histogram of a family with these values, as it is written.
    fn written(family: &str, native_histograms: NativeHistograms, values: &[f64]) -> message::Histogram {
        let mut histogram = Histogram::new(&[1.0, 60.0].into());
        for (second, value) in (0..).zip(values) {
            histogram.observe_exemplar(exemplar("e", *value, second));
        }
        let options = Options { exemplars: true, native_histograms };
        let (mut encoder, mut out) = (Encoder::new(Format::Protobuf, options), Vec::new());
        encoder.begin(TABLE.iter().find(|row| row.name == family).unwrap());
        let value = Value::Histogram { histogram: &histogram, since: Some(at(-5)) };
        encoder.sample(&[("a", Cow::Borrowed("b"))], &value);
        encoder.finish(&mut out);
        // Behind the number of the field.
        let metric = message::Metric::decode_length_delimited(&out[1..]).unwrap();
        metric.histogram.unwrap()
    }

    const DURATION: &str = "kapso_execution_duration_seconds";

    #[test]
    fn native_buckets_are_runs_of_neighbours_and_differences() {
        let values = [0.0, 1.0, 1.05, 1.05, 1.15, 300.0];
        let native = written(DURATION, NativeHistograms::On, &values);
        let span = |offset, length| message::BucketSpan { offset, length };
        assert_eq!(native.positive_span, [span(0, 3), span(63, 1)]);
        assert_eq!(native.positive_delta, [1, 1, -1, 0]);
        assert_eq!((native.schema, native.zero_threshold, native.zero_count), (3, 1.0 / 1024.0, 1));
        assert_eq!((native.sample_count, native.bucket.len(), native.exemplars.len()), (6, 3, 3));
        assert_eq!(native.created_timestamp, Some(at(-5).into()));
    }

    #[test]
    fn either_form_can_be_left_out_but_a_snapshot_is_classic() {
        let form = |family, native| {
            let written = written(family, native, &[2.0]);
            (!written.bucket.is_empty(), !written.positive_span.is_empty(), !written.exemplars.is_empty())
        };
        assert_eq!(form(DURATION, NativeHistograms::Off), (true, false, false));
        assert_eq!(form(DURATION, NativeHistograms::On), (true, true, true));
        assert_eq!(form(DURATION, NativeHistograms::Only), (false, true, true));
        let idle = "kapso_open_execution_idle_seconds";
        assert_eq!(form(idle, NativeHistograms::Only), (true, false, false));
    }

    #[test]
    fn an_exemplar_stands_in_its_bucket_unless_it_is_too_long() {
        let classic = written(DURATION, NativeHistograms::Off, &[2.0]);
        let in_bucket: Vec<_> = classic.bucket.iter().map(|bucket| bucket.exemplar.is_some()).collect();
        assert_eq!(in_bucket, [false, true, false]);
        let long = exemplar(&"x".repeat(117), 1.0, 0);
        assert!(!fits(&long) && fits(&exemplar(&"x".repeat(116), 1.0, 0)));
        assert!(!fits(&exemplar("a}b", 1.0, 0)) && fits(&exemplar("execution-789ghi_1.a:b", 1.0, 0)));
    }
}
