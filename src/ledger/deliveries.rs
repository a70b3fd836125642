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
//! Outcomes that are found and that no delivery tells within [`RETRIES_END`] are *missed*.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Event, Histogram, Ledger, Micros, Watch,
    entry::Entry,
    observation::{Counted, Observation, Origin},
    table::{Identified, Slot},
};
use crate::model::{Delivery, ExecutionId, Status, ToldOutcome, WebhookEvent, seconds_between};

/// Kapso's retries end 140 s after an outcome; an outcome that was not told by then is missed.
const RETRIES_END: SignedDuration = SignedDuration::from_mins(3);
/// Polling has found an outcome within this time, or its delivery says nothing of how far it was ahead.
const LONGEST_LEAD: SignedDuration = SignedDuration::from_hours(1);
/// So many outcomes in a row that deliveries told make them trusted.
const TRUSTED_AFTER: u32 = 5;
/// Bounds of the lead, in seconds.
static LEAD_BOUNDS: LazyLock<Arc<[f64]>> =
    LazyLock::new(|| [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0].into());

/// What was told and found of the outcomes of one execution.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    id: ExecutionId,
    /// What deliveries told, and was decided on.
    told: Vec<Mark>,
    /// Stays in handoff that were found, and not told by then.
    found: Vec<Stay>,
    /// What deliveries told before any answer showed the execution.
    waiting: Vec<Waiting>,
}

/// Tells an outcome from others of the same execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    failed: bool,
    /// When it happened; when it was told, where the delivery does not say.
    at: Micros,
    /// `at` is from the delivery.
    is_dated: bool,
    key: Option<u64>,
}

/// A stay in handoff, found by an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    /// It began after then.
    after: Option<Micros>,
    /// It ended by then; `None` while it goes on.
    until: Option<Micros>,
    /// A delivery told it since.
    is_told: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    mark: Mark,
    outcome: ToldOutcome,
}

impl Identified for Outcomes {
    type Id = ExecutionId;

    fn id(&self) -> &ExecutionId {
        &self.id
    }
}

impl Mark {
    /// At `now`, where the delivery does not say when.
    fn of(delivery: &Delivery, now: Timestamp) -> Self {
        Self {
            failed: delivery.outcome == ToldOutcome::Failed,
            at: delivery.at.unwrap_or(now).into(),
            is_dated: delivery.at.is_some(),
            key: delivery.key,
        }
    }

    /// Whether two deliveries tell the same.
    fn is_same(self, other: Self) -> bool {
        let are_dated = self.is_dated && other.is_dated;
        let is_same =
            if are_dated { self.at == other.at } else { self.key.is_some() && self.key == other.key };
        self.failed == other.failed && (self.failed || is_same)
    }
}

impl Stay {
    fn holds(self, at: Micros) -> bool {
        self.after.is_none_or(|after| after < at || at.is_whole_second_of(after))
            && self.until.is_none_or(|until| at <= until || until.is_whole_second_of(at))
    }
}

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

/// How deliveries and polling compare, since this program began.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Whether deliveries are expected at all.
    pub is_expected: bool,
    /// By how much deliveries were ahead of polling.
    pub lead: Histogram,
    /// Outcomes that polling found and no delivery told, by event.
    pub missed: [u64; 2],
    /// Outcomes that were told since the last one that was missed.
    agreed: u32,
    /// When what is not found by a list yet was told.
    ahead: HashMap<ExecutionId, Timestamp>,
    /// What was found and is not told yet.
    untold: Vec<Untold>,
}

#[derive(Debug)]
struct Untold {
    id: ExecutionId,
    event: WebhookEvent,
    found_at: Timestamp,
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            is_expected: false,
            lead: Histogram::new(&LEAD_BOUNDS),
            missed: [0; 2],
            agreed: 0,
            ahead: HashMap::new(),
            untold: Vec::new(),
        }
    }
}

impl Comparison {
    /// Takes note that an outcome was found which no delivery had told.
    fn found(&mut self, id: &ExecutionId, event: WebhookEvent, found_at: Timestamp) {
        if self.is_expected {
            self.untold.push(Untold { id: id.clone(), event, found_at });
        }
    }

