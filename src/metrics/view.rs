//! A stream as the table sees it: a copy of the current state and the totals of each workflow, within the series budget.
//!
//! The budget is hard: what has no place in it, as [`SeriesBudget`] says, is added up under `other`.

use std::{collections::BTreeMap, ops::Add};

use jiff::Timestamp;

use super::{
    series_budget::{Place, Refused, SeriesBudget},
    table::series_per_workflow,
};
use crate::{
    clock::Steady,
    ledger::{Buckets, ByStatus, Current, Histogram, Ledger, OpenInConversation, Totals, WorkflowState},
    model::{Api, HandoffReason, HandoffSource, Status, Step},
    project::{BudgetStatus, Stream, StreamKey, StreamStatus},
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

impl Limits {
    /// A tenth of `series` for steps, the rest for workflows; `conversations` on top.
    #[must_use]
    pub fn within(series: usize, conversations: usize) -> Self {
        let steps = series / 10;
        Self { workflows: (series - steps) / series_per_workflow(), steps, conversations }
    }
}

/// A stream at one moment.
#[derive(Debug)]
pub struct View {
    pub(super) key: StreamKey,
    /// It is the first one of its project.
    pub(super) is_first: bool,
    pub(super) status: StreamStatus,
    pub(super) budget: BudgetStatus,
    pub(super) workflows: Vec<Workflow>,
    pub(super) conversations: [u64; 3],
    pub(super) conversations_shown: Vec<Conversation>,
    pub(super) watch_start: Option<Timestamp>,
    /// Nothing was learned for too long: what is current is not known.
    pub(super) stale: bool,
    pub(super) remembered_executions: usize,
    pub(super) doubtful_executions: usize,
    pub(super) stale_answers: u64,
    pub(super) remembered_conversations: usize,
}

/// One workflow at one moment, or all that share `other`.
#[derive(Debug)]
pub struct Workflow {
    pub(super) api: Api,
    pub(super) id: Box<str>,
    pub(super) name: Box<str>,
    pub(super) totals: Totals,
    pub(super) by_status: [ByStatus; 6],
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) execution_count: Option<u64>,
    pub(super) uncounted: Option<i64>,
    /// Open executions by where they stand; `None` for all steps that share `other`.
    pub(super) steps: BTreeMap<(Status, Option<Step>), u64>,
}

/// One conversation at one moment, or all that share `other`.
#[derive(Debug)]
pub struct Conversation {
    pub(super) id: Box<str>,
    pub(super) open: [u64; 4],
    pub(super) last_event_at: Option<Timestamp>,
}

