//! Histograms, and the bounds of their buckets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Exemplar, Native};

/// A histogram with fixed upper bounds, in seconds, and the same values as a native one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "HistogramRow", into = "HistogramRow")]
pub struct Histogram {
    bounds: Arc<[f64]>,
    counts: Box<[u64]>,
    sum: f64,
    native: Native,
    /// At most one of each bucket.
    exemplars: Vec<Exemplar>,
}

impl Histogram {
    /// An empty histogram; `bounds` ascend and leave out infinity.
    #[must_use]
    pub fn new(bounds: &Arc<[f64]>) -> Self {
        let counts = vec![0; bounds.len() + 1].into();
        Self { bounds: bounds.clone(), counts, sum: 0.0, native: Native::default(), exemplars: Vec::new() }
    }

    /// Takes a value in.
    pub fn observe(&mut self, seconds: f64) {
        let bucket = self.bucket(seconds);
        self.counts[bucket] += 1;
        self.sum += seconds;
        self.native.add(seconds, 1);
    }

    /// Takes the value of an exemplar in, which stands for its bucket from now on unless there is a later one.
    pub fn observe_exemplar(&mut self, exemplar: Exemplar) {
        self.observe(exemplar.value);
        self.keep(exemplar);
    }

    fn keep(&mut self, exemplar: Exemplar) {
        let bucket = self.bucket(exemplar.value);
        match self.exemplars.iter().position(|earlier| self.bucket(earlier.value) == bucket) {
            None => self.exemplars.push(exemplar),
            Some(index) => self.exemplars[index].give_way(exemplar),
        }
    }

    /// Which bucket a value is in.
    pub(crate) fn bucket(&self, seconds: f64) -> usize {
        self.bounds.partition_point(|&bound| bound < seconds)
    }

    /// Adds another histogram with the same bounds.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum += other.sum;
        self.native.merge(&other.native);
        other.exemplars.iter().cloned().for_each(|exemplar| self.keep(exemplar));
    }

    /// What it took in since it was `before`, which has the same bounds.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let counts = self.counts.iter().zip(&before.counts).map(|(now, then)| now.saturating_sub(*then));
        Self {
            bounds: self.bounds.clone(),
            counts: counts.collect(),
            sum: (self.sum - before.sum).max(0.0),
            native: self.native.since(&before.native),
            exemplars: self.exemplars.clone(),
        }
    }

    /// With these bounds: what was in a bucket goes to the one that holds its upper bound, so that no bucket
    /// tells of more values below its bound than there were.
    #[must_use]
    pub fn with_bounds(self, bounds: &Arc<[f64]>) -> Self {
        let mut new = Self::new(bounds);
        let upper = self.bounds.iter().copied().chain([f64::INFINITY]);
        for (upper, count) in upper.zip(&self.counts) {
            let bucket = &mut new.counts[bounds.partition_point(|&bound| bound < upper)];
            *bucket = bucket.saturating_add(*count);
        }
        (new.sum, new.native) = (self.sum, self.native);
        self.exemplars.into_iter().for_each(|exemplar| new.keep(exemplar));
        new
    }

    /// With the counts of a native histogram that took in the same values.
    #[must_use]
    pub(crate) fn with_native(self, native: Native) -> Self {
        if native.count() == self.count() { Self { native, ..self } } else { self }
    }

    /// The same values, as a native histogram counts them.
    #[must_use]
    pub fn native(&self) -> &Native {
        &self.native
    }

    /// Those that stand for its buckets, in no order.
    #[must_use]
    pub fn exemplars(&self) -> &[Exemplar] {
        &self.exemplars
    }

    /// How many values it took in, by bucket; the last one has no upper bound.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many values it took in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Upper bound and cumulative count of each finite bucket.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bounds.iter().zip(&self.counts).scan(0, |sum, (&bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }
}

/// A histogram as it is kept: with its bounds, since those of a later version may be others.
#[derive(Serialize, Deserialize)]
struct HistogramRow {
    bounds: Vec<f64>,
    counts: Vec<u64>,
    sum: f64,
}

impl From<Histogram> for HistogramRow {
    fn from(Histogram { bounds, counts, sum, .. }: Histogram) -> Self {
        Self { bounds: bounds.to_vec(), counts: counts.into(), sum }
    }
}

