//! Deliveries of webhooks: outcomes that are told, beside those that lists show.
//!
//! An outcome counts once, whoever tells it first, in whatever order deliveries, their repeats and answers come.
//!
//! - A **failure** is an end, and the first end of an execution counts ([`Decided::finish`]).
//! - A **handoff** begins a stay. A delivery tells when it began; an answer that shows the stay tells only that it began
//!   between the last answer that did not show it and now. So a stay that was *found* is an interval, and a delivery
//!   whose time is in it tells the same handoff: the first such delivery, since a second one with another time is of
//!   another stay, which began and ended between two answers. The other way round, a stay that is found is one that was
//!   *told* if a delivery tells of a time in its interval.
//! - A handoff that is found first counts at once, with the source `unknown`, and keeps it: an alert on handoffs must not
//!   wait for a delivery that may never come, and a counter is never relabelled.
//! - What is told of an execution that no answer has shown **waits** until one does: test deliveries name executions that
//!   are not there. What was over for long by then may have been counted and forgotten, and is not counted.
//!
//! `outcomes` says which are the same, `found` what answers tell beside them, `comparison` what deliveries miss.

use jiff::Timestamp;

use super::{
    Histogram, Ledger, Micros, Watch,
    comparison::Comparison,
    observation::Counted,
    outcomes::{Mark, Outcomes, Waiting},
    table::Slot,
};
use crate::model::{Delivery, ExecutionId, ToldOutcome, WebhookEvent};

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken in, and counts unless polling had found the same.
    Accepted,
    /// It waits until the API shows its execution.
    Waits,
    /// It was told before.
    Repeated,
    /// There is nothing to take in: its workflow is not watched, or it is too old to be told from what was forgotten.
    Ignored,
}

impl Ledger {
    /// Takes in a delivery, at `now` in Kapso's clock.
    pub fn deliver(&mut self, delivery: &Delivery, now: Timestamp) -> Taken {
        let mark = Mark::of(delivery, now);
        let named = delivery.workflow.as_ref().and_then(|id| self.workflow_number(id));
        if named.is_some_and(|number| self.workflows[number].watch == Watch::Excluded) {
            return Taken::Ignored;
        }
        if self.known_outcomes(&delivery.execution).is_some_and(|outcomes| outcomes.was_told(mark)) {
            return Taken::Repeated;
        }
        if let Some(slot) = self.executions.find(&delivery.execution) {
            self.comparison.told(&delivery.execution, delivery.outcome.event(), now);
            self.take_told(slot, mark, &delivery.outcome, now);
            return Taken::Accepted;
        }
        if self.watermarks.horizon.is_some_and(|horizon| mark.at < horizon) {
            return Taken::Ignored;
        }
        self.hold(delivery, now)
    }

    /// Keeps a delivery until the API shows its execution, which is to be asked for next.
    pub fn hold(&mut self, delivery: &Delivery, now: Timestamp) -> Taken {
        let mark = Mark::of(delivery, now);
        let outcomes = self.outcomes_of(&delivery.execution);
        if outcomes.was_told(mark) {
            return Taken::Repeated;
        }
        outcomes.waiting.push(Waiting { mark, outcome: delivery.outcome.clone() });
        Taken::Waits
    }

    /// Executions of which something is told that waits until the API shows them.
    #[must_use]
    pub fn awaited(&self) -> Vec<ExecutionId> {
        let waits = |outcomes: &Outcomes| !outcomes.waiting.is_empty();
        self.outcomes.iter().filter(|(_, outcomes)| waits(outcomes)).map(|(_, o)| o.id.clone()).collect()
    }

    /// Whether something that is told of this one waits.
    #[must_use]
    pub fn awaits(&self, id: &ExecutionId) -> bool {
        self.known_outcomes(id).is_some_and(|outcomes| !outcomes.waiting.is_empty())
    }

    /// Drops what waits for an execution that is not to be taken in: that counts nothing.
    pub(super) fn drop_what_waits(&mut self, id: &ExecutionId) {
        self.drop_waiting(id, |_| true);
    }

    /// The same, as of an answer whose newest time is this one. What was told later waits on: the answer may be one of a
    /// replica that lags behind.
    pub(super) fn drop_what_waits_until(&mut self, id: &ExecutionId, newest: Option<Micros>) {
        self.drop_waiting(id, |mark| !newest.is_some_and(|newest| mark.is_later_than(newest)));
    }

    fn drop_waiting(&mut self, id: &ExecutionId, is_dropped: impl Fn(Mark) -> bool) {
        if !self.awaits(id) {
            return;
        }
        let Some(slot) = self.outcomes.find(id) else { return };
        let Some(outcomes) = self.outcomes.get_mut(slot) else { return };
        outcomes.waiting.retain(|waiting| !is_dropped(waiting.mark));
        if outcomes.waiting.is_empty() {
            self.outcomes.remove(slot);
        }
    }

