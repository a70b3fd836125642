//! What all pages have in common, and how figures look on them.

use jiff::Timestamp;

use super::{
    graphics,
    report::{ErrorReport, ProjectReport, SourceReport, StatusReport, SweepReport, WorkflowReport},
    words,
};
use crate::{
    metrics::MINUTES,
    model::Status,
    project::Advice,
    replica::{Member, Watched},
};

/// A page that reloads does so after so many seconds.
pub(super) const REFRESH: u32 = 30;
/// A list is late above so many intervals.
const LATE: f64 = 2.0;
/// For so many seconds that is not said of a first sweep.
const FIRST_SWEEP: f64 = 600.0;

/// Projects of a replica that are shown: there may be thousands.
const MOST_HELD: usize = 200;

/// What stands around each page.
pub(super) struct Frame {
    pub title: String,
    pub telemetry_path: String,
    pub stylesheet: String,
    /// The page reloads by itself.
    pub refreshes: bool,
    /// That happens after so many seconds.
    pub every: u32,
    /// The URL of the same page that reloads by itself, or no longer does.
    pub toggle: String,
    pub now: Timestamp,
}

/// A verdict: the class of its looks, and the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub class: &'static str,
    pub words: &'static str,
}

impl Frame {
    pub fn as_of(&self) -> String {
        words::moment(self.now)
    }

    pub fn ago(&self, at: &Timestamp) -> String {
        words::ago(*at, self.now)
    }
}

impl StatusReport {
    pub fn uptime(&self) -> String {
        words::span(self.uptime_seconds)
    }

    /// How many sources there are.
    pub fn sources(&self) -> String {
        words::count(self.projects.iter().map(|project| project.sources.len()).sum(), "source")
    }

    /// How it is all in all.
    pub fn headline(&self) -> String {
        let sources = self.projects.iter().flat_map(|project| &project.sources);
        match sources.filter(|source| source.is_troubled()).count() {
            0 if self.ready && self.is_idle_replica() => "No project is watched here".into(),
            0 if !self.ready && self.replicas.is_some() => {
                "Not ready: the database has not answered yet".into()
            }
            0 if !self.ready => "Not ready: no complete sweep yet".into(),
            0 => "All is well".into(),
            1 => format!("1 of {} needs attention", self.sources()),
            troubled => format!("{troubled} of {} need attention", self.sources()),
        }
    }

    /// What to do about state that was not written.
    pub fn state_advice(&self) -> Option<Advice> {
        self.state.as_ref().filter(|state| state.errors > 0).map(|_| Advice::on_state())
    }

    /// What to do about a configuration file that was refused.
    pub fn configuration_advice(&self) -> Option<Advice> {
        let refused =
            self.configuration.as_ref().filter(|configuration| !configuration.last_reload_successful);
        refused.map(|_| Advice::on_configuration())
    }

    /// Of a replica that has nothing to watch it can only be told that it is there.
    fn is_idle_replica(&self) -> bool {
        self.replicas.is_some() && self.projects.is_empty()
    }

    /// Where the state is.
    pub fn state_place(&self) -> String {
        let size = self.state.as_ref().and_then(|state| state.size_bytes);
        size.map_or_else(|| "in PostgreSQL".into(), |size| format!("file of {}", words::bytes(size)))
    }
}

impl Member {
    /// Those that are shown.
    pub(super) fn first_projects(&self) -> &[Watched] {
        self.projects.get(..MOST_HELD).unwrap_or(&self.projects)
    }

    /// How many are not.
    pub(super) fn more_projects(&self) -> Option<usize> {
        self.projects.len().checked_sub(MOST_HELD).filter(|&more| more > 0)
    }
}

impl SweepReport {
    pub fn moment(&self) -> String {
        words::moment(self.finished)
    }

    pub fn took(&self) -> String {
        words::span(self.duration_seconds)
    }
}

impl ProjectReport {
    pub fn path(&self) -> String {
        format!("/projects/{}", words::segment(&self.name))
    }

    /// Anything that somebody has to look at.
    pub fn is_troubled(&self) -> bool {
        self.sources.iter().any(SourceReport::is_troubled)
    }

    pub fn lateness(&self) -> f64 {
        self.sources.iter().map(|source| source.lateness_seconds).fold(0.0, f64::max)
    }

    pub fn open(&self) -> u64 {
        self.workflows.iter().map(WorkflowReport::open).sum()
    }

    pub fn failed_last_hour(&self) -> u64 {
        self.workflows.iter().map(WorkflowReport::failed_last_hour).sum()
    }

    pub fn handoffs_last_hour(&self) -> u64 {
        self.workflows.iter().map(WorkflowReport::handoffs_last_hour).sum()
    }

    /// How much of the budget there is against the limit of the key.
    pub fn budget_bar(&self) -> Option<String> {
        let limit = self.budget.limit.filter(|limit| *limit > 0)?;
        Some(graphics::bar(f64::from(self.budget.per_minute) / f64::from(limit), "plain"))
    }

    /// How much of the limit is left.
    pub fn remaining_bar(&self) -> Option<String> {
        let limit = self.budget.limit.filter(|limit| *limit > 0)?;
        let share = f64::from(self.budget.remaining?) / f64::from(limit);
        Some(graphics::bar(share, if share < 0.1 { "bad" } else { "good" }))
    }

