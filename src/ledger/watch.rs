//! Which workflows are watched: those that the filter allows, by their ids and their names.
//!
//! What is shown of a workflow that is not watched is dropped where executions come in ([`Ledger::apply`]): it is not
//! counted, not remembered and never in doubt. A list that shows it is read all the same, as far as that goes.
//!
//! **The name** is the one that the workflow's series have (`name`), or would have. Until it is known, or the list of
//! workflows was read without telling it, nothing is decided: what is shown until then is dropped and shown again, since
//! its list counts as read with a gap.
//!
//! **Out.** A workflow that is renamed out of the filter, or that another filter leaves out after a restart, has no
//! series from then on, and its executions are forgotten. What was counted of it stays in the account.
//!
//! **In.** A workflow that is renamed into the filter, or let in by another one, is watched from then on
//! ([`watched_from`](WorkflowState::watched_from)): from the restart, or from the first answer after its
//! name was believed or another filter took effect.
//! Its counters go on from where they were, events of before are history, and all lists that may have shown it are
//! read again. Of an execution that started before, the times up to which lists are counted and forgotten tell nothing.
//! So one that is counted is remembered for good; there are as many as were open when the workflow was let in.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    Ledger, WorkflowState,
    entry::CountingRule,
    micros::Micros,
    observation::{Counted, Observation, Origin},
};
use crate::{
    label,
    model::{Workflow, WorkflowFilter, WorkflowId},
};

/// Which workflows are watched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// Those that this allows.
    pub workflows: WorkflowFilter,
    /// Names that the API does not tell.
    pub names: BTreeMap<WorkflowId, String>,
    /// Whether the API lists the workflows with their names.
    pub names_are_listed: bool,
}

/// Whether a workflow is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// That depends on its name, which is not known yet.
    Undecided,
    Watched,
    Excluded,
    /// It was excluded, and is to be watched from then on.
    LetIn(Moment),
}

/// A moment that is known in Kapso's clock once Kapso has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// When this program began to watch.
    Start,
    /// The present.
    Now,
}

/// A name is not told if so many readings of the list of workflows ended without it: the first of them may have begun
/// before the workflow was there.
const READINGS: u64 = 2;

impl WorkflowState {
    /// Whether it is watched.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watch == Watch::Watched
    }

    /// When watching it began, where it was let in, or else when watching began at all.
    #[must_use]
    pub fn watch_start(&self, all: Timestamp) -> Timestamp {
        self.watched_from.map_or(all, |from| all.max(from.into()))
    }

    /// Whether an execution at this place of its lists started before it was let in.
    pub(super) fn was_let_in_after(&self, position: Micros) -> bool {
        self.watched_from.is_some_and(|from| position < from)
    }

    /// Whether it is not watched, as far as is worth keeping.
    pub(crate) fn is_excluded(&self) -> bool {
        matches!(self.watch, Watch::Excluded | Watch::LetIn(_))
    }

    fn let_in(&mut self, from: Timestamp) {
        self.watch = Watch::Watched;
        self.watched_from = self.watched_from.max(Some(from.into()));
        // Its own count is compared with what is counted from now on.
        (self.first_count, self.started_before) = (None, self.totals.started);
    }
}

impl Ledger {
    /// Decides whether a workflow is watched, by the name that it has now.
    pub(super) fn decide(&mut self, number: usize, at: Moment) {
        let watch = self.workflows[number].watch;
        let watch = match (watch, self.is_allowed(number)) {
            (Watch::Undecided, Some(true)) => Watch::Watched,
            (Watch::Excluded, Some(true)) => Watch::LetIn(at),
            (_, Some(false)) => Watch::Excluded,
            (_, None | Some(true)) => watch,
        };
        if watch == self.workflows[number].watch {
            return;
        }
        if watch == Watch::Excluded {
            self.forget_workflow(super::index(number));
        }
        self.workflows[number].watch = watch;
        self.is_decided &= !matches!(watch, Watch::LetIn(_));
    }

    /// Whether the filter allows a workflow; `None` if that is not known yet.
    fn is_allowed(&self, number: usize) -> Option<bool> {
        let (state, filter) = (&self.workflows[number], &self.scope.workflows);
        if filter.is_open() {
            return Some(true);
        }
        let known = state.known_name();
        let is_told = state.id.as_str() == super::NO_WORKFLOW
            || !self.scope.names_are_listed
            || self.workflow_readings >= state.first_seen + READINGS;
        let name: Option<Arc<str>> = known.map(Into::into);
        let is_decidable = name.is_some() || is_told;
        is_decidable.then(|| filter.allows(&Workflow { id: state.id.clone(), name }))
    }

    /// Decides on the workflows whose names were not known.
    pub(super) fn decide_the_undecided(&mut self) {
        for number in 0..self.workflows.len() {
            if self.workflows[number].watch == Watch::Undecided {
                self.decide(number, Moment::Now);
            }
        }
    }

    /// Decides on all workflows, after a restart or for another filter.
    pub(crate) fn decide_on_all(&mut self, at: Moment) {
        for number in (0..).take(self.workflows.len()) {
            let workflow = self.workflows.untracked(number);
            workflow.configured_name =
                self.scope.names.get(&workflow.id).map(|name| label::name(name).into());
        }
        for number in 0..self.workflows.len() {
            if self.workflows[number].is_watched() && self.is_allowed(number).is_none() {
                self.workflows[number].watch = Watch::Undecided;
            }
            self.decide(number, at);
        }
    }

    /// Watches the workflows that are to be let in from now on, or since this program `began`. Returns which.
    pub(crate) fn let_in(&mut self, began: Timestamp, now: Timestamp) -> Vec<usize> {
        if std::mem::replace(&mut self.is_decided, true) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for number in 0..self.workflows.len() {
            if let Watch::LetIn(at) = self.workflows[number].watch {
                let from = if at == Moment::Start { began } else { now };
                self.workflows[number].let_in(from);
                all.push(number);
            }
        }
        all
    }

    /// How to tell news of a workflow from its history.
    pub(super) fn rule(&self, seen: Observation<'_>, workflow: u32) -> CountingRule {
        let workflow = &self.workflows[workflow as usize];
        let list_was_known = matches!(seen.origin, Origin::Listed { was_read: true, .. });
        CountingRule {
            watch_start: workflow.watch_start(self.watch_start().unwrap_or(seen.as_of)),
            // While it was not watched, nothing of what lists have shown of it was taken in.
            list_was_known: list_was_known && workflow.watched_from.is_none(),
        }
    }

    /// Forgets all executions of a workflow.
    fn forget_workflow(&mut self, workflow: u32) {
        for slot in self.executions_where(|entry| entry.workflow == workflow) {
            self.end_doubt(slot);
            let Some(entry) = self.executions.get(slot) else { continue };
            let (was, conversation) = (Counted::of(entry), entry.conversation);
            self.recount(slot, was, None);
            if let Some(conversation) = conversation.and_then(|number| self.conversations.untracked(number)) {
                conversation.executions.retain(|&other| other != slot);
            }
            self.executions.remove(slot);
        }
    }
}
