//! A metric family as a row of the table, and the rows that it is filled with.

use std::borrow::Cow;

use jiff::Timestamp;
use strum::IntoStaticStr;

use super::{
    instance::Instance,
    sink::{Sink, Value},
    starts::SeriesStarts,
    view::View,
    workflow::Workflow,
};
use crate::{
    label,
    ledger::{Exemplar, Histogram},
    model::Source,
    project::{BudgetStatus, SourceStatus},
};

/// A family.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// The text of its HELP line: what it is, and which field it comes from.
    pub help: &'static str,
    /// What is measured.
    pub unit: Unit,
    /// Its labels beside those that all rows of the kind have.
    pub labels: &'static [&'static str],
    /// Its type.
    pub kind: Kind,
    /// When it is there.
    pub shown: Shown,
    /// Its values.
    pub rows: RowsFrom,
    /// What its HELP line has no room for.
    pub note: Note,
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// Counts values by size.
    Histogram,
    /// A histogram of what is now: its buckets go up and down.
    #[strum(serialize = "histogram")]
    Snapshot,
}

impl Kind {
    /// As in a TYPE line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a family's values measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A size.
    Bytes,
    /// Whether something is so.
    Flag,
    /// Nothing.
    None,
    /// How many of something.
    Number,
    /// A time.
    Seconds,
    /// A moment.
    UnixSeconds,
}

impl Unit {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Flag => "1 or 0",
            Self::None => "none",
            Self::Number => "a number",
            Self::Seconds => "seconds",
            Self::UnixSeconds => "Unix time in seconds",
        }
    }
}

/// When a family of streams or workflows is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Always.
    Always,
    /// It shows what is current: it is withdrawn if nothing was learned for too long.
    WhileCurrent,
}

/// What is to be known of a family beside what it says itself.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// Where its values come from.
    pub from: &'static str,
    /// What they don't show.
    pub blind: &'static str,
    /// How many series there are.
    pub series: &'static str,
    /// A query to begin with.
    pub example: &'static str,
}

/// Where a family's values come from. Each kind of rows has labels of its own.
#[derive(Debug)]
pub enum RowsFrom {
    /// The process; no labels.
    Instance(fn(&Instance, &mut Rows<'_>)),
    /// Each project's request budget; `project`.
    Project(fn(&BudgetStatus, &mut Rows<'_>)),
    /// Each stream; `api` and `project`.
    Stream(fn(&View, &mut Rows<'_>)),
    /// The stream of each project that takes webhook deliveries; `project`.
    Webhook(fn(&View, &mut Rows<'_>)),
    /// Each source of each stream; `source` too.
    Source(fn(&SourceStatus, &mut Rows<'_>)),
    /// Each workflow of each stream; `workflow_id` and `workflow_name` too.
    Workflow(fn(&Workflow, &mut Rows<'_>)),
}

impl RowsFrom {
    const fn labels(&self) -> &'static [&'static str] {
        match self {
            Self::Instance(_) => &[],
            Self::Project(_) | Self::Webhook(_) => &["project"],
            Self::Stream(_) => &["api", "project"],
            Self::Source(_) => &["api", "project", "source"],
            Self::Workflow(_) => &["api", "project", "workflow_id", "workflow_name"],
        }
    }
}

impl Family {
    /// All its label names, in alphabetical order.
    #[must_use]
    pub fn label_names(&self) -> Vec<&'static str> {
        let mut names = [self.rows.labels(), self.labels].concat();
        names.sort_unstable();
        names
    }

    /// Hands its samples to `sink`: those of the process, or those of a stream.
    pub fn collect(&self, of: Of<'_>, sink: &mut dyn Sink) {
        sink.begin(self);
        match of {
            Of::Instance(instance) => {
                if let RowsFrom::Instance(rows) = self.rows {
                    rows(instance, &mut Rows::new(self, &[], &instance.starts, sink));
                }
            }
            Of::Stream(view) if view.stale && self.shown == Shown::WhileCurrent => {}
            Of::Stream(view) => self.collect_stream(view, sink),
        }
    }

    fn collect_stream(&self, view: &View, sink: &mut dyn Sink) {
        let starts = &view.starts;
        match self.rows {
            RowsFrom::Project(rows) if view.is_first => {
                rows(&view.budget, &mut Rows::new(self, &[("project", view.project())], starts, sink));
            }
            RowsFrom::Project(_) | RowsFrom::Instance(_) => {}
            RowsFrom::Webhook(rows) => {
                rows(view, &mut Rows::new(self, &[("project", view.project())], starts, sink));
            }
            RowsFrom::Stream(rows) => rows(view, &mut Rows::new(self, &view.labels(), starts, sink)),
            RowsFrom::Source(rows) => {
                for (source, status) in &view.status.sources {
                    rows(status, &mut Rows::new(self, &view.labels_of(*source), starts, sink));
                }
            }
            RowsFrom::Workflow(rows) => {
                for workflow in &view.workflows {
                    rows(workflow, &mut Rows::new(self, &view.labels_with(workflow), starts, sink));
                }
            }
        }
    }

    /// Whether its series end with the process, so that it is the process that knows since when they count.
    #[must_use]
    pub fn ends_with_process(&self) -> bool {
        !matches!(self.rows, RowsFrom::Workflow(_)) && matches!(self.kind, Kind::Counter | Kind::Histogram)
    }
}

impl View {
    fn labels(&self) -> [Label<'_>; 2] {
        [("api", self.key.api.as_str()), ("project", self.project())]
    }

    fn labels_of(&self, source: Source) -> [Label<'_>; 3] {
        let [api, project] = self.labels();
        [api, project, ("source", source.as_str())]
    }

    fn labels_with<'a>(&'a self, workflow: &'a Workflow) -> [Label<'a>; 4] {
        let [api, project] = self.labels();
        [api, project, ("workflow_id", &workflow.id), ("workflow_name", &workflow.name)]
    }
}

/// Whose samples are collected.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// The process's.
    Instance(&'a Instance),
    /// A stream's.
    Stream(&'a View),
}

/// A label's name and value.
pub type Label<'a> = (&'static str, &'a str);

/// Takes the values of a family that have some labels in common.
pub struct Rows<'a> {
    family: &'a Family,
    base: &'a [Label<'a>],
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
        Self { family, base, starts, sink }
    }

    /// A gauge's value; `values` are those of the family's own labels, in its order.
    pub fn gauge(&mut self, values: &[&str], value: f64) {
        self.sample(Kind::Gauge, values, &Value::Gauge(value));
    }

    /// The value of a counter that ends with the process.
    pub fn counter(&mut self, values: &[&str], total: u64) {
        let since = self.starts.of(self.family.name, &self.labels(values));
        self.counter_since(values, total, since, None);
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
        let since = self.starts.of(self.family.name, &self.labels(values));
        self.histogram_since(values, histogram, since);
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
        debug_assert_eq!(self.family.kind, kind, "{}", self.family.name);
        let labels = self.labels(values);
        self.sink.sample(&labels, value);
    }

    /// All labels, by name. Whatever text its value comes from, it is short and clean.
    fn labels<'b>(&self, values: &[&'b str]) -> Vec<(&'static str, Cow<'b, str>)>
    where
        'a: 'b,
    {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let own = self.family.labels.iter().copied().zip(values.iter().copied());
        let mut labels: Vec<_> = self.base.iter().copied().chain(own).map(clean).collect();
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