    /// The workflows in this order.
    pub fn sorted(&self, sort: &str) -> Vec<&WorkflowReport> {
        let mut workflows: Vec<_> = self.workflows.iter().collect();
        let most = |of: fn(&WorkflowReport) -> u64| {
            move |workflow: &&WorkflowReport| std::cmp::Reverse(of(workflow))
        };
        workflows.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        match sort {
            "open" => workflows.sort_by_key(most(WorkflowReport::open)),
            "failed" => workflows.sort_by_key(most(WorkflowReport::failed_last_hour)),
            "handoffs" => workflows.sort_by_key(most(WorkflowReport::handoffs_last_hour)),
            _ => {}
        }
        workflows
    }
}

impl SourceReport {
    /// Whether somebody has to look at it.
    pub fn is_troubled(&self) -> bool {
        self.error.is_some()
            || self.stale
            || self.is_late()
            || (self.up == Some(false) && self.last_sweep.is_some())
    }

    pub fn verdict(&self) -> Verdict {
        let (class, words) = match self.up {
            _ if self.is_refused() => ("bad", "Not watched"),
            None => ("idle", "No such API"),
            Some(true) => ("good", "Up"),
            Some(false) if self.last_sweep.is_none() => ("idle", "First sweep under way"),
            Some(false) => ("bad", "Down"),
        };
        Verdict { class, words }
    }

    pub fn is_refused(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.reason == "refused")
    }

    pub fn interval(&self) -> String {
        words::span(self.interval_seconds)
    }

    pub fn age(&self) -> Option<String> {
        self.data_age_seconds.map(words::span)
    }

    pub fn lateness(&self) -> String {
        words::span(self.lateness_seconds)
    }

    /// Whether lists are late. In the first sweep everything is, and that is no cause for alarm for a while.
    pub fn is_late(&self) -> bool {
        let is_first = self.last_sweep.is_none() && self.lateness_seconds < FIRST_SWEEP;
        self.lateness_seconds > self.interval_seconds * LATE && !is_first
    }

    /// What to do about lists that are late.
    pub fn late_advice(&self) -> Option<Advice> {
        self.is_late().then(Advice::on_lateness)
    }

    /// How old the data is, up to three intervals. Old data is no fault while no list is late: where deliveries tell what
    /// happens, lists are asked for less often.
    pub fn age_bar(&self) -> Option<String> {
        let share = self.data_age_seconds? / (self.interval_seconds * 3.0);
        Some(graphics::bar(share, if self.is_late() { "bad" } else { "good" }))
    }

    /// How many of the watched lists are due.
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub fn due_bar(&self) -> String {
        let share = self.due as f64 / self.watched.max(self.due).max(1) as f64;
        graphics::bar(share, if self.is_late() { "bad" } else { "plain" })
    }

    /// Whether the number of open executions is known. None is not what a source that never was up has seen.
    pub fn knows_open(&self) -> bool {
        self.last_sweep.is_some() && (self.open > 0 || self.up == Some(true))
    }

    pub fn strip(&self) -> String {
        graphics::strip(&self.history)
    }

    pub fn failed_sweeps(&self) -> usize {
        self.history.iter().filter(|past| past.error.is_some()).count()
    }

    /// The newest failure, where all is well again.
    pub fn earlier_failure(&self) -> Option<&ErrorReport> {
        self.last_failure.as_ref().filter(|_| self.error.is_none())
    }
}

impl WorkflowReport {
    pub fn path(&self, project: &str) -> String {
        let (project, id) = (words::segment(project), words::segment(&self.id));
        format!("/projects/{project}/workflows/{}/{id}", self.api)
    }

    /// Executions in a status; `None` where that is not known.
    pub fn count(&self, status: &str) -> Option<u64> {
        self.executions.get(status).copied()
    }

    pub fn open(&self) -> u64 {
        Status::OPEN.iter().filter_map(|status| self.count(status.as_str())).sum()
    }

    /// Whether its name contains this text, in lower case, or this is its id.
    pub fn fits(&self, sought: &str, id: &str) -> bool {
        self.name.to_lowercase().contains(sought) || *self.id == *id
    }

    pub fn failed_last_hour(&self) -> u64 {
        sum(self.last_hour.as_ref().map(|hour| &hour.failed))
    }

    pub fn handoffs_last_hour(&self) -> u64 {
        sum(self.last_hour.as_ref().map(|hour| &hour.handoffs))
    }

    pub fn failed_spark(&self) -> String {
        spark(self.last_hour.as_ref().map(|hour| &hour.failed))
    }

    pub fn handoffs_spark(&self) -> String {
        spark(self.last_hour.as_ref().map(|hour| &hour.handoffs))
    }
}

fn sum(counts: Option<&Vec<u32>>) -> u64 {
    counts.into_iter().flatten().copied().map(u64::from).sum()
}

fn spark(counts: Option<&Vec<u32>>) -> String {
    graphics::sparkline(counts.map_or(&[0; MINUTES], Vec::as_slice))
}

/// The statuses, open ones first, as columns of a table.
pub(super) const COLUMNS: [&str; 6] = ["running", "waiting", "handoff", "unknown", "ended", "failed"];
