//! Since when the series of a workflow count: their start timestamps.
//!
//! A series begins when it is about to be shown for the first time, and its start is the last moment at which it was not:
//! when all that was shown was last rendered, in our clock. Until then nothing of it had been counted that anybody could
//! have seen, so Prometheus may take the value to have been zero at that moment, and loses no event of a new series. Once
//! set, a start is never moved.
//!
//! A workflow that goes on under another name has series that did not begin at zero. Their start would make Prometheus
//! count all events again, so there is none.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HandoffKind, Ledger, Micros, Totals};

/// When the series of a workflow began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starts {
    /// The name that they began with; `None` if that is not known: then they have it still.
    name: Option<Box<str>>,
    at: Micros,
    /// Those of handoffs, by their kinds.
    handoffs: BTreeMap<HandoffKind, Micros>,
}

impl Starts {
    /// All at this moment, under this name.
    fn new(name: &str, at: Micros) -> Self {
        Self { name: Some(name.into()), at, handoffs: BTreeMap::new() }
    }

    /// Those of a workflow that an earlier version, which kept no starts, counted this of since then.
    pub(crate) fn of_an_earlier_version(totals: &Totals, since: Micros) -> Self {
        let handoffs = totals.handoffs.keys().map(|kind| (kind.clone(), since)).collect();
        Self { name: None, at: since, handoffs }
    }

    /// When they began, if that was under this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Timestamp> {
        self.name.as_deref().is_none_or(|own| own == name).then(|| self.at.into())
    }

    /// When those of a kind of handoffs began, if that was under this name.
    #[must_use]
    pub fn of_handoffs(&self, name: &str, kind: &HandoffKind) -> Option<Timestamp> {
        let all = self.of(name)?;
        Some(self.handoffs.get(kind).map_or(all, |&at| at.into()))
    }

    /// Those of series that are the sum of these and of others: the earlier ones of each.
    pub fn merge(&mut self, other: &Self) {
        self.name = None;
        self.at = self.at.min(other.at);
        for (kind, &theirs) in &other.handoffs {
            let at = self.handoffs.entry(kind.clone()).or_insert(theirs);
            *at = theirs.min(*at);
        }
    }
}

impl Ledger {
    /// The series of each workflow are about to be shown: those that never were begin `at` this moment of our clock.
    /// Handoffs of the kinds `at_zero` have series before there are any.
    pub(crate) fn begin_series(&mut self, at_zero: &[HandoffKind], at: Timestamp) {
        for number in 0..self.workflows.len() {
            let workflow = &self.workflows[number];
            let begun = |kind: &&HandoffKind| {
                workflow.starts.as_ref().is_some_and(|starts| starts.handoffs.contains_key(*kind))
            };
            let kinds = at_zero.iter().chain(workflow.totals.handoffs.keys());
            let new: Vec<_> = kinds.filter(|kind| !begun(kind)).cloned().collect();
            if workflow.starts.is_some() && new.is_empty() {
                continue;
            }
            let workflow = &mut self.workflows[number];
            let fresh = Starts::new(workflow.name(), at.into());
            let starts = workflow.starts.get_or_insert(fresh);
            starts.handoffs.extend(new.into_iter().map(|kind| (kind, at.into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        ledger::{Buckets, Scope},
        model::{HandoffReason, HandoffSource},
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn kind(source: HandoffSource) -> HandoffKind {
        (source, HandoffReason::None)
    }

    #[test]
    fn a_series_begins_when_all_was_last_shown_without_it_and_its_start_stays() {
        let hour = SignedDuration::from_hours(1);
        let mut ledger = Ledger::new(hour, hour, Buckets::default(), Scope::default());
        let (unknown, agent) = (kind(HandoffSource::Unknown), kind(HandoffSource::AgentTool));
        ledger.workflow_by_id(&"w".into());
        ledger.begin_series(std::slice::from_ref(&unknown), at(10));
        ledger.begin_series(std::slice::from_ref(&unknown), at(20));
        std::sync::Arc::make_mut(&mut ledger.workflows[0].totals).handoffs.insert(agent.clone(), 1);
        ledger.workflow_by_id(&"v".into());
        ledger.begin_series(std::slice::from_ref(&unknown), at(30));
        let starts = |number: usize| ledger.workflows[number].starts.as_ref().unwrap();
        assert_eq!((starts(0).of("w"), starts(1).of("v")), (Some(at(10)), Some(at(30))));
        assert_eq!(starts(0).of_handoffs("w", &unknown), Some(at(10)));
        assert_eq!(starts(0).of_handoffs("w", &agent), Some(at(30)));
        assert_eq!((starts(0).of("renamed"), starts(0).of_handoffs("renamed", &agent)), (None, None));
    }
}