impl Workflow {
    /// One that has every series that a workflow can have, steps aside.
    pub(super) fn largest() -> Self {
        let buckets = Buckets::default();
        let sum = || ByStatus {
            count: 0,
            oldest_start: Some(Timestamp::UNIX_EPOCH),
            oldest_event: Some(Timestamp::UNIX_EPOCH),
            idle: Histogram::new(&buckets.idle),
        };
        let sources = [HandoffSource::ActionStep, HandoffSource::AgentTool, HandoffSource::Unknown];
        let kinds = sources.map(|source| [(source, HandoffReason::None), (source, HandoffReason::Other)]);
        let handoffs = kinds.into_iter().flatten().map(|kind| (kind, 0)).collect();
        Self {
            api: Api::Platform,
            id: OTHER.into(),
            name: OTHER.into(),
            totals: Totals { handoffs, ..Totals::new(&buckets) },
            by_status: std::array::from_fn(|_| sum()),
            last_event_at: Some(Timestamp::UNIX_EPOCH),
            execution_count: Some(0),
            uncounted: Some(0),
            steps: BTreeMap::new(),
        }
    }

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
        for (mine, theirs) in self.by_status.iter_mut().zip(&other.by_status) {
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

impl View {
    /// The stream now, and what it brought that got no series of its own. The stream's locks are held while it is
    /// copied, and no longer.
    pub(super) fn of(stream: &Stream, series_budget: &mut SeriesBudget, limits: Limits) -> (Self, Refused) {
        let (now, steady) = (stream.client.clock().now(), stream.client.clock().steady_now());
        let (status, budget) = (stream.status.lock().clone(), stream.budget.status());
        let ledger = stream.ledger.lock();
        let (key, now) = (stream.key.clone(), (now, steady));
        Self::new(key, status, budget, &ledger, series_budget, limits, now)
    }

    /// The same, of its parts.
    pub(super) fn new(
        key: StreamKey,
        status: StreamStatus,
        budget: BudgetStatus,
        ledger: &Ledger,
        series_budget: &mut SeriesBudget,
        limits: Limits,
        (now, steady): (Timestamp, Steady),
    ) -> (Self, Refused) {
        let current = ledger.current(now);
        let refused = series_budget.admit(ledger, &current, limits, now);
        let (conversations, shown) = (current.conversations, conversations(ledger, limits.conversations));
        let view = Self {
            workflows: workflows(key.api, ledger, current, series_budget),
            key,
            is_first: true,
            status,
            budget,
            conversations,
            conversations_shown: shown,
            watch_start: ledger.watch_start(),
            stale: ledger.is_stale(steady),
            remembered_executions: ledger.remembered(),
            doubtful_executions: ledger.doubtful_executions(),
            stale_answers: ledger.stale_answers(),
            remembered_conversations: ledger.remembered_conversations(),
        };
        (view, refused)
    }

    pub(super) fn project(&self) -> &str {
        &self.key.project
    }
}

/// What is shown of the workflows.
fn workflows(api: Api, ledger: &Ledger, current: Current, series_budget: &SeriesBudget) -> Vec<Workflow> {
    let mut shown: Vec<_> = other(api, &current, series_budget).into_iter().collect();
    // For each workflow of the ledger at which index it is shown.
    let mut shown_at = Vec::with_capacity(current.workflows.len());
    for (index, (state, by_status)) in ledger.workflows().iter().zip(current.workflows).enumerate() {
        shown_at.push(match series_budget.place(index) {
            Some(Place::Own) => {
                shown.push(workflow(api, state, by_status));
                Some(shown.len() - 1)
            }
            Some(Place::Other(_)) => {
                shown[0].merge(&workflow(api, state, by_status));
                Some(0)
            }
            Some(Place::Nowhere(_)) | None => None,
        });
    }
    let empty = series_budget.steps().filter(|at| !current.steps.contains_key(at)).cloned();
    let empty: Vec<_> = empty.map(|at| (at, 0)).collect();
    for (at, count) in empty.into_iter().chain(current.steps) {
        let Some(index) = shown_at[at.workflow] else { continue };
        let has_series = series_budget.has_step(&at);
        let step = Some(at.step).filter(|_| has_series);
        *shown[index].steps.entry((at.status, step)).or_default() += count;
    }
    shown
}

/// What was counted under `other`, with nothing current: that is to be added.
fn other(api: Api, current: &Current, series_budget: &SeriesBudget) -> Option<Workflow> {
    let nothing = |sum: &ByStatus| ByStatus {
        count: 0,
        oldest_start: None,
        oldest_event: None,
        idle: sum.idle.since(&sum.idle),
    };
    Some(Workflow {
        api,
        id: OTHER.into(),
        name: OTHER.into(),
        totals: series_budget.other()?.clone(),
        by_status: current.workflows.first()?.each_ref().map(nothing),
        last_event_at: None,
        execution_count: None,
        uncounted: None,
        steps: BTreeMap::new(),
    })
}

fn workflow(api: Api, state: &WorkflowState, by_status: [ByStatus; 6]) -> Workflow {
    Workflow {
        api,
        id: state.id.as_str().into(),
        name: state.name().into(),
        totals: state.totals.clone(),
        by_status,
        last_event_at: state.last_event_at,
        execution_count: state.execution_count,
        uncounted: state.uncounted(),
        steps: BTreeMap::new(),
    }
}

fn conversations(ledger: &Ledger, most: usize) -> Vec<Conversation> {
    if most == 0 {
        return Vec::new();
    }
    let mut all = ledger.conversations_by_event().into_iter();
    let own = |sum: OpenInConversation<'_>| Conversation {
        id: sum.id.as_str().into(),
        open: sum.open,
        last_event_at: sum.last_event_at,
    };
    let mut shown: Vec<_> = all.by_ref().take(most).map(own).collect();
    let rest = all.reduce(|mut sum, next| {
        sum.last_event_at = sum.last_event_at.max(next.last_event_at);
        sum.open.iter_mut().zip(next.open).for_each(|(mine, theirs)| *mine += theirs);
        sum
    });
    shown.extend(rest.map(|rest| Conversation { id: OTHER.into(), ..own(rest) }));
    shown
}
