//! The figures of a rendering as plain data, for the status page: whoever reads them gets the numbers of the exposition
//! that they belong to, and takes no lock.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{
    OTHER, Trend, View, Workflow,
    trends::{Counted, Trends},
};
use crate::{
    label,
    ledger::WorkflowState,
    model::{Source, Status, Step},
    project::{BudgetStatus, Refusal, Setting, SourceStatus, StreamKey},
};

/// A stream at one moment.
#[derive(Debug)]
pub struct StreamFigures {
    /// Its name.
    pub key: StreamKey,
    /// How each source is doing.
    pub sources: BTreeMap<Source, SourceStatus>,
    /// Why it is not watched.
    pub refusal: Option<Refusal>,
    /// Of the key.
    pub budget: BudgetStatus,
    /// Nothing was learned for too long: the gauges of the current state are withdrawn.
    pub stale: bool,
    /// By how much Kapso's clock is ahead of ours.
    pub skew: SignedDuration,
    /// What is configured of its project.
    pub settings: Arc<[Setting]>,
    /// The workflows that have series of their own, and `other` for the rest.
    pub workflows: Vec<WorkflowFigures>,
}

/// A workflow at one moment, or all that share `other`.
#[derive(Debug)]
pub struct WorkflowFigures {
    /// The `workflow_id` label.
    pub id: Box<str>,
    /// The `workflow_name` label.
    pub name: Box<str>,
    /// Its number in the ledger; `other` has none.
    pub number: Option<usize>,
    /// Executions in each status, in the order of [`Status::ALL`]. Withdrawn where the stream is stale.
    pub executions: [u64; 6],
    /// Executions that started.
    pub started: u64,
    /// Executions that ended.
    pub ended: u64,
    /// Executions that failed.
    pub failed: u64,
    /// Transitions into handoff.
    pub handoffs: u64,
    /// The newest event.
    pub last_event_at: Option<Timestamp>,
    /// Open executions by status and step; `None` for all steps that share `other`.
    pub steps: Vec<(Status, Option<Step>, u64)>,
    /// Failures and handoffs of the last hour; `None` if there were none.
    pub trend: Option<Arc<Trend>>,
}

impl StreamFigures {
    /// Those of a view, with what is configured.
    pub(super) fn of(view: &View, trends: &Trends, skew: SignedDuration, settings: Arc<[Setting]>) -> Self {
        let rest = rest(&view.workflows, trends);
        let workflows = view.workflows.iter().map(|workflow| {
            let trend = workflow.number.map_or(rest.as_ref(), |number| trends.of(number));
            WorkflowFigures::of(workflow, trend)
        });
        Self {
            key: view.key.clone(),
            refusal: view.status.refusal.clone(),
            sources: view.status.sources.clone(),
            budget: view.budget,
            stale: view.stale,
            skew,
            settings,
            workflows: workflows.collect(),
        }
    }
}

impl StreamFigures {
    /// The time at Kapso when it is `now` by our clock.
    #[must_use]
    pub fn kapso_now(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.skew).unwrap_or(now)
    }
}

/// The trend of those that have no series of their own.
fn rest(shown: &[Workflow], trends: &Trends) -> Option<Trend> {
    shown.iter().find(|workflow| workflow.number.is_none())?;
    let mut is_own = vec![false; trends.len()];
    for number in shown.iter().filter_map(|workflow| workflow.number) {
        is_own[number] = true;
    }
    let others = is_own.iter().enumerate().filter(|(_, is_own)| !**is_own);
    let mut sum = Trend::default();
    others.filter_map(|(number, _)| trends.of(number)).for_each(|trend| sum.merge(trend));
    Some(sum)
}

impl WorkflowFigures {
    fn of(workflow: &Workflow, trend: Option<&Trend>) -> Self {
        let is_other = workflow.number.is_none();
        let id = if is_other { OTHER.into() } else { label::id(&workflow.id) };
        Self {
            id: id.into(),
            name: label::name(&workflow.name).into(),
            number: workflow.number,
            executions: workflow.by_status.each_ref().map(|sum| sum.count),
            started: workflow.totals.started,
            ended: workflow.totals.ended,
            failed: workflow.totals.failed,
            handoffs: workflow.totals.handoffs.values().sum(),
            last_event_at: workflow.last_event_at,
            steps: workflow
                .steps
                .iter()
                .map(|((status, step), &count)| (*status, step.clone(), count))
                .collect(),
            trend: trend.map(|trend| Arc::new(*trend)),
        }
    }
}

impl From<&WorkflowState> for Counted {
    fn from(workflow: &WorkflowState) -> Self {
        let totals = &workflow.totals;
        Self { failed: totals.failed, handoffs: totals.handoffs.values().sum() }
    }
}
