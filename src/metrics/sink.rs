//! Where samples go: a format is one [`Sink`].

use std::borrow::Cow;

use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};

use super::family::{Family, Kind};
use crate::ledger::Histogram;

/// Labels with their values, by name.
pub type Labels<'a> = [(&'static str, Cow<'a, str>)];

/// Takes the samples of one family after the other.
pub trait Sink {
    /// The samples that follow are of this family.
    fn begin(&mut self, family: &Family);
    /// A gauge's value.
    fn gauge(&mut self, labels: &Labels<'_>, value: f64);
    /// A counter's value.
    fn counter(&mut self, labels: &Labels<'_>, value: u64);
    /// A histogram.
    fn histogram(&mut self, labels: &Labels<'_>, histogram: &Histogram);
}

/// Counts series as Prometheus does: a histogram has one per bucket, `+Inf` included, a sum and a count.
#[derive(Debug, Default)]
pub struct SeriesCount(pub usize);

impl Sink for SeriesCount {
    fn begin(&mut self, _: &Family) {}

    fn gauge(&mut self, _: &Labels<'_>, _: f64) {
        self.0 += 1;
    }

    fn counter(&mut self, _: &Labels<'_>, _: u64) {
        self.0 += 1;
    }

    fn histogram(&mut self, _: &Labels<'_>, histogram: &Histogram) {
        self.0 += histogram.cumulative().count() + 3;
    }
}

/// The families as the `prometheus` crate encodes them.
#[derive(Debug, Default)]
pub struct MetricFamilies(Vec<MetricFamily>);

impl MetricFamilies {
    /// Adds families that something else collected.
    pub fn extend(&mut self, families: Vec<MetricFamily>) {
        self.0.extend(families);
    }

    /// How many series there are.
    #[must_use]
    pub fn series(&self) -> usize {
        self.0.iter().map(series_of).sum()
    }

    /// Those that have samples, by name, and the samples of each by the values of their labels.
    #[must_use]
    pub fn sorted(self) -> Vec<MetricFamily> {
        let mut families: Vec<_> =
            self.0.into_iter().filter(|family| !family.get_metric().is_empty()).collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        for family in &mut families {
            family.mut_metric().sort_by(|a, b| values(a).cmp(values(b)));
        }
        families
    }

    fn add(&mut self, labels: &Labels<'_>, fill: impl FnOnce(&mut Metric)) {
        let mut metric = Metric::from_label(labels.iter().map(pair).collect());
        fill(&mut metric);
        if let Some(family) = self.0.last_mut() {
            family.mut_metric().push(metric);
        }
    }
}

impl Sink for MetricFamilies {
    fn begin(&mut self, family: &Family) {
        let mut begun = MetricFamily::default();
        begun.set_name(family.name.into());
        begun.set_help(family.help.into());
        begun.set_field_type(match family.kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        self.0.push(begun);
    }

    fn gauge(&mut self, labels: &Labels<'_>, value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.add(labels, |metric| metric.set_gauge(gauge));
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    fn counter(&mut self, labels: &Labels<'_>, value: u64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value as f64);
        self.add(labels, |metric| metric.set_counter(counter));
    }

    fn histogram(&mut self, labels: &Labels<'_>, histogram: &Histogram) {
        let mut to = proto::Histogram::default();
        to.set_sample_count(histogram.count());
        to.set_sample_sum(histogram.sum());
        let bucket = |(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        to.set_bucket(histogram.cumulative().map(bucket).collect());
        self.add(labels, |metric| metric.set_histogram(to));
    }
}

fn pair((name, value): &(&str, Cow<'_, str>)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name((*name).into());
    pair.set_value(value.clone().into());
    pair
}

fn values(metric: &Metric) -> impl Iterator<Item = &str> {
    metric.get_label().iter().map(LabelPair::value)
}

fn series_of(family: &MetricFamily) -> usize {
    let of = |metric: &Metric| match family.get_field_type() {
        MetricType::HISTOGRAM => metric.get_histogram().get_bucket().len() + 3,
        _ => 1,
    };
    family.get_metric().iter().map(of).sum()
}
