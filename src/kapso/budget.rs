//! The request budget: how much of the key's rate limit this program allows itself, and when.
//!
//! Kapso counts requests per key and fixed minute, and the production bot uses the same key. One budget is
//! shared by everything here that asks with that key. Four rules, of which the strictest holds:
//!
//! - **Never more than the budget in any minute**, wherever that begins: the times of the last minute's
//!   requests are kept, since where Kapso's own minute begins is unknown.
//! - **Spread**: a tenth of a minute's requests may go at once, the rest one by one.
//! - **A floor**: when the key has hardly any requests left in its minute, others are using it; the rest of the
//!   minute is theirs.
//! - **Gently after a 429**: a pause as long as it says, an hour at most, then half of the budget, growing again
//!   a tenth of it every minute.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The limit to assume until the API has said one: that of Kapso's smallest plan, in requests per minute.
pub const ASSUMED_LIMIT: u32 = 100;

const MINUTE: Duration = Duration::from_mins(1);
/// A minute and a little: two requests sent this far apart never arrive within one minute, although the
/// second one travels faster.
const WINDOW: Duration = Duration::from_secs(61);
/// The part of a minute's requests that may go at once.
const BURST_SHARE: u32 = 10;
/// The part of the limit that is left to others.
const FLOOR_SHARE: u32 = 10;
/// How long to leave others alone where it is not known when the key's minute ends.
const FLOOR_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause after a 429: an answer that asks for more is not to make the exporter blind for days.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// The least part of the budget that remains after any number of 429s.
const LEAST_SHARE: f64 = 1.0 / 16.0;
/// What the share grows by in a minute without a 429.
const RECOVERY: f64 = 0.1;

