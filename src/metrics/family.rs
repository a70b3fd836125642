//! A metric family as a row of a table, and the rows that it is filled with.

use prometheus::{
    core::Desc,
    proto::{self, LabelPair, Metric, MetricFamily, MetricType},
};

use super::view::{View, Workflow};
use crate::{label, ledger::Histogram};

/// A family whose values are computed from the ledgers.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// The text of its HELP line: what it is, and which field it comes from.
    pub help: &'static str,
    /// Its labels beside `api` and `project` (and `workflow_id` and `workflow_name`).
    pub labels: &'static [&'static str],
    /// Its type.
    pub kind: MetricType,
    /// It shows what is current: it is withdrawn if nothing was learned for too long.
    pub current: bool,
    /// Its values.
    pub rows: RowsFrom,
}

/// Where a family's values come from.
#[derive(Debug)]
pub enum RowsFrom {
    /// Called for each ledger; labels `api` and `project`.
    Ledger(fn(&View<'_>, &mut Rows<'_>)),
    /// Called for each workflow of each ledger; labels `workflow_id` and `workflow_name` too.
    Workflow(fn(&Workflow<'_>, &mut Rows<'_>)),
}

impl Family {
    /// All its label names, in alphabetical order.
    #[must_use]
    pub fn label_names(&self) -> Vec<&'static str> {
        let workflow: &[_] = match self.rows {
            RowsFrom::Ledger(_) => &[],
            RowsFrom::Workflow(_) => &["workflow_id", "workflow_name"],
        };
        let mut names = [&["api", "project"], self.labels, workflow].concat();
        names.sort_unstable();
        names
    }

    /// Its description for the registry.
    ///
    /// # Errors
    /// If a name is not one that Prometheus allows.
    pub fn desc(&self) -> prometheus::Result<Desc> {
        let labels = self.label_names().into_iter().map(Into::into).collect();
        Desc::new(self.name.into(), self.help.into(), labels, std::collections::HashMap::new())
    }

    /// The family over these ledgers.
    #[must_use]
    pub fn collect(&self, views: &[View<'_>]) -> MetricFamily {
        let mut metrics = Vec::new();
        for view in views.iter().filter(|view| !(self.current && view.stale)) {
            let base = [("api", view.api.as_str()), ("project", view.project)];
            match self.rows {
                RowsFrom::Ledger(rows) => rows(view, &mut Rows::new(self, &base, &mut metrics)),
                RowsFrom::Workflow(rows) => {
                    for workflow in &view.workflows {
                        let labels = [
                            base[0],
                            base[1],
                            ("workflow_id", workflow.id),
                            ("workflow_name", workflow.name),
                        ];
                        rows(workflow, &mut Rows::new(self, &labels, &mut metrics));
                    }
                }
            }
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.into());
        family.set_help(self.help.into());
        family.set_field_type(self.kind);
        family.set_metric(metrics);
        family
    }
}

/// Takes the values of a family, for one ledger or workflow.
pub struct Rows<'a> {
    family: &'a Family,
    base: &'a [(&'static str, &'a str)],
    metrics: &'a mut Vec<Metric>,
}

impl<'a> Rows<'a> {
    fn new(family: &'a Family, base: &'a [(&'static str, &'a str)], metrics: &'a mut Vec<Metric>) -> Self {
        Self { family, base, metrics }
    }

    /// A gauge's value; `values` are those of the family's own labels, in its order.
    pub fn gauge(&mut self, values: &[&str], value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.add(values).set_gauge(gauge);
    }

    /// A counter's value.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn counter(&mut self, values: &[&str], value: u64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value as f64);
        self.add(values).set_counter(counter);
    }

    /// A histogram.
    pub fn histogram(&mut self, values: &[&str], histogram: &Histogram) {
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
        self.add(values).set_histogram(to);
    }

    fn add(&mut self, values: &[&str]) -> &mut Metric {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let own = self.family.labels.iter().zip(values).map(|(name, value)| (*name, *value));
        let mut labels: Vec<_> = self.base.iter().copied().chain(own).collect();
        labels.sort_unstable_by_key(|(name, _)| *name);
        self.metrics.push(Metric::from_label(labels.into_iter().map(pair).collect()));
        let last = self.metrics.len() - 1;
        &mut self.metrics[last]
    }
}

/// A label. Whatever text its value comes from, it is short and clean.
fn pair((name, value): (&str, &str)) -> LabelPair {
    let value = match name {
        "conversation_id" | "workflow_id" => label::id(value),
        _ => label::name(value),
    };
    let mut pair = LabelPair::default();
    pair.set_name(name.into());
    pair.set_value(value.into());
    pair
}
