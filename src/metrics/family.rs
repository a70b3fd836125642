//! A metric family as a row of the table.

use strum::IntoStaticStr;

use super::{Label, Rows, instance::Instance, sink::Sink, view::View, workflow::Workflow};
use crate::{
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
        let mut with = |labels: &[Label<'_>], collect: &dyn Fn(&mut Rows<'_>)| {
            collect(&mut Rows::new(self, labels, &view.starts, sink).at(view.instance.as_deref()));
        };
        let project = [("project", view.project())];
        match self.rows {
            RowsFrom::Project(rows) if view.is_first => with(&project, &|to| rows(&view.budget, to)),
            RowsFrom::Project(_) | RowsFrom::Instance(_) => {}
            RowsFrom::Webhook(rows) => with(&project, &|to| rows(view, to)),
            RowsFrom::Stream(rows) => with(&view.labels(), &|to| rows(view, to)),
            RowsFrom::Source(rows) => {
                for (source, status) in &view.status.sources {
                    with(&view.labels_of(*source), &|to| rows(status, to));
                }
            }
            RowsFrom::Workflow(rows) => {
                for workflow in &view.workflows {
                    with(&view.labels_with(workflow), &|to| rows(workflow, to));
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