    /// Whether deliveries agree with what polling finds, so that it may ask less often.
    #[must_use]
    pub fn trusts_deliveries(&self) -> bool {
        self.comparison.is_trusted()
    }

    /// By how much deliveries were ahead of polling, and how many outcomes they missed, by event; `None` where none are
    /// expected.
    #[must_use]
    pub fn comparison(&self) -> Option<(&Histogram, [(WebhookEvent, u64); 2])> {
        let Comparison { lead, missed: [handoffs, failures], is_expected, .. } = &self.comparison;
        let [handoff, failed] = WebhookEvent::OUTCOMES;
        is_expected.then_some((lead, [(handoff, *handoffs), (failed, *failures)]))
    }

    /// Takes note of when this program began, in Kapso's clock: what happened before could not be told.
    pub(crate) fn note_began(&mut self, began: Timestamp) {
        self.comparison.began.get_or_insert(began);
    }

    /// From now on deliveries are expected, or no longer.
    pub(crate) fn expect_deliveries(&mut self, is_expected: bool) {
        if self.comparison.is_expected != is_expected {
            self.comparison = Comparison::new(is_expected, self.comparison.began);
        }
    }

    /// Takes in what waited for an answer that shows the execution.
    pub(super) fn take_what_waited(&mut self, slot: Slot, now: Timestamp) {
        let Some(entry) = self.executions.get(slot) else { return };
        let Some(number) = self.outcomes.find(&entry.id) else { return };
        if self.outcomes.get(number).is_none_or(|outcomes| outcomes.waiting.is_empty()) {
            return;
        }
        let Some(outcomes) = self.outcomes.get_mut(number) else { return };
        let id = outcomes.id.clone();
        for Waiting { mark, outcome } in std::mem::take(&mut outcomes.waiting) {
            self.comparison.told(&id, outcome.event(), now);
            self.take_told(slot, mark, &outcome, now);
        }
    }

    /// Takes in an outcome that a delivery tells of an execution that is known, and counts it if it is news.
    fn take_told(&mut self, slot: Slot, mark: Mark, outcome: &ToldOutcome, now: Timestamp) {
        let Some(entry) = self.executions.get(slot) else { return };
        let (id, handed_off_at, workflow) = (entry.id.clone(), entry.handed_off_at, entry.workflow);
        let outcomes = self.outcomes_of(&id);
        let is_found = !mark.failed && outcomes.is_found(mark.at, handed_off_at);
        outcomes.told.push(mark);
        let watch_start = self.workflows[workflow as usize].watch_start(self.watch_start().unwrap_or(now));
        let is_history = mark.at < watch_start.into();
        let changed = self.executions.change(slot, |entry| {
            let was = Counted::of(entry);
            let event = entry.told(mark.at, outcome, is_history);
            (was, Counted::of(entry), entry.conversation, event)
        });
        let Some((was, is, conversation, event)) = changed else { return };
        self.recount(slot, was, is);
        let state = &self.workflows[workflow as usize];
        if state.last_event_at.is_none_or(|at| at < mark.at.into()) {
            self.workflows[workflow as usize].last_event_at = Some(mark.at.into());
        }
        if let Some(number) =
            conversation.filter(|&number| self.conversations[number].last_event_at < Some(mark.at))
        {
            self.conversations[number].last_event_at = Some(mark.at);
        }
        if let Some(event) = event.filter(|_| !is_found) {
            self.workflows[workflow as usize].count(&id, &event, now);
        }
    }

    /// Forgets the outcomes of executions that are forgotten, and what has waited for too long.
    pub(super) fn prune_outcomes(&mut self, horizon: Micros, now: Timestamp) {
        self.comparison.prune(now);
        let Self { outcomes, executions, .. } = self;
        let is_over = |outcomes: &Outcomes| {
            executions.find(&outcomes.id).is_none()
                && outcomes.waiting.iter().all(|waiting| waiting.mark.at < horizon)
        };
        let over: Vec<_> =
            outcomes.iter().filter(|(_, outcomes)| is_over(outcomes)).map(|(slot, _)| slot).collect();
        for slot in over {
            outcomes.remove(slot);
        }
    }

    /// What was told and found of an execution, if anything was.
    pub(super) fn known_outcomes(&self, id: &ExecutionId) -> Option<&Outcomes> {
        self.outcomes.find(id).and_then(|slot| self.outcomes.get(slot))
    }

    pub(super) fn outcomes_of(&mut self, id: &ExecutionId) -> &mut Outcomes {
        let known = self.outcomes.find(id);
        let slot = known.unwrap_or_else(|| self.outcomes.insert(Outcomes::of(id.clone())));
        &mut self.outcomes[slot]
    }
}
