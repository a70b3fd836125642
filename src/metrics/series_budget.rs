//! Who has series of their own: the places of the series budget, given out and given back.
//!
//! Workflows and steps get places in the order in which they are first seen. The rest shares `other`. While there is
//! room, nobody loses a place. In a full budget
//!
//! - a workflow gets the place of one that is **past**, the one with the oldest event first. It is past if nothing of
//!   it is current (no open execution, none that finished within the lookback) and the API no longer has it: that was
//!   confirmed, or it was listed once and there was no sign of it for [`UNLISTED`] while others were listed, or it
//!   was never listed and had no event for [`SILENT`].
//! - a step gets the place of one at which no execution stands, the one that has been empty for longest.
//!
//! Prometheus takes every growth of a counter for events, and every fall for a restart after which the whole value is
//! new. So the counters of `other` may do neither when somebody comes or goes:
//!
//! - A workflow that loses its place is not added to `other`: its series disappear, with all that was counted of it.
//!   Should it be heard of again, only what is counted from then on is added.
//! - A workflow that leaves `other` for a place leaves there what was counted of it so far. Its own series begin with
//!   all that was counted of it; the first value of a series is no growth.
//!
//! Once it is there, `other` stays, and everything current of those that share it at the time is in it. Places are not
//! kept: after a restart they are given out by the same rules, to those that are not past first, and
//! `other` begins with all that was counted of those that share it.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::view::{Limits, OTHER};
use crate::{
    account::{Account, KnownWorkflow},
    clock::Steady,
    ledger::{AtStep, ByStatus, Current, Totals, WorkflowState},
};

/// A workflow that was listed once is past after so long without a sign of it.
const UNLISTED: SignedDuration = SignedDuration::from_hours(24);
/// One that never was, such as an agent of the legacy API, is past after so long without an event.
const SILENT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The places of one account.
#[derive(Debug, Default)]
pub struct SeriesBudget {
    /// Of each workflow.
    places: Vec<Place>,
    /// What was counted of those that share `other`, while they did.
    other: Option<Arc<Totals>>,
    /// Steps with a place, and when an execution last stood there.
    steps: HashMap<AtStep, Timestamp>,
    refused_workflows: HashSet<usize>,
    refused_steps: HashSet<AtStep>,
}

/// Where a workflow is shown.
#[derive(Debug)]
pub enum Place {
    /// In series of its own.
    Own {
        /// They go on from what was shown under `other`.
        goes_on: bool,
    },
    /// Under `other`; with the totals up to which it is added there, or `None` if all of them are still to be added.
    Other(Option<Arc<Totals>>),
    /// Nowhere, since it is past; with its totals as they were then.
    Nowhere(Arc<Totals>),
}

/// What a moment brought that has no place and was not counted as such before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// Workflows.
    pub workflows: u64,
    /// Steps.
    pub steps: u64,
}

impl SeriesBudget {
    /// Gives places to what is in `current`, the state of this account at `now`.
    pub fn admit(&mut self, account: &Account, current: &Current, limits: Limits, now: Timestamp) -> Refused {
        let discovered = account.workflows().filter_map(|workflow| workflow.read.discovered);
        let listed = discovered.max().map(Steady::timestamp);
        let workflows = account.ledger.workflows();
        let mut past = vec![true; workflows.len()];
        for workflow in account.workflows() {
            past[workflow.number] = is_past(workflow, &current.workflows[workflow.number], listed, now);
        }
        // Whoever gets a place leaves what was counted of it until now.
        self.add_to_other(workflows);
        self.withdraw_the_unwatched(workflows);
        self.take_in(workflows, &past);
        let refused = self.place_workflows(workflows, &past, limits.workflows);
        self.add_to_other(workflows);
        Refused { workflows: refused, steps: self.place_steps(current, limits.steps, now) }
    }

    /// Where the workflow with this index is shown.
    pub fn place(&self, workflow: usize) -> Option<&Place> {
        self.places.get(workflow)
    }

    /// What was counted under `other`, if anything ever was.
    pub fn other(&self) -> Option<&Arc<Totals>> {
        self.other.as_ref()
    }

    /// Whether a step has a place.
    pub fn has_step(&self, at: &AtStep) -> bool {
        self.steps.contains_key(at)
    }

    /// The steps that have one.
    pub fn steps(&self) -> impl Iterator<Item = &AtStep> {
        self.steps.keys()
    }

    /// Adds what was counted of those that share `other` since this was last done.
    fn add_to_other(&mut self, workflows: &[WorkflowState]) {
        for (place, WorkflowState { totals, .. }) in self.places.iter_mut().zip(workflows) {
            let Place::Other(added) = place else { continue };
            if self.other.is_some() && added.as_ref().is_some_and(|added| Arc::ptr_eq(added, totals)) {
                continue;
            }
            let growth = added.as_ref().map_or_else(|| totals.clone(), |added| totals.since(added).into());
            match &mut self.other {
                Some(other) => Arc::make_mut(other).merge(&growth),
                None => self.other = Some(growth),
            }
            *added = Some(totals.clone());
        }
    }