/// Requests per minute for one API key. Shared by reference; waits without holding a lock.
#[derive(Debug)]
pub struct Budget {
    own: Option<u32>,
    state: Mutex<State>,
    /// Whoever waits has its turn before those who come later: two sources share one budget, and neither starves.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    limit: Option<u32>,
    remaining: Option<u32>,
    /// When the key's present minute began, at the earliest sign of it.
    minute_began: Option<Instant>,
    /// The requests of the last minute.
    sent: VecDeque<Instant>,
    /// When the next request would go if they went evenly.
    even: Instant,
    paused_until: Option<Instant>,
    /// The part of the budget that is used, and since when.
    share: (f64, Instant),
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
        let now = Instant::now();
        let state = State {
            limit: None,
            remaining: None,
            minute_began: None,
            sent: VecDeque::new(),
            even: now,
            paused_until: None,
            share: (1.0, now),
        };
        Self { own: own.map(|n| n.max(1)), state: Mutex::new(state), turn: tokio::sync::Mutex::default() }
    }

    /// Waits until one more request fits into the budget, and takes its place.
    pub async fn acquire(&self) {
        let _turn = self.turn.lock().await;
        loop {
            let Err(at) = self.take(Instant::now()) else { return };
            sleep_until(at).await;
        }
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

    /// How long the budget will stay paused.
    #[must_use]
    pub fn paused_for(&self) -> Duration {
        let until = self.state.lock().paused_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Takes note of what an answer said about the limit. Returns the reported limit where it is a new one.
    pub fn learn(&self, limit: Option<u32>, remaining: Option<u32>) -> Option<u32> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(remaining) = remaining {
            state.learn_remaining(remaining, limit, now);
        }
        let news = limit.filter(|_| limit != state.limit)?;
        let before = self.per_minute(&state, now);
        state.limit = limit;
        // What was sent counts in terms of the new pace; after a minute it counts no more.
        let ahead = state.even.saturating_duration_since(now);
        state.even = now + (ahead * before / self.per_minute(&state, now)).min(MINUTE);
        Some(news)
    }

    /// The figures now.
    #[must_use]
    pub fn status(&self) -> BudgetStatus {
        let state = self.state.lock();
        let per_minute = self.per_minute(&state, Instant::now());
        BudgetStatus { per_minute, limit: state.limit, remaining: state.remaining }
    }

    /// Takes the place of one request at `now`, or tells when to ask again.
    fn take(&self, now: Instant) -> Result<(), Instant> {
        let mut state = self.state.lock();
        if let Some(until) = state.paused_until.filter(|&until| until > now) {
            return Err(until);
        }
        let budget = self.per_minute(&state, now);
        let gap = MINUTE / budget;
        let ahead = gap * (budget / BURST_SHARE);
        if state.even > now + ahead {
            return Err(state.even - ahead);
        }
        while state.sent.front().is_some_and(|&at| at + WINDOW <= now) {
            state.sent.pop_front();
        }
        // The budget may have shrunk: then it is the `budget`-th latest request that has to leave the window.
        if let Some(&at) = state.sent.len().checked_sub(budget as usize).and_then(|i| state.sent.get(i)) {
            return Err(at + WINDOW);
        }
        state.sent.push_back(now);
        state.even = state.even.max(now) + gap;
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
    fn per_minute(&self, state: &State, now: Instant) -> u32 {
        let whole = self.own.unwrap_or_else(|| state.limit.unwrap_or(ASSUMED_LIMIT) / 2);
        ((f64::from(whole) * state.share_now(now)) as u32).max(1)
    }
}

impl State {
    #[allow(clippy::cast_precision_loss, reason = "minutes")]
    fn share_now(&self, now: Instant) -> f64 {
        let (share, since) = self.share;
        let minutes = now.saturating_duration_since(since).as_secs() / 60;
        (share + RECOVERY * minutes as f64).min(1.0)
    }

    fn pause_until(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    fn learn_remaining(&mut self, remaining: u32, limit: Option<u32>, now: Instant) {
        if self.remaining.is_some_and(|before| remaining > before) {
            self.minute_began = Some(now);
        }
        self.remaining = Some(remaining);
        let Some(limit) = limit.or(self.limit) else { return };
        if remaining <= limit / FLOOR_SHARE {
            let end = self.minute_began.map(|began| began + MINUTE).filter(|&end| end > now);
            self.pause_until(end.unwrap_or(now + FLOOR_PAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn requests_for(budget: &Budget, time: Duration) -> Vec<Instant> {
        let start = Instant::now();
        let mut sent = Vec::new();
        while tokio::time::timeout_at(start + time, budget.acquire()).await.is_ok() {
            sent.push(Instant::now());
        }
        sent
    }

    fn busiest_minute(sent: &[Instant]) -> usize {
        let within = |from: Instant| move |at: &&Instant| **at >= from && **at < from + MINUTE;
        sent.iter().map(|&from| sent.iter().filter(within(from)).count()).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_exceeds_half_of_the_assumed_limit_and_nearly_all_of_it_is_used() {
        let sent = requests_for(&Budget::new(None), MINUTE * 10).await;
        assert_eq!(busiest_minute(&sent), 50);
        assert!(sent.len() >= 490, "{}", sent.len());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_over_the_minute() {
        let sent = requests_for(&Budget::new(None), Duration::from_secs(30)).await;
        let at_once = sent.iter().filter(|&&at| at == sent[0]).count();
        assert_eq!(at_once, 6, "a tenth, and the one that is due");
        assert!(sent.windows(2).skip(6).all(|pair| pair[1] - pair[0] >= Duration::from_millis(1200)));
    }

    #[tokio::test(start_paused = true)]
    async fn follows_the_reported_limit_down_within_the_same_minute() {
        let budget = Budget::new(None);
        assert_eq!(budget.learn(Some(2000), None), Some(2000));
        let before = requests_for(&budget, MINUTE).await;
        assert!((950..=1000).contains(&before.len()), "{}", before.len());
        assert_eq!(budget.learn(Some(100), None), Some(100));
        assert_eq!(budget.learn(Some(100), None), None, "an old limit is no news");
        let after = requests_for(&budget, MINUTE * 5).await;
        assert_eq!(busiest_minute(&after), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_falls_deep_costs_a_minute_at_most() {
        let budget = Budget::new(None);
        budget.learn(Some(u32::MAX), None);
        for _ in 0..1000 {
            budget.acquire().await;
        }
        budget.learn(Some(20), None);
        let start = Instant::now();
        budget.acquire().await;
        assert!(start.elapsed() <= WINDOW, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn own_figure_wins_over_the_reported_limit() {
        let budget = Budget::new(Some(7));
        budget.learn(Some(2000), None);
        assert_eq!(budget.status(), BudgetStatus { per_minute: 7, limit: Some(2000), remaining: None });
        assert_eq!(busiest_minute(&requests_for(&budget, MINUTE * 5).await), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn asks_nothing_while_paused_and_a_shorter_pause_does_not_end_a_longer_one() {
        let budget = Budget::new(None);
        budget.refused(Duration::from_secs(30));
        budget.refused(Duration::from_secs(5));
        let start = Instant::now();
        budget.acquire().await;
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_is_longer_than_an_hour() {
        let budget = Budget::new(None);
        budget.refused(Duration::MAX);
        assert_eq!(budget.paused_for(), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn comes_back_gently_after_a_refusal() {
        let budget = Budget::new(Some(100));
        for _ in 0..8 {
            budget.refused(MINUTE);
        }
        assert_eq!(budget.status().per_minute, 50, "refused together counts once");
        let mut figures = Vec::new();
        for _ in 0..7 {
            tokio::time::advance(MINUTE).await;
            figures.push(budget.status().per_minute);
        }
        assert_eq!(figures, [50, 60, 70, 80, 90, 100, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_the_rest_of_the_minute_to_others_when_hardly_anything_remains() {
        let budget = Budget::new(None);
        budget.learn(Some(100), Some(60));
        tokio::time::advance(Duration::from_secs(20)).await;
        budget.learn(Some(100), Some(99));
        tokio::time::advance(Duration::from_secs(25)).await;
        budget.learn(Some(100), Some(10));
        assert_eq!(
            budget.paused_for(),
            Duration::from_secs(35),
            "the minute began when more was left than before"
        );
        tokio::time::advance(Duration::from_secs(35)).await;
        budget.learn(Some(100), Some(5));
        assert_eq!(budget.paused_for(), FLOOR_PAUSE, "and where that is not known, a while");
    }
}
