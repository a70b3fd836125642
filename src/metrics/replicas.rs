//! Placeholder until merged.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::state::postgres::{Observer, Operation};

/// Figures.
#[derive(Debug, Default)]
pub struct ReplicaMetrics(Mutex<BTreeMap<Arc<str>, bool>>);

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostBy {
    /// a
    HandedOver,
    /// b
    Expired,
    /// c
    Fenced,
}

impl ReplicaMetrics {
    /// x
    pub fn acquired(&self, _leases: u64) {}
    /// x
    pub fn lost(&self, _by: LostBy) {}
    /// x
    pub fn sees(&self, _replicas: usize) {}
    /// x
    pub fn holds(&self, _leases: usize, held: BTreeMap<Arc<str>, bool>) {
        *self.0.lock() = held;
    }
    /// x
    pub fn found_older(&self) {}
}

impl Observer for ReplicaMetrics {
    fn asked(&self, _: Operation, _: Duration, _: bool) {}
}
