//! The request budget: how much of the key's rate limit this program allows itself, and when.
//!
//! Kapso counts requests per key and fixed minute, and the production bot uses the same key. One budget is
//! shared by everything here that asks with that key. Seven rules, of which the strictest holds:
//!
//! - **Never more than the budget in any minute**, wherever that begins: the times of the last minute's
//!   requests are kept, since where Kapso's own minute begins is unknown.
//! - **Spread**: a tenth of a minute's requests may go at once, the rest one by one. The more others use and the
//!   less remains, the fewer go at once, down to one.
//! - **Room for the neighbours**: what others use per minute is estimated ([`neighbours`](super::neighbours)). What the
//!   limit leaves beside them and the floor is ours.
//! - **A floor**: when the key has hardly any requests left in its minute, others use more than was expected; the
//!   rest of the minute is theirs.
//! - **The lowest limit counts**: answers may tell different ones. A lower one is taken at once, a higher one after a
//!   minute without a lower one.
//! - **No more than was told**: where replicas share the keys, a request is made only while the lease of its key is held, and
//!   only if it was [reserved](crate::lease::Lease::reserve).
//! - **Gently after a 429**: a pause as long as it says, an hour at most, then half of the budget, growing again
//!   a tenth of it every minute.

mod state;
mod usage;

use std::time::Duration;

use futures_util::future::OptionFuture;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use self::state::State;
pub use self::usage::Usage;
use super::neighbours::Place;
use crate::lease::Lease;

/// The limit to assume until the API has said one: that of Kapso's smallest plan, in requests per minute.
pub const ASSUMED_LIMIT: u32 = 100;

const MINUTE: Duration = Duration::from_mins(1);
/// A minute and a little: two requests sent this far apart never arrive within one minute, although the
/// second one travels faster.
const WINDOW: Duration = Duration::from_secs(61);
/// How long to leave others alone where it is not known when the key's minute ends.
const FLOOR_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause after a 429: an answer that asks for more is not to make the exporter blind for days.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// After so long without news of a lease it is looked at again: the key may have another one.
const LEASE_LOOK: Duration = Duration::from_secs(1);
/// The least part of the budget that remains after any number of 429s.
const LEAST_SHARE: f64 = 1.0 / 16.0;

/// Requests per minute for one API key. Shared by reference; waits without holding a lock.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
    /// Whoever waits has its turn before those who come later: two sources share one budget, and neither starves.
    turn: tokio::sync::Mutex<()>,
    /// How many wait.
    waiting: watch::Sender<usize>,
    /// Without it, where there is one, nothing is asked.
    lease: Mutex<Option<Lease>>,
}

/// A budget's figures now, in requests (per minute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    /// What this program allows itself.
    pub per_minute: u32,
    /// `X-RateLimit-Limit`: the lowest that the answers of the last minute told.
    pub limit: Option<u32>,
    /// The last `X-RateLimit-Remaining`.
    pub remaining: Option<u32>,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Until(Instant),
    /// To be granted more.
    Lease,
}

