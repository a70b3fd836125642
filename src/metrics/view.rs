//! A ledger as the table sees it: the current state and the totals of each workflow, within the series budget.
//!
//! The budget is hard. Workflows and steps are admitted in the order in which they are first seen and stay
//! admitted; those beyond it are added up under `other`, so that every sum stays right and no series comes and
//! goes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    ops::Add,
};

use jiff::Timestamp;

use crate::{
    clock::Steady,
    execution::{Api, HandoffReason, HandoffSource, Status, Step},
    ledger::{Account, AtStep, ByStatus, Current, Ledger, Totals},
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

/// What was admitted so far, and what was left out, for one ledger.
#[derive(Debug, Default)]
pub struct Admission {
    steps: HashSet<AtStep>,
    refused_steps: HashSet<AtStep>,
    folded_workflows: usize,
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
    pub(super) totals: Cow<'a, Totals>,
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

    fn merge(&mut self, account: &Account, by_status: &[ByStatus; 6]) {
        self.totals.to_mut().merge(&account.totals);
        for (mine, theirs) in self.by_status.to_mut().iter_mut().zip(by_status) {
            mine.merge(theirs);
        }
        self.last_event_at = self.last_event_at.max(account.last_event_at);
        self.execution_count = sum(self.execution_count, account.execution_count);
        self.uncounted = sum(self.uncounted, account.uncounted());
    }
}

/// The sum of what is known.
fn sum<T: Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (None, one) | (one, None) => one,
        (Some(a), Some(b)) => Some(a + b),
    }
}

/// What a moment brought that is beyond the limits and was not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Workflows that share `other` from now on.
    pub workflows: u64,
    /// Steps that do.
    pub steps: u64,
}

impl Admission {
    /// Takes note of what is new in `current`.
    pub fn admit(&mut self, current: &Current, limits: Limits) -> Refused {
        let mut steps = 0;
        for at in current.steps.keys() {
            if self.steps.contains(at) || self.steps.len() < limits.steps {
                self.steps.insert(at.clone());
            } else if self.refused_steps.len() < limits.steps {
                steps += u64::from(self.refused_steps.insert(at.clone()));
            }
        }
        let folded = current.workflows.len().saturating_sub(limits.workflows);
        let workflows = (folded - self.folded_workflows) as u64;
        self.folded_workflows = folded;
        Refused { workflows, steps }
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
        admission: &'a Admission,
        limits: Limits,
        now: Steady,
    ) -> Self {
        let mut workflows: Vec<Workflow<'a>> = Vec::new();
        let mut place = Vec::with_capacity(current.workflows.len());
        for (index, (account, by_status)) in ledger.accounts().iter().zip(&current.workflows).enumerate() {
            // A workflow that really is called "other" shares that name rather than making two series of it.
            let shared = index >= limits.workflows || account.id.as_str() == OTHER;
            let other = workflows.iter().position(|workflow| workflow.id == OTHER).filter(|_| shared);
            if let Some(other) = other {
                workflows[other].merge(account, by_status);
            } else {
                workflows.push(workflow(api, account, by_status, shared));
            }
            place.push(other.unwrap_or(workflows.len() - 1));
        }
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
            remembered_conversations: ledger.records().len(),
        };
        view.add_steps(current, admission, &place);
        view
    }

    fn add_steps(&mut self, current: &'a Current, admission: &'a Admission, place: &[usize]) {
        for at in &admission.steps {
            self.workflows[place[at.workflow]].steps.entry(labels(at.status, Some(&at.step))).or_default();
        }
        for (at, count) in &current.steps {
            let step = Some(&at.step).filter(|_| admission.steps.contains(at));
            *self.workflows[place[at.workflow]].steps.entry(labels(at.status, step)).or_default() += count;
        }
    }
}

fn workflow<'a>(api: Api, account: &'a Account, by_status: &'a [ByStatus; 6], shared: bool) -> Workflow<'a> {
    Workflow {
        api,
        id: if shared { OTHER } else { account.id.as_str() },
        name: if shared { OTHER } else { account.name() },
        totals: Cow::Borrowed(&account.totals),
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
        id: ledger.records()[sum.record].id.as_str(),
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
