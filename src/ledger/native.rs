//! The counts of a native histogram: buckets whose bounds are powers of 2^⅛ (schema 3), so that a quantile is never off by
//! more than 4.4 %, and whose number is not chosen beforehand.
//!
//! There is one resolution, so counts can be added up and taken away exactly. Times are no longer than some thousands of
//! years, so there are 400 buckets at most; only those are kept that have counts.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Buckets for each doubling are 2^3.
pub const SCHEMA: i32 = 3;

/// Values up to here, a 1024th of a second, are in the zero bucket.
pub const ZERO_THRESHOLD: f64 = 1.0 / 1024.0;

/// Upper bounds of the buckets between ½ and 1, less the last one: 2^(n/8) / 2.
#[allow(clippy::excessive_precision, reason = "as Prometheus' own library writes them")]
const BOUNDS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_5,
    0.917_004_043_204_671_1,
];

/// Where the exponent of a double stands.
const EXPONENT: u64 = 0x7ff << 52;

/// Counts by bucket. Bucket `n` has the values above 2^((n-1)/8) up to 2^(n/8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Native {
    zero: u64,
    /// In ascending order, each above zero.
    buckets: Vec<(i16, u64)>,
}

impl Native {
    /// Takes values of this size in.
    pub fn add(&mut self, seconds: f64, count: u64) {
        if seconds <= ZERO_THRESHOLD {
            self.zero = self.zero.saturating_add(count);
        } else if count > 0 {
            self.add_to(bucket(seconds), count);
        }
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.zero = self.zero.saturating_add(other.zero);
        for &(bucket, count) in &other.buckets {
            self.add_to(bucket, count);
        }
    }

    /// What it took in since it was `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let then = |bucket| before.position(bucket).map_or(0, |index| before.buckets[index].1);
        let growth = self.buckets.iter().map(|&(bucket, count)| (bucket, count.saturating_sub(then(bucket))));
        let buckets = growth.filter(|(_, count)| *count > 0).collect();
        Self { zero: self.zero.saturating_sub(before.zero), buckets }
    }

    /// Values in the zero bucket.
    #[must_use]
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// The other buckets that have values, in ascending order, and how many.
    #[must_use]
    pub fn buckets(&self) -> &[(i16, u64)] {
        &self.buckets
    }

    /// How many values it took in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(self.zero, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The other buckets as Prometheus' messages have them: runs of neighbours, each with the distance from the end of the
    /// one before and its length; and by how much each count differs from the one before.
    #[must_use]
    pub fn spans(&self) -> (Vec<(i32, u32)>, Vec<i64>) {
        let (mut spans, mut deltas): (Vec<(i32, u32)>, _) =
            (Vec::new(), Vec::with_capacity(self.buckets.len()));
        let (mut next, mut before) = (0_i32, 0_i64);
        for &(bucket, count) in &self.buckets {
            let offset = i32::from(bucket) - next;
            match spans.last_mut().filter(|_| offset == 0) {
                Some((_, length)) => *length += 1,
                None => spans.push((offset, 1)),
            }
            next = i32::from(bucket) + 1;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            deltas.push(count - before);
            before = count;
        }
        (spans, deltas)
    }

    fn add_to(&mut self, bucket: i16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => self.buckets[index].1 = self.buckets[index].1.saturating_add(count),
            Err(index) => self.buckets.insert(index, (bucket, count)),
        }
    }

    fn position(&self, bucket: i16) -> Option<usize> {
        self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket).ok()
    }
}

/// The bucket of a value above the threshold.
fn bucket(seconds: f64) -> i16 {
    if seconds.partial_cmp(&f64::MAX) != Some(Ordering::Less) {
        return i16::MAX;
    }
    let bits = seconds.to_bits();
    // The value is fraction · 2^exponent, with a fraction from ½ to below 1.
    let exponent = i16::try_from((bits & EXPONENT) >> 52).unwrap_or(0) - 1022;
    let fraction = f64::from_bits(bits & !EXPONENT | 1022 << 52);
    let within = BOUNDS.partition_point(|bound| *bound < fraction);
    (exponent - 1) * 8 + i16::try_from(within).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Native {
        let mut native = Native::default();
        for value in values {
            native.add(*value, 1);
        }
        native
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        assert_eq!(of(&[1.0, 1.000_001, 2.0, 0.5]).buckets(), [(-8, 1), (0, 1), (1, 1), (8, 1)]);
        assert_eq!(of(&[0.0, ZERO_THRESHOLD, 0.001]).zero(), 2);
        assert_eq!(of(&[0.001]).buckets(), [(-79, 1)]);
    }

    #[test]
    fn neighbours_are_a_span() {
        let (spans, deltas) = of(&[1.0, 1.05, 1.05, 4.0, 4.0, 4.0, 4.1]).spans();
        assert_eq!(spans, [(0, 2), (14, 2)]);
        assert_eq!(deltas, [1, 1, 1, -2]);
        assert_eq!(of(&[0.5]).spans(), (vec![(-8, 1)], vec![1]));
    }

    proptest! {
        #[test]
        fn every_value_is_within_the_bounds_of_its_bucket(seconds in 0.001_f64..1e12) {
            let native = of(&[seconds]);
            let upper = f64::from(native.buckets()[0].0);
            let bounds = ((upper - 1.0) / 8.0).exp2() * (1.0 - 1e-12)..=(upper / 8.0).exp2() * (1.0 + 1e-12);
            prop_assert!(bounds.contains(&seconds), "{seconds} in {bounds:?}");
        }

        #[test]
        fn what_is_added_up_can_be_taken_away(
            a in prop::collection::vec(0.0_f64..1e6, 0..50),
            b in prop::collection::vec(0.0_f64..1e6, 0..50),
        ) {
            let (of_a, of_b, both) = (of(&a), of(&b), of(&[a, b].concat()));
            let mut sum = of_a.clone();
            sum.merge(&of_b);
            prop_assert_eq!(&sum, &both);
            prop_assert_eq!(sum.since(&of_a), of_b);
        }
    }
}