/// One that waits, until it is dropped.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Budget {
    /// A budget of `own` requests per minute (at least 1), or of half the limit that the API reports.
    #[must_use]
    pub fn new(own: Option<u32>) -> Self {
        Self {
            state: Mutex::new(State::new(own, Instant::now())),
            turn: tokio::sync::Mutex::default(),
            waiting: watch::Sender::default(),
            lease: Mutex::default(),
        }
    }

    /// From now on nothing is asked but while this lease is held; without one there is no such condition.
    pub fn set_lease(&self, lease: Option<Lease>) {
        *self.lease.lock() = lease;
    }

    /// Goes on with another budget of `own` requests per minute, or with half of the limit that the API reports.
    pub fn set_own(&self, own: Option<u32>) {
        self.state.lock().own = own.map(|n| n.max(1));
    }

    /// Waits until one more request fits into the budget, and takes its place.
    pub async fn acquire(&self) -> Place {
        let _waits = Waits::begin(&self.waiting);
        let _turn = self.turn.lock().await;
        loop {
            let lease = self.lease.lock().clone();
            // Created first: nothing that is granted from here on is missed.
            let granted = lease.as_ref().map(Lease::granted);
            match self.take(Instant::now(), lease.as_ref()) {
                Ok(place) => return place,
                Err(Wait::Until(at)) => sleep_until(at).await,
                Err(Wait::Lease) => _ = timeout(LEASE_LOOK, OptionFuture::from(granted)).await,
            }
        }
    }

    /// Waits until nobody waits.
    pub async fn is_free(&self) {
        // The sender lives as long as this.
        self.waiting.subscribe().wait_for(|&waiting| waiting == 0).await.ok();
    }

    /// Takes note of a 429: asks nothing before `pause` has passed, an hour at most, and less for a while after
    /// it.
    pub fn refused(&self, pause: Duration) {
        let (now, pause) = (Instant::now(), pause.min(LONGEST_PAUSE));
        let mut state = self.state.lock();
        // The requests that were under way together are refused together: that is one sign, not many.
        if state.paused_until.is_none_or(|until| until <= now) {
            state.share = ((state.share_now(now) / 2.0).max(LEAST_SHARE), now + pause);
        }
        state.pause_until(now + pause);
    }

    /// How many requests may go at once as far as their spread goes.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "at most a tenth of a u32, and one")]
    pub fn requests_at_once(&self) -> usize {
        let (now, state) = (Instant::now(), self.state.lock());
        let budget = state.per_minute(now);
        let gap = MINUTE / budget;
        let taken = state.even.saturating_duration_since(now).as_nanos().div_ceil(gap.as_nanos());
        (u128::from(state.burst(budget, now)) + 1).saturating_sub(taken) as usize
    }

    /// How long the budget will stay paused.
    #[must_use]
    pub fn paused_for(&self) -> Duration {
        self.state.lock().paused_for(Instant::now())
    }

    /// Takes note of what the answer to the request of this place said about the limit. Returns the limit where it is a
    /// new one that is worth a line in the log: once a minute at most.
    pub fn learn(&self, place: Place, limit: Option<u32>, remaining: Option<u32>) -> Option<u32> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(remaining) = remaining {
            state.learn_remaining(place, remaining, limit, now);
        }
        let before = state.per_minute(now);
        if state.learn_limit(limit?, now) {
            // What was sent counts in terms of the new pace; after a minute it counts no more.
            let ahead = state.even.saturating_duration_since(now);
            state.even = now + (ahead * before / state.per_minute(now)).min(MINUTE);
        }
        state.news(now)
    }

    /// The figures now.
    #[must_use]
    pub fn status(&self) -> BudgetStatus {
        let state = self.state.lock();
        let per_minute = state.per_minute(Instant::now());
        BudgetStatus { per_minute, limit: state.limit, remaining: state.remaining }
    }

    /// Takes the place of one request at `now`, or tells what to wait for.
    fn take(&self, now: Instant, lease: Option<&Lease>) -> Result<Place, Wait> {
        let mut state = self.state.lock();
        if lease.is_some_and(|lease| !lease.is_held()) {
            return Err(Wait::Lease);
        }
        if let Some(until) = state.paused_until.filter(|&until| until > now) {
            return Err(Wait::Until(until));
        }
        let budget = state.per_minute(now);
        let gap = MINUTE / budget;
        let ahead = gap * state.burst(budget, now);
        if state.even > now + ahead {
            return Err(Wait::Until(state.even - ahead));
        }
        while state.sent.front().is_some_and(|&at| at + WINDOW <= now) {
            state.sent.pop_front();
        }
        // The budget may have shrunk: then it is the `budget`-th latest request that has to leave the window.
        if let Some(&at) = state.sent.len().checked_sub(budget as usize).and_then(|i| state.sent.get(i)) {
            return Err(Wait::Until(at + WINDOW));
        }
        if lease.is_some_and(|lease| !lease.spend()) {
            return Err(Wait::Lease);
        }
        state.sent.push_back(now);
        state.even = state.even.max(now) + gap;
        Ok(state.neighbours.send(now))
    }
}

#[cfg(test)]
mod tests;
