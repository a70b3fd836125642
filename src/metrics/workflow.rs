//! A workflow as the table sees it, or all that share `other`.

use std::{collections::BTreeMap, ops::Add, sync::Arc};

use jiff::Timestamp;

use super::{
    OTHER,
    series_budget::{Place, SeriesBudget},
};
use crate::{
    ledger::{Buckets, ByStatus, Current, HandoffKind, Histogram, Ledger, Starts, Totals, WorkflowState},
    model::{Api, HandoffReason, HandoffSource, Status, Step},
};

/// Which handoffs the workflows of a stream can have, whatever classes of reasons there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandoffKinds {
    /// The lists of the platform API tell neither source nor reason.
    Listed,
    /// Those of the legacy API tell the reason.
    Legacy,
    /// Webhook deliveries tell both.
    Delivered,
}

impl HandoffKinds {
    pub(super) fn of(api: Api, ledger: &Ledger) -> Self {
        match api {
            Api::Legacy => Self::Legacy,
            Api::Platform if ledger.comparison().is_some() => Self::Delivered,
            Api::Platform => Self::Listed,
        }
    }

    pub(super) fn all(self) -> impl Iterator<Item = HandoffKind> {
        use HandoffReason::{None, Other};
        use HandoffSource::{ActionStep, AgentTool, Unknown};
        let told = [(ActionStep, None), (ActionStep, Other), (AgentTool, None), (AgentTool, Other)];
        let told = told.into_iter().filter(move |_| self == Self::Delivered);
        let other = (self == Self::Legacy).then_some((Unknown, Other));
        [(Unknown, None)].into_iter().chain(other).chain(told)
    }
}

/// One workflow at one moment, or all that share `other`.
#[derive(Debug)]
pub struct Workflow {
    pub(super) kinds: HandoffKinds,
    /// Its number in the ledger; `other` has none.
    pub(super) number: Option<usize>,
    pub(super) id: Box<str>,
    pub(super) name: Box<str>,
    pub(super) totals: Arc<Totals>,
    /// Since when; `None` where its series go on from others.
    pub(super) starts: Option<Starts>,
    pub(super) by_status: [ByStatus; 6],
    pub(super) last_event_at: Option<Timestamp>,
    pub(super) execution_count: Option<u64>,
    pub(super) uncounted: Option<i64>,
    /// Open executions by where they stand; `None` for all steps that share `other`.
    pub(super) steps: BTreeMap<(Status, Option<Step>), u64>,
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
            kinds: HandoffKinds::Delivered,
            number: None,
            id: OTHER.into(),
            name: OTHER.into(),
            totals: Totals { handoffs, ..Totals::new(&buckets) }.into(),
            starts: None,
            by_status: std::array::from_fn(|_| sum()),
            last_event_at: Some(Timestamp::UNIX_EPOCH),
            execution_count: Some(0),
            uncounted: Some(0),
            steps: BTreeMap::new(),
        }
    }

    /// When its series began, in our clock.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.starts.as_ref()?.of(&self.name)
    }

    /// When those of such handoffs began.
    pub(super) fn handoffs_since(&self, kind: &HandoffKind) -> Option<Timestamp> {
        self.starts.as_ref()?.of_handoffs(&self.name, kind)
    }

    /// One of which nothing is known but what was counted.
    #[must_use]
    pub fn of_totals(id: &str, name: &str, totals: Totals) -> Self {
        let (id, name, totals) = (id.into(), name.into(), totals.into());
        let nothing_current =
            Self { last_event_at: None, execution_count: None, uncounted: None, ..Self::largest() };
        Self { kinds: HandoffKinds::Listed, id, name, totals, ..nothing_current }
    }

    /// What was counted.
    pub fn totals_mut(&mut self) -> &mut Totals {
        Arc::make_mut(&mut self.totals)
    }

    /// Handoffs by source and reason; those that every workflow can have are there from the start, at zero.
    pub(super) fn handoffs(&self) -> BTreeMap<HandoffKind, u64> {
        let mut handoffs = self.totals.handoffs.clone();
        for kind in self.kinds.all() {
            handoffs.entry(kind).or_default();
        }
        handoffs
    }

    /// Adds what is current of another one. What was counted is added up by [`SeriesBudget`].
    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.by_status.iter_mut().zip(&other.by_status) {
            mine.merge(theirs);
        }
        self.last_event_at = self.last_event_at.max(other.last_event_at);
        match (&mut self.starts, &other.starts) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine, theirs) => mine.clone_from(theirs),
        }
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

/// What is shown of the workflows.
pub(super) fn workflows(
    api: Api,
    ledger: &Ledger,
    current: Current,
    series_budget: &SeriesBudget,
) -> Vec<Workflow> {
    let kinds = HandoffKinds::of(api, ledger);
    let mut shown: Vec<_> = other(kinds, &current, series_budget).into_iter().collect();
    // For each workflow of the ledger at which index it is shown.
    let mut shown_at = Vec::with_capacity(current.workflows.len());
    for (index, (state, by_status)) in ledger.workflows().iter().zip(current.workflows).enumerate() {
        shown_at.push(match series_budget.place(index) {
            Some(&Place::Own { goes_on }) => {
                let own = workflow(kinds, index, state, by_status);
                shown.push(Workflow { starts: own.starts.filter(|_| !goes_on), ..own });
                Some(shown.len() - 1)
            }
            Some(Place::Other(_)) => {
                shown[0].merge(&workflow(kinds, index, state, by_status));
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
fn other(kinds: HandoffKinds, current: &Current, series_budget: &SeriesBudget) -> Option<Workflow> {
    let nothing = |sum: &ByStatus| ByStatus {
        count: 0,
        oldest_start: None,
        oldest_event: None,
        idle: sum.idle.since(&sum.idle),
    };
    Some(Workflow {
        kinds,
        number: None,
        id: OTHER.into(),
        name: OTHER.into(),
        totals: series_budget.other()?.clone(),
        starts: None,
        by_status: current.workflows.first()?.each_ref().map(nothing),
        last_event_at: None,
        execution_count: None,
        uncounted: None,
        steps: BTreeMap::new(),
    })
}

fn workflow(kinds: HandoffKinds, number: usize, state: &WorkflowState, by_status: [ByStatus; 6]) -> Workflow {
    Workflow {
        kinds,
        number: Some(number),
        id: state.id.as_str().into(),
        name: state.name().into(),
        totals: state.totals.clone(),
        starts: state.starts.clone(),
        by_status,
        last_event_at: state.last_event_at,
        execution_count: state.execution_count,
        uncounted: state.uncounted(),
        steps: BTreeMap::new(),
    }
}
