//! The request budget: how much of the key's rate limit this program allows itself.
//!
//! Kapso counts requests per key and minute, and the production bot uses the same key. The budget is shared
//! by everything here that asks with that key. It keeps the times of the requests of the last minute, so that
//! **no** window of a minute, wherever it begins, holds more requests than the budget: Kapso's own minute
//! included, whose beginning is unknown.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The limit to assume until the API has said one: that of Kapso's smallest plan, in requests per minute.
pub const ASSUMED_LIMIT: u32 = 100;

/// A minute and a little: two requests sent this far apart never arrive within one minute, although the
/// second one travels faster.
const WINDOW: Duration = Duration::from_secs(61);

/// Requests per minute for one API key. Shared by reference; waits without holding a lock.
#[derive(Debug)]
pub struct Budget {
    own: Option<u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limit: Option<u32>,
    remaining: Option<u32>,
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

/// A budget's figures now, in requests (per minute).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetStatus {
    /// What this program allows itself.
    pub per_minute: u32,
    /// The last `X-RateLimit-Limit`.
    pub limit: Option<u32>,
    /// The last `X-RateLimit-Remaining`.
    pub remaining: Option<u32>,
}

impl Budget {
    /// A budget of `own` requests per minute (at least 1), or of half the limit that the API reports.
    #[must_use]
    pub fn new(own: Option<u32>) -> Self {
        Self { own: own.map(|n| n.max(1)), state: Mutex::default() }
    }

    /// Waits until one more request fits into the budget, and takes its place.
    pub async fn acquire(&self) {
        loop {
            let Err(at) = self.take(Instant::now()) else {
                return;
            };
            sleep_until(at).await;
        }
    }

    /// Asks nothing before `pause` has passed.
    pub fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// How long the budget will stay paused.
    #[must_use]
    pub fn paused_for(&self) -> Duration {
        let until = self.state().paused_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Takes note of what an answer said about the limit. Returns the reported limit where it is a new one.
    pub fn learn(&self, limit: Option<u32>, remaining: Option<u32>) -> Option<u32> {
        let mut state = self.state();
        state.remaining = remaining.or(state.remaining);
        let news = limit.filter(|_| limit != state.limit)?;
        state.limit = limit;
        Some(news)
    }

    /// The figures now.
    #[must_use]
    pub fn status(&self) -> BudgetStatus {
        let state = self.state();
        BudgetStatus { per_minute: self.per_minute(&state), limit: state.limit, remaining: state.remaining }
    }

    fn take(&self, now: Instant) -> Result<(), Instant> {
        let mut state = self.state();
        if let Some(until) = state.paused_until.filter(|&until| until > now) {
            return Err(until);
        }
        while state.sent.front().is_some_and(|&at| at + WINDOW <= now) {
            state.sent.pop_front();
        }
        let budget = self.per_minute(&state) as usize;
        // The budget may have shrunk: then it is the `budget`-th latest request that has to leave the window.
        if let Some(&at) = state.sent.len().checked_sub(budget).and_then(|i| state.sent.get(i)) {
            return Err(at + WINDOW);
        }
        state.sent.push_back(now);
        Ok(())
    }

    fn per_minute(&self, state: &State) -> u32 {
        self.own.unwrap_or_else(|| (state.limit.unwrap_or(ASSUMED_LIMIT) / 2).max(1))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn requests_until(budget: &Budget, end: Duration) -> Vec<Instant> {
        let start = Instant::now();
        let mut sent = Vec::new();
        while tokio::time::timeout_at(start + end, budget.acquire()).await.is_ok() {
            sent.push(Instant::now());
        }
        sent
    }

    fn busiest_minute(sent: &[Instant]) -> usize {
        let within =
            |from: Instant| move |at: &&Instant| **at >= from && **at < from + Duration::from_mins(1);
        sent.iter().map(|&from| sent.iter().filter(within(from)).count()).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_exceeds_half_of_the_assumed_limit() {
        let sent = requests_until(&Budget::new(None), Duration::from_mins(10)).await;
        assert_eq!(busiest_minute(&sent), 50);
        assert_eq!(sent.len(), 500, "and the budget is used");
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_reported_limit_down_within_the_same_minute() {
        let budget = Budget::new(None);
        budget.learn(Some(2000), None);
        let before = requests_until(&budget, Duration::from_millis(1)).await;
        assert_eq!(before.len(), 1000);
        assert_eq!(budget.learn(Some(100), Some(3)), Some(100));
        assert_eq!(budget.learn(Some(100), Some(2)), None, "an old limit is no news");
        let after = requests_until(&budget, Duration::from_mins(5)).await;
        assert_eq!(busiest_minute(&after), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn own_figure_wins_over_the_reported_limit() {
        let budget = Budget::new(Some(7));
        budget.learn(Some(2000), None);
        assert_eq!(budget.status(), BudgetStatus { per_minute: 7, limit: Some(2000), remaining: None });
        assert_eq!(busiest_minute(&requests_until(&budget, Duration::from_mins(5)).await), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn asks_nothing_while_paused_and_a_shorter_pause_does_not_end_a_longer_one() {
        let budget = Budget::new(None);
        budget.pause(Duration::from_secs(30));
        budget.pause(Duration::from_secs(5));
        let start = Instant::now();
        budget.acquire().await;
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }
}
