//! The values of a family that have some labels in common, on their way into a sink.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    Family, Kind, SeriesStarts,
    sink::{Labels, Sink, Value},
};
use crate::{
    label,
    ledger::{Exemplar, Histogram},
};

/// A label's name and value.
pub type Label<'a> = (&'static str, &'a str);

/// Takes the values of a family that have some labels in common.
pub struct Rows<'a> {
    family: &'a Family,
    base: &'a [Label<'a>],
    instance: Option<&'a str>,
    starts: &'a SeriesStarts,
    sink: &'a mut dyn Sink,
}

impl<'a> Rows<'a> {
    /// For the rows of `family` that have the labels `base`.
    pub fn new(
        family: &'a Family,
        base: &'a [Label<'a>],
        starts: &'a SeriesStarts,
        sink: &'a mut dyn Sink,
    ) -> Self {
        Self { family, base, instance: None, starts, sink }
    }

    /// The same, with an `instance` label if there is one.
    #[must_use]
    pub fn at(self, instance: Option<&'a str>) -> Self {
        Self { instance, ..self }
    }

    /// A gauge's value; `values` are those of the family's own labels, in its order.
    pub fn gauge(&mut self, values: &[&str], value: f64) {
        self.sample(Kind::Gauge, values, &Value::Gauge(value));
    }

    /// The value of a counter that ends with the process.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn counter(&mut self, values: &[&str], total: u64) {
        let labels = self.labels(values);
        let since = self.starts.of(self.family.name, &labels);
        self.hand_over(
            Kind::Counter,
            &labels,
            &Value::Counter { total: total as f64, since, exemplar: None },
        );
    }

    /// The value of a counter that was zero at this moment for the last time, and an execution that it counted.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn counter_since(
        &mut self,
        values: &[&str],
        total: u64,
        since: Option<Timestamp>,
        exemplar: Option<&Exemplar>,
    ) {
        self.sample(Kind::Counter, values, &Value::Counter { total: total as f64, since, exemplar });
    }

    /// A histogram that ends with the process.
    pub fn histogram(&mut self, values: &[&str], histogram: &Histogram) {
        let labels = self.labels(values);
        let since = self.starts.of(self.family.name, &labels);
        self.hand_over(Kind::Histogram, &labels, &Value::Histogram { histogram, since });
    }

    /// A histogram that was empty at this moment for the last time.
    pub fn histogram_since(&mut self, values: &[&str], histogram: &Histogram, since: Option<Timestamp>) {
        self.sample(Kind::Histogram, values, &Value::Histogram { histogram, since });
    }

    /// A histogram of what is now.
    pub fn snapshot(&mut self, values: &[&str], histogram: &Histogram) {
        self.sample(Kind::Snapshot, values, &Value::Histogram { histogram, since: None });
    }

    fn sample(&mut self, kind: Kind, values: &[&str], value: &Value<'_>) {
        let labels = self.labels(values);
        self.hand_over(kind, &labels, value);
    }

    fn hand_over(&mut self, kind: Kind, labels: &Labels<'_>, value: &Value<'_>) {
        debug_assert_eq!(self.family.kind, kind, "{}", self.family.name);
        self.sink.sample(labels, value);
    }

    /// All labels, by name. Whatever text its value comes from, it is short and clean.
    fn labels<'b>(&self, values: &[&'b str]) -> Vec<(&'static str, Cow<'b, str>)>
    where
        'a: 'b,
    {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let own = self.family.labels.iter().copied().zip(values.iter().copied());
        let instance = self.instance.map(|instance| ("instance", instance));
        let mut labels: Vec<_> = self.base.iter().copied().chain(instance).chain(own).map(clean).collect();
        labels.sort_unstable_by_key(|(name, _)| *name);
        labels
    }
}

fn clean((name, value): Label<'_>) -> (&'static str, Cow<'_, str>) {
    let value = match name {
        "conversation_id" | "workflow_id" => label::id(value),
        _ => label::name(value),
    };
    (name, value)
}
