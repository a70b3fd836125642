//! Deliveries against polling: by how much they are ahead, and what they miss.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use jiff::{SignedDuration, Timestamp};

use super::Histogram;
use crate::model::{ExecutionId, WebhookEvent, seconds_between};

/// Kapso's retries end 140 s after an outcome; an outcome that was not told by then is missed.
const RETRIES_END: SignedDuration = SignedDuration::from_mins(3);
/// Polling has found an outcome within this time, or its delivery says nothing of how far it was ahead.
const LONGEST_LEAD: SignedDuration = SignedDuration::from_hours(1);
/// So many outcomes in a row that deliveries told make them trusted.
const TRUSTED_AFTER: u32 = 5;
/// Bounds of the lead, in seconds.
static LEAD_BOUNDS: LazyLock<Arc<[f64]>> =
    LazyLock::new(|| [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0].into());

/// How deliveries and polling compare, since this program began.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Whether deliveries are expected at all.
    pub is_expected: bool,
    /// When this program began, in Kapso's clock.
    pub began: Option<Timestamp>,
    /// By how much deliveries were ahead of polling.
    pub lead: Histogram,
    /// Outcomes that polling found and no delivery told, by event.
    pub missed: [u64; 2],
    /// Outcomes that were told since the last one that was missed.
    agreed: u32,
    /// When what is not found by a list yet was told.
    pub ahead: HashMap<ExecutionId, Timestamp>,
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
            began: None,
            lead: Histogram::new(&LEAD_BOUNDS),
            missed: [0; 2],
            agreed: 0,
            ahead: HashMap::new(),
            untold: Vec::new(),
        }
    }
}

impl Comparison {
    /// Nothing yet.
    pub fn new(is_expected: bool, began: Option<Timestamp>) -> Self {
        Self { is_expected, began, ..Self::default() }
    }

    /// Takes note of an outcome that was found and that no delivery had told. One of before this program began could not
    /// be told.
    pub fn found(
        &mut self,
        id: &ExecutionId,
        event: WebhookEvent,
        at: Option<Timestamp>,
        found_at: Timestamp,
    ) {
        if self.is_expected && at.is_none_or(|at| Some(at) >= self.began) {
            self.untold.push(Untold { id: id.clone(), event, found_at });
        }
    }

    /// Takes note of a delivery: of an outcome that was found before, or of one that is to be found.
    pub fn told(&mut self, id: &ExecutionId, event: WebhookEvent, now: Timestamp) {
        self.agreed = self.agreed.saturating_add(1);
        match self.untold.iter().position(|untold| untold.id == *id && untold.event == event) {
            Some(number) => drop(self.untold.swap_remove(number)),
            None => drop(self.ahead.entry(id.clone()).or_insert(now)),
        }
    }

    /// Takes note that a list that was asked for at `as_of` shows an execution, or would if it were still open.
    pub fn listed(&mut self, id: &ExecutionId, as_of: Timestamp) {
        if let Some(&told_at) = self.ahead.get(id)
            && told_at <= as_of
        {
            self.ahead.remove(id);
            self.lead.observe(seconds_between(told_at, as_of));
        }
    }

    /// Whether deliveries are to be relied upon: the last outcomes were told, each of them.
    pub fn is_trusted(&self) -> bool {
        self.is_expected && self.agreed >= TRUSTED_AFTER
    }

    /// Takes note of what was missed by now.
    pub fn prune(&mut self, now: Timestamp) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn found(comparison: &mut Comparison, id: &str, seconds: i64) {
        comparison.found(&id.into(), WebhookEvent::Failed, Some(at(seconds)), at(seconds));
    }

    #[test]
    fn deliveries_are_trusted_after_five_outcomes_and_no_longer_once_one_is_missed() {
        let mut comparison = Comparison::new(true, Some(at(0)));
        for number in 1..=5 {
            assert!(!comparison.is_trusted());
            comparison.told(&number.to_string().as_str().into(), WebhookEvent::Failed, at(number));
        }
        found(&mut comparison, "late", 10);
        found(&mut comparison, "lost", 10);
        comparison.told(&"late".into(), WebhookEvent::Failed, at(100));
        comparison.prune(at(189));
        assert!(comparison.is_trusted(), "a retry may tell it yet");
        comparison.prune(at(190));
        assert_eq!((comparison.is_trusted(), comparison.missed), (false, [0, 1]));
    }

    #[test]
    fn what_happened_before_this_program_began_could_not_be_told() {
        let mut comparison = Comparison::new(true, Some(at(0)));
        found(&mut comparison, "before", -1);
        comparison.prune(at(1_000));
        assert_eq!(comparison.missed, [0, 0]);
    }

    #[test]
    fn the_lead_ends_with_the_first_list_that_was_asked_for_after_the_delivery() {
        let mut comparison = Comparison::new(true, None);
        comparison.told(&"e".into(), WebhookEvent::Handoff, at(0));
        for (as_of, count) in [(-1, 0), (40, 1), (50, 1)] {
            comparison.listed(&"e".into(), at(as_of));
            assert_eq!(comparison.lead.count(), count);
        }
        assert_eq!(comparison.lead.sum(), 40.0);
    }
}
