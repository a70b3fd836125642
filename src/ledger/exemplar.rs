//! Exemplars: which execution stands for a count. They lead from a spike to what happened.

use jiff::Timestamp;

use crate::model::ExecutionId;

/// An execution that was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Which one.
    pub execution: ExecutionId,
    /// What it added: 1 to a counter, seconds to a histogram.
    pub value: f64,
    /// When that happened, by its own timestamp in Kapso's clock.
    pub at: Timestamp,
}

impl Exemplar {
    /// Gives its place to another one, unless that is earlier: Prometheus refuses one that is older than the one before.
    pub fn give_way(&mut self, next: Self) {
        if self.at <= next.at {
            *self = next;
        }
    }
}