impl From<HistogramRow> for Histogram {
    /// As a native histogram it took in as many values, each as large as its bucket allows. The native counts that go
    /// with a row are kept beside it, except by versions that knew none.
    fn from(HistogramRow { bounds, mut counts, sum }: HistogramRow) -> Self {
        counts.resize(bounds.len() + 1, 0);
        let mut native = Native::default();
        let largest = bounds.last().copied().unwrap_or_default();
        for (upper, count) in bounds.iter().copied().chain([largest * 2.0]).zip(&counts) {
            native.add(upper, *count);
        }
        Self { bounds: bounds.into(), counts: counts.into(), sum, native, exemplars: Vec::new() }
    }
}

/// Upper bounds of the histograms, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    /// Durations: seconds to days.
    pub duration: Arc<[f64]>,
    /// Times to handoff: seconds to days.
    pub time_to_handoff: Arc<[f64]>,
    /// Idle times of open executions. Kapso retries running ones at 300 s, so there is a bound above it.
    pub idle: Arc<[f64]>,
    /// Detection delays.
    pub delay: Arc<[f64]>,
}

impl Default for Buckets {
    fn default() -> Self {
        const MIN: f64 = 60.0;
        const HOUR: f64 = 3600.0;
        const DAY: f64 = 86400.0;
        let duration: Arc<[f64]> = [
            1.0,
            5.0,
            10.0,
            30.0,
            MIN,
            2.0 * MIN,
            5.0 * MIN,
            10.0 * MIN,
            30.0 * MIN,
            HOUR,
            2.0 * HOUR,
            4.0 * HOUR,
            12.0 * HOUR,
            DAY,
            3.0 * DAY,
            7.0 * DAY,
        ]
        .into();
        Self {
            time_to_handoff: duration.clone(),
            duration,
            idle: [
                30.0,
                MIN,
                2.0 * MIN,
                5.0 * MIN,
                6.0 * MIN,
                10.0 * MIN,
                30.0 * MIN,
                HOUR,
                2.0 * HOUR,
                4.0 * HOUR,
                12.0 * HOUR,
                DAY,
                3.0 * DAY,
                7.0 * DAY,
            ]
            .into(),
            delay: [
                1.0,
                2.5,
                5.0,
                10.0,
                15.0,
                30.0,
                MIN,
                2.0 * MIN,
                3.0 * MIN,
                5.0 * MIN,
                7.0 * MIN,
                10.0 * MIN,
                15.0 * MIN,
                30.0 * MIN,
                HOUR,
                2.0 * HOUR,
                4.0 * HOUR,
            ]
            .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let mut histogram = Histogram::new(&[1.0, 5.0].into());
        for seconds in [0.0, 1.0, 1.1, 5.0, 9.0] {
            histogram.observe(seconds);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1.0, 2), (5.0, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 16.1));
    }

    fn exemplar(id: &str, value: f64, second: i64) -> Exemplar {
        Exemplar { execution: id.into(), value, at: jiff::Timestamp::from_second(second).unwrap() }
    }

    #[test]
    fn the_latest_value_stands_for_its_bucket_in_whatever_order_values_come() {
        let mut histogram = Histogram::new(&[1.0, 5.0].into());
        for (id, value, second) in [("a", 0.5, 10), ("b", 2.0, 30), ("c", 3.0, 20), ("d", 0.6, 11)] {
            histogram.observe_exemplar(exemplar(id, value, second));
        }
        assert_eq!(histogram.exemplars(), [exemplar("d", 0.6, 11), exemplar("b", 2.0, 30)]);
        let with_one = histogram.with_bounds(&[8.0].into());
        assert_eq!(with_one.exemplars(), [exemplar("b", 2.0, 30)]);
        assert_eq!(with_one.native().count(), 4);
    }

    #[test]
    fn a_row_without_native_counts_has_as_many_values_in_them() {
        let row = HistogramRow { bounds: vec![1.0, 4.0], counts: vec![2, 3, 1], sum: 20.0 };
        let histogram = Histogram::from(row);
        assert_eq!(histogram.native().buckets(), [(0, 2), (16, 3), (24, 1)]);
    }

    #[test]
    fn bounds_ascend() {
        let Buckets { duration, time_to_handoff, idle, delay } = Buckets::default();
        for bounds in [duration, time_to_handoff, idle, delay] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }
}