    /// Takes the places of workflows that are not watched any more.
    fn withdraw_the_unwatched(&mut self, workflows: &[WorkflowState]) {
        for (index, workflow) in workflows.iter().enumerate().take(self.places.len()) {
            if !workflow.is_watched() && !matches!(self.places[index], Place::Nowhere(_)) {
                self.withdraw(index, workflow);
            }
        }
    }

    /// Takes note of workflows that are new, or not past any more. Those that are not watched have no place. Those that are past from the start had their time
    /// before a restart; what comes later is news.
    fn take_in(&mut self, workflows: &[WorkflowState], past: &[bool]) {
        let is_start = self.places.is_empty();
        for (index, (workflow, &past)) in workflows.iter().zip(past).enumerate() {
            match self.places.get_mut(index) {
                None if !workflow.is_watched() || (is_start && past && workflow.id.as_str() != OTHER) => {
                    self.places.push(Place::Nowhere(workflow.totals.clone()));
                }
                None => self.places.push(Place::Other(None)),
                Some(place) if !past => {
                    if let Place::Nowhere(totals) = place {
                        *place = Place::Other(Some(totals.clone()));
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn place_workflows(&mut self, workflows: &[WorkflowState], past: &[bool], most: usize) -> u64 {
        let newest_event_first = |indices: &mut Vec<usize>| {
            indices.sort_by_key(|&index| Reverse(workflows[index].last_event_at));
        };
        let (own, others): (Vec<_>, Vec<_>) =
            (0..workflows.len()).partition(|&index| matches!(self.places[index], Place::Own { .. }));
        // A workflow that really is called "other" shares that name rather than making two series of it.
        let may_have_one =
            |index: &usize| workflows[*index].is_watched() && workflows[*index].id.as_str() != OTHER;
        let placeless = others.into_iter().filter(may_have_one);
        let (mut idle, wanting): (Vec<_>, Vec<_>) = placeless.partition(|&index| past[index]);
        let mut room = most.saturating_sub(own.len());
        let mut leaving: Vec<_> = own.into_iter().filter(|&index| past[index]).collect();
        newest_event_first(&mut leaving);
        let mut refused = 0;
        for index in wanting {
            if room > 0 {
                room -= 1;
            } else if let Some(left) = leaving.pop() {
                self.withdraw(left, &workflows[left]);
            } else {
                refused += u64::from(self.refused_workflows.insert(index));
                continue;
            }
            self.give_place(index);
        }
        newest_event_first(&mut idle);
        idle.into_iter().take(room).for_each(|index| self.give_place(index));
        refused
    }

    fn give_place(&mut self, index: usize) {
        let goes_on = matches!(self.places[index], Place::Other(Some(_)));
        self.places[index] = Place::Own { goes_on };
    }

    fn withdraw(&mut self, index: usize, workflow: &WorkflowState) {
        self.places[index] = Place::Nowhere(workflow.totals.clone());
        self.steps.retain(|at, _| at.workflow != index);
    }

    fn place_steps(&mut self, current: &Current, most: usize, now: Timestamp) -> u64 {
        for (at, seen) in &mut self.steps {
            if current.steps.contains_key(at) {
                *seen = now;
            }
        }
        let new: Vec<_> = current.steps.keys().filter(|at| !self.has_step(at)).collect();
        let mut empty = self.empty_steps(current, (self.steps.len() + new.len()).saturating_sub(most));
        let mut refused = 0;
        for at in new {
            if self.steps.len() >= most {
                let Some(left) = empty.pop() else {
                    let is_counted = self.refused_steps.len() < most;
                    refused += u64::from(is_counted && self.refused_steps.insert(at.clone()));
                    continue;
                };
                self.steps.remove(&left);
            }
            self.steps.insert(at.clone(), now);
        }
        refused
    }

    /// At most so many steps at which no execution stands; the one that has been empty for longest is the last.
    fn empty_steps(&self, current: &Current, most: usize) -> Vec<AtStep> {
        if most == 0 {
            return Vec::new();
        }
        let mut empty: Vec<_> = self.steps.iter().filter(|(at, _)| !current.steps.contains_key(at)).collect();
        empty.sort_by(|(a, seen_a), (b, seen_b)| (seen_a, a).cmp(&(seen_b, b)));
        empty.into_iter().take(most).rev().map(|(at, _)| at.clone()).collect()
    }
}

/// Whether a workflow has nothing current and the API no longer has it. `listed` is when any was last listed.
fn is_past(
    workflow: KnownWorkflow<'_>,
    by_status: &[ByStatus; 6],
    listed: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let is_idle = by_status.iter().all(|sum| sum.count == 0);
    let KnownWorkflow { counted, read, .. } = workflow;
    let sign = read.discovered.map(Steady::timestamp).max(counted.last_event_at);
    let (limit, until) = match read.discovered {
        Some(_) => (UNLISTED, listed.unwrap_or(now)),
        None => (SILENT, now),
    };
    is_idle && (read.deleted || sign.is_none_or(|sign| until.duration_since(sign) > limit))
}
