//! The messages of remote write 1.0: `prompb/remote.proto` and `prompb/types.proto` of `github.com/prometheus/prometheus`,
//! as far as they are sent.

#![allow(missing_docs, reason = "fields are named as in the protocol")]

use prost::{Enumeration, Message, Oneof};

/// The content of a request.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// A series with its samples, or its native histograms.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Sorted by name; the name of the metric is that of `__name__`.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// A label. Neither name nor value is empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A value at a time.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Unix time in milliseconds.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// One of those that were counted.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Unix time in milliseconds.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// A native histogram of whole numbers.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(oneof = "histogram::Count", tags = "1")]
    pub count: Option<histogram::Count>,
    #[prost(double, tag = "3")]
    pub sum: f64,
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    #[prost(oneof = "histogram::ZeroCount", tags = "6")]
    pub zero_count: Option<histogram::ZeroCount>,
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// The first count, and then by how much each differs from the one before.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    #[prost(enumeration = "histogram::ResetHint", tag = "14")]
    pub reset_hint: i32,
    /// Unix time in milliseconds.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
}

/// What belongs to [`Histogram`].
pub mod histogram {
    use super::{Enumeration, Oneof};

    /// How many values there are; there is one for floating-point numbers, too, which is not sent.
    #[derive(Clone, Copy, PartialEq, Eq, Oneof)]
    pub enum Count {
        #[prost(uint64, tag = "1")]
        CountInt(u64),
    }

    /// How many are within the zero threshold.
    #[derive(Clone, Copy, PartialEq, Eq, Oneof)]
    pub enum ZeroCount {
        #[prost(uint64, tag = "6")]
        ZeroCountInt(u64),
    }

    /// Whether counting began anew since the sample before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
    #[repr(i32)]
    pub enum ResetHint {
        Unknown = 0,
        Yes = 1,
        No = 2,
        /// It may also fall.
        Gauge = 3,
    }
}

/// Buckets that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    /// From the end of the span before; of the first one: its index.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// What is to be known of a family.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MetricMetadata {
    #[prost(enumeration = "MetricType", tag = "1")]
    pub r#type: i32,
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    #[prost(string, tag = "4")]
    pub help: String,
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// The type of a family; the protocol has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum MetricType {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    GaugeHistogram = 4,
}