    /// Takes note of a delivery: of an outcome that was found before, or of one that is to be found.
    fn told(&mut self, id: &ExecutionId, event: WebhookEvent, now: Timestamp) {
        self.agreed = self.agreed.saturating_add(1);
        match self.untold.iter().position(|untold| untold.id == *id && untold.event == event) {
            Some(number) => drop(self.untold.swap_remove(number)),
            None => drop(self.ahead.entry(id.clone()).or_insert(now)),
        }
    }

    /// Takes note that a list that was asked for at `as_of` shows an execution, or would if it were still open.
    fn listed(&mut self, id: &ExecutionId, as_of: Timestamp) {
        if let Some(&told_at) = self.ahead.get(id)
            && told_at <= as_of
        {
            self.ahead.remove(id);
            self.lead.observe(seconds_between(told_at, as_of));
        }
    }

    fn prune(&mut self, now: Timestamp) {
        self.ahead.retain(|_, told_at| now.duration_since(*told_at) < LONGEST_LEAD);
        let Self { untold, missed, agreed, .. } = self;
        untold.retain(|untold| {
            let is_missed = now.duration_since(untold.found_at) >= RETRIES_END;
            if is_missed {
                missed[usize::from(untold.event == WebhookEvent::Failed)] += 1;
                *agreed = 0;
            }
            !is_missed
        });
    }
}

