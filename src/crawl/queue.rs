//! Who is to be asked next, and how much there is to do.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::{clock::Steady, model::seconds_between};

/// While both wait, one turn in so many is for the inventory.
const INVENTORY_TURN: usize = 5;
/// Moved activity is this much more urgent than an open execution with recent events.
pub const MOVED_WEIGHT: f64 = 4.0;
/// An open execution is less urgent by its idle hours, down to this.
const QUIETEST_WEIGHT: f64 = 0.1;

/// What to ask, in two queues: what is urgent, most urgent first, and the inventory, which has its turn now and
/// then.
#[derive(Debug)]
pub struct Queue<T> {
    urgent: VecDeque<T>,
    inventory: VecDeque<T>,
    turn: usize,
}

/// How much there is to do, and how late it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backlog {
    /// Lists that are due.
    pub due: usize,
    /// By how much the most overdue of them is late, in seconds.
    pub lateness: f64,
    /// When the stalest of those that show open executions was asked for, in Kapso's clock.
    pub oldest_list: Option<Timestamp>,
    /// How long it takes at this pace to look at everything at rest once, in seconds.
    pub full_scan_seconds: f64,
    /// Lists whose last reading failed.
    pub failing: usize,
}

impl Backlog {
    /// Takes note of something that has been due since then.
    pub fn wait(&mut self, since: Steady, now: Steady) {
        self.lateness = self.lateness.max(seconds(since, now));
    }

    /// Takes note of a list that shows open executions, and of when it was asked for. It is `now`, in Kapso's clock
    /// `kapso_now`.
    pub fn list(&mut self, requested_at: Option<Steady>, now: Steady, kapso_now: Timestamp) {
        let requested_at =
            requested_at.map(|at| kapso_now.saturating_add(at.since(now)).unwrap_or(kapso_now));
        self.oldest_list = self.oldest_list.into_iter().chain(requested_at).min();
    }
}

/// Seconds from one moment to a later one, zero where the order is the other way round.
pub fn seconds(earlier: Steady, later: Steady) -> f64 {
    later.since(earlier).max(SignedDuration::ZERO).as_secs_f64()
}

/// How long it takes to look at so many things at rest: every `recheck`, or at so many per pass if that takes
/// longer.
#[allow(clippy::cast_precision_loss, reason = "a count of what is in memory")]
pub fn full_scan_seconds(
    resting: usize,
    per_pass: usize,
    interval: SignedDuration,
    recheck: SignedDuration,
) -> f64 {
    let passes = resting.div_ceil(per_pass) as f64;
    (passes * interval.as_secs_f64()).max(recheck.as_secs_f64())
}

/// Of open executions: 1 while the last event is less than an hour old, then less by the hour.
pub fn weight(last_event: Option<Timestamp>, now: Timestamp) -> f64 {
    let hours = last_event.map_or(0.0, |at| seconds_between(at, now) / 3600.0);
    (1.0 / hours.max(1.0)).max(QUIETEST_WEIGHT)
}

impl<T> Queue<T> {
    /// These, in this order.
    pub fn new(urgent: impl IntoIterator<Item = T>, inventory: impl IntoIterator<Item = T>) -> Self {
        Self { urgent: urgent.into_iter().collect(), inventory: inventory.into_iter().collect(), turn: 0 }
    }

    /// The next one to ask.
    pub fn pop(&mut self) -> Option<T> {
        self.turn = self.turn.wrapping_add(1);
        let (first, second) = if self.turn.is_multiple_of(INVENTORY_TURN) {
            (&mut self.inventory, &mut self.urgent)
        } else {
            (&mut self.urgent, &mut self.inventory)
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    /// Counts turns on from those of the queue before: the inventory has its turn, however short a queue lives.
    pub fn go_on_after(&mut self, turn: usize) {
        self.turn = turn;
    }

    /// How many turns there were.
    #[must_use]
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// Keeps these alone.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.urgent.retain(&mut is_kept);
        self.inventory.retain(is_kept);
    }

    /// Everything in it.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.urgent.iter().chain(&self.inventory)
    }

    /// How much is in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.urgent.len() + self.inventory.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
