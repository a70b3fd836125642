//! A ledger as the table sees it: the current state and the totals of each workflow, within the series budget.
//!
//! The budget is hard: what has no place in it, as [`SeriesBudget`] says, is added up under `other`.

use std::{borrow::Cow, collections::BTreeMap, ops::Add};

use jiff::Timestamp;

use super::series_budget::{Place, SeriesBudget};
use crate::{
    clock::Steady,
    ledger::{ByStatus, Current, Ledger, Totals, WorkflowState},
    model::{Api, HandoffReason, HandoffSource, Status, Step},
};

/// The label value under which is added up what the series budget leaves out.
pub const OTHER: &str = "other";

/// Limits on the number of series, for one ledger.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Workflows with series of their own.
    pub workflows: usize,
    /// Steps with series of their own.
    pub steps: usize,
    /// Conversations with series of their own; zero = none at all.
    pub conversations: usize,
}

/// A ledger at one moment.
pub struct View<'a> {
    pub(super) api: Api,
    pub(super) project: &'a str,
    pub(super) workflows: Vec<Workflow<'a>>,
    pub(super) conversations: [u64; 3],
    pub(super) conversations_shown: Vec<Conversation<'a>>,
    pub(super) watch_start: Option<Timestamp>,
    /// Nothing was learned for too long: what is current is not known.
    pub(super) stale: bool,
    pub(super) remembered_executions: usize,
    pub(super) doubtful_executions: usize,
    pub(super) stale_answers: u64,
    pub(super) remembered_conversations: usize,
}

/// One workflow at one moment, or all that share `other`.
pub struct Workflow<'a> {
    pub(super) api: Api,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) totals: &'a Totals,
    pub(super) by_status: Cow<'a, [ByStatus; 6]>,
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) execution_count: Option<u64>,
    pub(super) uncounted: Option<i64>,
    pub(super) steps: BTreeMap<StepLabels<'a>, u64>,
}

/// The labels of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepLabels<'a> {
    pub(super) status: Status,
    pub(super) identifier: &'a str,
    pub(super) step_type: &'a str,
}

/// One conversation at one moment, or all that share `other`.
pub struct Conversation<'a> {
    pub(super) id: &'a str,
    pub(super) open: [u64; 4],
    pub(super) last_event_at: Option<Timestamp>,
}

impl Workflow<'_> {
    /// Handoffs by source and reason; those that every workflow can have are there from the start, at zero.
    pub(super) fn handoffs(&self) -> BTreeMap<(HandoffSource, HandoffReason), u64> {
        let mut handoffs = self.totals.handoffs.clone();
        let reasons: &[_] = match self.api {
            Api::Platform => &[HandoffReason::None],
            Api::Legacy => &[HandoffReason::None, HandoffReason::Other],
        };
        for reason in reasons {
            handoffs.entry((HandoffSource::Unknown, *reason)).or_default();
        }
        handoffs
    }

    /// Adds what is current of another one. What was counted is added up by [`SeriesBudget`].
    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.by_status.to_mut().iter_mut().zip(&*other.by_status) {
            mine.merge(theirs);
        }
        self.last_event_at = self.last_event_at.max(other.last_event_at);
        self.execution_count = sum(self.execution_count, other.execution_count);
        self.uncounted = sum(self.uncounted, other.uncounted);
    }
}

/// The sum of what is known.
fn sum<T: Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (None, one) | (one, None) => one,
        (Some(a), Some(b)) => Some(a + b),
    }
}

impl<'a> View<'a> {
    /// The view of a ledger whose current state was admitted.
    #[must_use]
    pub fn new(
        project: &'a str,
        api: Api,
        ledger: &'a Ledger,
        current: &'a Current,
        series_budget: &'a SeriesBudget,
        limits: Limits,
        now: Steady,
    ) -> Self {
        let (workflows, shown_at) = workflows(api, ledger, current, series_budget);
        let mut view = Self {
            api,
            project,
            workflows,
            conversations: current.conversations,
            conversations_shown: conversations(ledger, limits.conversations),
            watch_start: ledger.watch_start(),
            stale: ledger.is_stale(now),
            remembered_executions: ledger.remembered(),
            doubtful_executions: ledger.doubtful_executions(),
            stale_answers: ledger.stale_answers(),
            remembered_conversations: ledger.remembered_conversations(),
        };
        view.add_steps(current, series_budget, &shown_at);
        view
    }

