//! What answers find, beside what deliveries tell: see `deliveries`.

use jiff::Timestamp;

use super::{
    Event, Ledger, Micros,
    entry::Entry,
    observation::{Observation, Origin},
    outcomes::{Outcomes, Stay},
    table::Slot,
};
use crate::model::{ExecutionId, Status, ToldOutcome, WebhookEvent};

impl Ledger {
    /// The events of an answer, less those that deliveries told; `before` is what was known when it came.
    pub(super) fn less_told(
        &mut self,
        slot: Slot,
        events: Vec<Event>,
        before: Before,
        now: Timestamp,
    ) -> Vec<Event> {
        if events.is_empty() {
            return events;
        }
        let Some(id) = self.executions.get(slot).map(|entry| entry.id.clone()) else { return events };
        events.into_iter().filter_map(|event| self.unless_told(&id, event, before, now)).collect()
    }

    fn unless_told(
        &mut self,
        id: &ExecutionId,
        event: Event,
        before: Before,
        now: Timestamp,
    ) -> Option<Event> {
        match event {
            Event::HandedOff { at, .. } => self.handoff_unless_told(id, (event, at), before, now),
            Event::Finished { status: Status::Failed, at, .. } => {
                let waits = |outcomes: &Outcomes| outcomes.waiting.iter().any(|waiting| waiting.mark.failed);
                if !self.known_outcomes(id).is_some_and(waits) {
                    self.comparison.found(id, WebhookEvent::Failed, at, now);
                }
                Some(event)
            }
            Event::Started | Event::Finished { .. } => Some(event),
        }
    }

    fn handoff_unless_told(
        &mut self,
        id: &ExecutionId,
        (event, at): (Event, Option<Timestamp>),
        before: Before,
        now: Timestamp,
    ) -> Option<Event> {
        let stay = Stay::after(before.not_in_handoff_at);
        if let Some(slot) = self.outcomes.find(id)
            && let Some(outcomes) = self.outcomes.get_mut(slot)
        {
            if outcomes.told.iter().any(|mark| !mark.failed && stay.holds(mark.at)) {
                return None;
            }
            if let Some(waiting) = outcomes.take_waiting_in(stay) {
                outcomes.told.push(waiting.mark);
                self.comparison.told(id, WebhookEvent::Handoff, now);
                return Some(with_labels(event, waiting.outcome));
            }
        }
        if self.comparison.is_expected {
            self.outcomes_of(id).found.push(stay);
            self.comparison.found(id, WebhookEvent::Handoff, at, now);
        }
        Some(event)
    }

    /// Takes note of an answer about an execution: a list shows it, or it is no longer in handoff.
    pub(super) fn note_answer(&mut self, slot: Slot, seen: Observation<'_>, left_handoff: bool) {
        let Some(entry) = self.executions.get(slot) else { return };
        if matches!(seen.origin, Origin::Listed { .. }) {
            self.comparison.listed(&entry.id, seen.as_of);
        }
        if left_handoff
            && let Some(number) = self.outcomes.find(&entry.id)
            && let Some(outcomes) = self.outcomes.get_mut(number)
        {
            let left_at = entry.last_event_at;
            outcomes
                .found
                .iter_mut()
                .filter(|stay| stay.until.is_none())
                .for_each(|stay| stay.until = left_at);
        }
    }

    /// Takes note that the lists of a workflow were read from `as_of` on, in Kapso's clock: what had become of its
    /// executions would have been found by then.
    pub(crate) fn note_visited(&mut self, workflow: u32, as_of: Timestamp) {
        let Self { comparison, executions, .. } = self;
        let told: Vec<_> = comparison.ahead.keys().cloned().collect();
        let is_of = |id: &ExecutionId| {
            executions
                .find(id)
                .and_then(|slot| executions.get(slot))
                .is_some_and(|entry| entry.workflow == workflow)
        };
        told.iter().filter(|id| is_of(id)).for_each(|id| comparison.listed(id, as_of));
    }
}

/// What was known of an execution before an answer came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub in_handoff: bool,
    /// The last event while it was not in handoff; `None` if it was not known.
    not_in_handoff_at: Option<Micros>,
}

impl Before {
    pub fn of(entry: &Entry) -> Self {
        let in_handoff = entry.decided.handoff;
        Self { in_handoff, not_in_handoff_at: entry.last_event_at.filter(|_| !in_handoff) }
    }
}

/// A handoff with the source and the reason that a delivery told.
fn with_labels(event: Event, told: ToldOutcome) -> Event {
    match (event, told) {
        (Event::HandedOff { at, since_start, .. }, ToldOutcome::HandedOff { source, reason }) => {
            Event::HandedOff { source, reason, at, since_start }
        }
        (event, _) => event,
    }
}