impl Ledger {
    /// Takes in a delivery, at `now` in Kapso's clock.
    pub fn deliver(&mut self, delivery: &Delivery, now: Timestamp) -> Taken {
        let mark = Mark::of(delivery, now);
        let is_excluded = |ledger: &Self, number: usize| ledger.workflows[number].watch == Watch::Excluded;
        let named = delivery.workflow.as_ref().and_then(|id| self.workflow_number(id));
        if named.is_some_and(|number| is_excluded(self, number)) {
            return Taken::Ignored;
        }
        let outcomes = self.outcomes.find(&delivery.execution).and_then(|slot| self.outcomes.get(slot));
        if outcomes.is_some_and(|outcomes| outcomes.was_told(mark)) {
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
        let waiting = Waiting { mark, outcome: delivery.outcome.clone() };
        self.outcomes_of(&delivery.execution).waiting.push(waiting);
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
        let outcomes = self.outcomes.find(id).and_then(|slot| self.outcomes.get(slot));
        outcomes.is_some_and(|outcomes| !outcomes.waiting.is_empty())
    }

    /// Takes note that the API does not have an execution of which something is told: that counts nothing.
    pub fn give_up_waiting(&mut self, id: &ExecutionId) {
        if self.awaits(id)
            && let Some(slot) = self.outcomes.find(id)
        {
            self.outcomes.remove(slot);
        }
    }

    /// Whether deliveries agree with what polling finds, so that it may ask less often.
    #[must_use]
    pub fn trusts_deliveries(&self) -> bool {
        self.comparison.is_expected && self.comparison.agreed >= TRUSTED_AFTER
    }

    /// By how much deliveries were ahead of polling, and how many outcomes they missed, by event; `None` where none are
    /// expected.
    #[must_use]
    pub fn comparison(&self) -> Option<(&Histogram, [(WebhookEvent, u64); 2])> {
        let Comparison { lead, missed: [handoffs, failures], is_expected, .. } = &self.comparison;
        let [handoff, failed] = WebhookEvent::OUTCOMES;
        is_expected.then_some((lead, [(handoff, *handoffs), (failed, *failures)]))
    }

    /// From now on deliveries are expected, or no longer.
    pub(crate) fn expect_deliveries(&mut self, is_expected: bool) {
        if self.comparison.is_expected != is_expected {
            self.comparison = Comparison { is_expected, ..Comparison::default() };
        }
    }

    /// The events of an answer, less those that deliveries told; `before` is what was known when it came.
    pub(super) fn less_told(
        &mut self,
        slot: Slot,
        events: Vec<Event>,
        before: Before,
        now: Timestamp,
    ) -> Vec<Event> {
        let Some(id) = self.executions.get(slot).map(|entry| entry.id.clone()) else { return events };
        events.into_iter().filter_map(|event| self.unless_told(&id, event, before, now)).collect()
    }

    fn unless_told(&mut self, id: &ExecutionId, event: Event, before: Before, now: Timestamp) -> Option<Event> {
        let outcomes = self.outcomes.find(id);
        match event {
            Event::HandedOff { .. } => self.handoff_unless_told(id, event, before, now),
            Event::Finished { status: Status::Failed, .. } => {
                let waits = |outcomes: &Outcomes| outcomes.waiting.iter().any(|waiting| waiting.mark.failed);
                if !outcomes.and_then(|slot| self.outcomes.get(slot)).is_some_and(waits) {
                    self.comparison.found(id, WebhookEvent::Failed, now);
                }
                Some(event)
            }
            Event::Started | Event::Finished { .. } => Some(event),
        }
    }

    fn handoff_unless_told(&mut self, id: &ExecutionId, event: Event, before: Before, now: Timestamp) -> Option<Event> {
        let stay = Stay { after: before.not_in_handoff_at, until: None, is_told: false };
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
            self.comparison.found(id, WebhookEvent::Handoff, now);
        }
        Some(event)
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

    /// What waits for an execution that is not to be taken in counts nothing.
    pub(super) fn drop_what_waits(&mut self, id: &ExecutionId) {
        if self.outcomes.len() > 0 {
            self.give_up_waiting(id);
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
        if let Some(number) = conversation.filter(|&number| self.conversations[number].last_event_at < Some(mark.at)) {
            self.conversations[number].last_event_at = Some(mark.at);
        }
        if let Some(event) = event.filter(|_| !is_found) {
            self.workflows[workflow as usize].totals.count(&event, now);
        }
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
            outcomes.found.iter_mut().filter(|stay| stay.until.is_none()).for_each(|stay| stay.until = left_at);
        }
    }

    /// Takes note that the lists of a workflow were read from `as_of` on, in Kapso's clock: what had become of its
    /// executions would have been found by then.
    pub(crate) fn note_visited(&mut self, workflow: u32, as_of: Timestamp) {
        let Self { comparison, executions, .. } = self;
        let told: Vec<_> = comparison.ahead.keys().cloned().collect();
        let is_of = |id: &ExecutionId| {
            executions.find(id).and_then(|slot| executions.get(slot)).is_some_and(|entry| entry.workflow == workflow)
        };
        told.iter().filter(|id| is_of(id)).for_each(|id| comparison.listed(id, as_of));
    }

    /// Forgets the outcomes of executions that are forgotten, and what has waited for too long.
    pub(super) fn prune_outcomes(&mut self, horizon: Micros, now: Timestamp) {
        self.comparison.prune(now);
        let Self { outcomes, executions, .. } = self;
        let is_over = |outcomes: &Outcomes| {
            executions.find(&outcomes.id).is_none() && outcomes.waiting.iter().all(|waiting| waiting.mark.at < horizon)
        };
        let over: Vec<_> = outcomes.iter().filter(|(_, outcomes)| is_over(outcomes)).map(|(slot, _)| slot).collect();
        for slot in over {
            outcomes.remove(slot);
        }
    }

    fn outcomes_of(&mut self, id: &ExecutionId) -> &mut Outcomes {
        let slot = self.outcomes.find(id).unwrap_or_else(|| {
            let (told, found, waiting) = Default::default();
            self.outcomes.insert(Outcomes { id: id.clone(), told, found, waiting })
        });
        &mut self.outcomes[slot]
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

impl Outcomes {
    fn was_told(&self, mark: Mark) -> bool {
        let waiting = self.waiting.iter().map(|waiting| waiting.mark);
        self.told.iter().copied().chain(waiting).any(|other| other.is_same(mark))
    }

    /// Whether a handoff at this time was found before it was told; then it is told from now on.
    fn is_found(&mut self, at: Micros, handed_off_at: Option<Micros>) -> bool {
        if let Some(stay) = self.found.iter_mut().find(|stay| !stay.is_told && stay.holds(at)) {
            stay.is_told = true;
            return true;
        }
        // Found before deliveries were expected: then none has told anything.
        let is_first = self.found.is_empty() && self.told.iter().all(|mark| mark.failed);
        is_first && handed_off_at.is_some_and(|found| at <= found || found.is_whole_second_of(at))
    }

    /// The newest handoff that waits and is of this stay.
    fn take_waiting_in(&mut self, stay: Stay) -> Option<Waiting> {
        let fits = |waiting: &Waiting| !waiting.mark.failed && stay.holds(waiting.mark.at);
        let candidates = self.waiting.iter().enumerate().filter(|(_, waiting)| fits(waiting));
        let (number, _) = candidates.max_by_key(|(_, waiting)| waiting.mark.at)?;
        Some(self.waiting.remove(number))
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