    fn add_steps(
        &mut self,
        current: &'a Current,
        series_budget: &'a SeriesBudget,
        shown_at: &[Option<usize>],
    ) {
        let empty = series_budget.steps().map(|at| (at, &0));
        for (at, count) in empty.chain(&current.steps) {
            let Some(workflow) = shown_at[at.workflow] else { continue };
            let step = Some(&at.step).filter(|_| series_budget.has_step(at));
            *self.workflows[workflow].steps.entry(labels(at.status, step)).or_default() += count;
        }
    }
}

/// What is shown of the workflows, and for each account at which index.
fn workflows<'a>(
    api: Api,
    ledger: &'a Ledger,
    current: &'a Current,
    series_budget: &'a SeriesBudget,
) -> (Vec<Workflow<'a>>, Vec<Option<usize>>) {
    let mut shown: Vec<_> = other(api, current, series_budget).into_iter().collect();
    let mut shown_at = Vec::with_capacity(current.workflows.len());
    for (index, (account, by_status)) in ledger.workflows().iter().zip(&current.workflows).enumerate() {
        let own = workflow(api, account, by_status);
        shown_at.push(match series_budget.place(index) {
            Some(Place::Own) => {
                shown.push(own);
                Some(shown.len() - 1)
            }
            Some(Place::Other(_)) => {
                shown[0].merge(&own);
                Some(0)
            }
            Some(Place::Nowhere(_)) | None => None,
        });
    }
    (shown, shown_at)
}

/// What was counted under `other`, with nothing current: that is to be added.
fn other<'a>(api: Api, current: &Current, series_budget: &'a SeriesBudget) -> Option<Workflow<'a>> {
    let nothing = |sum: &ByStatus| ByStatus {
        count: 0,
        oldest_start: None,
        oldest_event: None,
        idle: sum.idle.since(&sum.idle),
    };
    Some(Workflow {
        api,
        id: OTHER,
        name: OTHER,
        totals: series_budget.other()?,
        by_status: Cow::Owned(current.workflows.first()?.each_ref().map(nothing)),
        last_event_at: None,
        execution_count: None,
        uncounted: None,
        steps: BTreeMap::new(),
    })
}

fn workflow<'a>(api: Api, account: &'a WorkflowState, by_status: &'a [ByStatus; 6]) -> Workflow<'a> {
    Workflow {
        api,
        id: account.id.as_str(),
        name: account.name(),
        totals: &account.totals,
        by_status: Cow::Borrowed(by_status),
        last_event_at: account.last_event_at,
        execution_count: account.execution_count,
        uncounted: account.uncounted(),
        steps: BTreeMap::new(),
    }
}

fn labels(status: Status, step: Option<&Step>) -> StepLabels<'_> {
    StepLabels {
        status,
        identifier: step.map_or(OTHER, |step| &step.identifier),
        step_type: step.map_or(OTHER, |step| &step.step_type),
    }
}

fn conversations(ledger: &Ledger, most: usize) -> Vec<Conversation<'_>> {
    if most == 0 {
        return Vec::new();
    }
    let mut all = ledger.conversations_by_event().into_iter().map(|sum| Conversation {
        id: sum.id.as_str(),
        open: sum.open,
        last_event_at: sum.last_event_at,
    });
    let mut shown: Vec<_> = all.by_ref().take(most).collect();
    let rest = all.reduce(|mut sum, next| {
        sum.id = OTHER;
        sum.last_event_at = sum.last_event_at.max(next.last_event_at);
        sum.open.iter_mut().zip(next.open).for_each(|(mine, theirs)| *mine += theirs);
        sum
    });
    shown.extend(rest.map(|rest| Conversation { id: OTHER, ..rest }));
    shown
}
