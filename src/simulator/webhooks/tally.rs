//! What became of the deliveries.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{delivery::Kind, incident::HandoffSource};

/// What became of all deliveries, for a judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryTally {
    /// By event: `workflow.execution.handoff`, `workflow.execution.failed`; and `test` and `unknown`.
    pub events: BTreeMap<&'static str, DeliveryCounts>,
    /// All attempts, retries and repeats included; a batch is one.
    pub attempts: u64,
    /// The handoffs whose delivery was answered well, by source and reason.
    pub handoffs_by_reason: BTreeMap<(HandoffSource, Option<String>), u64>,
}

/// What became of the deliveries of one event; each in a batch counts.
#[derive(Serialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// How many there were to be.
    pub queued: u64,
    /// Of these, how many were never sent.
    pub lost: u64,
    /// How many were tried at least once.
    pub sent: u64,
    /// How many were answered well.
    pub answered: u64,
    /// How many were not and won't be tried again.
    pub given_up: u64,
}

impl DeliveryTally {
    /// The counts for deliveries of this kind.
    pub fn of(&mut self, kind: Kind) -> &mut DeliveryCounts {
        let name = match kind {
            Kind::Incident(event) => event.name(),
            Kind::Test(_) => "test",
            Kind::Unknown(_) => "unknown",
        };
        self.events.entry(name).or_default()
    }
}
