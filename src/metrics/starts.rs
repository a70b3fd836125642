//! Since when the series count that end with the process: when all was last rendered without them.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use jiff::Timestamp;

use super::{
    Family,
    sink::{Labels, Sink, Value},
};

/// Starts of series, by a hash of family and labels.
#[derive(Debug, Clone, Default)]
pub struct SeriesStarts(HashMap<u64, Start>);

/// When a series began, and its last value.
#[derive(Debug, Clone, Copy)]
struct Start {
    at: Timestamp,
    value: f64,
}

/// Finds starts: a series that was not there, or had a higher value, begins now.
pub struct Finding<'a> {
    earlier: &'a SeriesStarts,
    found: SeriesStarts,
    now: Timestamp,
    family: &'static str,
}

impl SeriesStarts {
    /// Goes on with the series that `collect` hands over; those that are new began `at` this moment.
    #[must_use]
    pub fn next(&self, at: Timestamp, collect: impl FnOnce(&mut Finding<'_>)) -> Self {
        let found = Self(HashMap::with_capacity(self.0.len()));
        let mut finding = Finding { earlier: self, found, now: at, family: "" };
        collect(&mut finding);
        finding.found
    }

    /// When a series began.
    #[must_use]
    pub fn of(&self, family: &str, labels: &Labels<'_>) -> Option<Timestamp> {
        self.0.get(&hash(family, labels)).map(|start| start.at)
    }
}

impl Sink for Finding<'_> {
    fn begin(&mut self, family: &Family) {
        self.family = family.name;
    }

    #[allow(clippy::cast_precision_loss, reason = "whether it fell")]
    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let value = match value {
            Value::Counter { total, .. } => *total,
            Value::Histogram { histogram, .. } => histogram.count() as f64,
            Value::Gauge(_) => return,
        };
        let key = hash(self.family, labels);
        let goes_on = self.earlier.0.get(&key).filter(|start| start.value <= value);
        let at = goes_on.map_or(self.now, |start| start.at);
        self.found.0.insert(key, Start { at, value });
    }
}

fn hash(family: &str, labels: &Labels<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (family, labels).hash(&mut hasher);
    hasher.finish()
}
