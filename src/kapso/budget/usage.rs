//! What a key was used for lately, as one replica tells it to the next that asks with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Budget, LEAST_SHARE, MINUTE, WINDOW, state::State};

/// The part of the budget that is reserved where less was used.
const RESERVED_SHARE: u32 = 20;
/// The fewest requests that are reserved.
const LEAST_RESERVED: u32 = 2;

/// What a key was used for lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// How many requests were made in each second before it was told, the latest first.
    sent: Vec<u32>,
    limit: Option<u32>,
    remaining: Option<u32>,
    /// How long the budget was to stay paused.
    paused_for: Duration,
    /// The part of the budget that was used.
    share: f64,
    /// How many more requests were made at most, until this was told again.
    reserved: u32,
}

impl Budget {
    /// What the key was used for lately, when nothing is asked with it any more.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.state.lock().usage(0)
    }

    /// What the key was used for lately, and how many requests are made at most until this is asked for again.
    pub fn reserve(&self) -> Usage {
        let state = self.state.lock();
        let reserved = state.to_reserve(Instant::now());
        if let Some(lease) = self.lease.lock().as_ref() {
            lease.reserve(reserved);
        }
        state.usage(reserved)
    }

    /// Goes on where another process left it: `told` so long ago, and it may have gone on asking for `unseen` after that.
    pub fn inherit(&self, told: &Usage, ago: Duration, unseen: Duration) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.limit = state.limit.or(told.limit);
        state.remaining = state.remaining.or(told.remaining);
        state.share = (told.share.clamp(LEAST_SHARE, 1.0), now);
        if let Some(left) = told.paused_for.checked_sub(ago) {
            state.pause_until(now + left);
        }
        let unseen = unseen_requests(&state, now, ago, unseen).take(told.reserved as usize);
        let mut sent: Vec<_> =
            told.sent_before(now, ago).chain(unseen).chain(state.sent.iter().copied()).collect();
        sent.sort_unstable();
        (state.sent, state.inherited) = (sent.into(), Some(now));
    }
}

impl State {
    fn usage(&self, reserved: u32) -> Usage {
        let now = Instant::now();
        let mut sent = vec![0; usize::try_from(WINDOW.as_secs()).unwrap_or_default()];
        for &at in &self.sent {
            let age = usize::try_from(now.saturating_duration_since(at).as_secs()).unwrap_or(usize::MAX);
            if let Some(count) = sent.get_mut(age) {
                *count += 1;
            }
        }
        let Self { limit, remaining, .. } = *self;
        let paused_for = self.paused_for(now);
        Usage { sent, limit, remaining, paused_for, share: self.share_now(now), reserved }
    }

    /// As many as this process made in the last minute: a sweep or two, so that they rarely run out. What others may have
    /// made does not count, or it would grow with each crash.
    fn to_reserve(&self, now: Instant) -> u32 {
        let is_own = |&&at: &&Instant| at + WINDOW > now && self.inherited.is_none_or(|until| at > until);
        let (own, budget) = (self.sent.iter().rev().take_while(is_own).count(), self.per_minute(now));
        let own = u32::try_from(own).unwrap_or(u32::MAX);
        own.max(budget / RESERVED_SHARE).max(LEAST_RESERVED).min(budget)
    }
}

impl Usage {
    /// That of a process that told it in words which nobody understands.
    #[must_use]
    pub fn unknown() -> Self {
        let (sent, limit, remaining, paused_for) = Default::default();
        Self { sent, limit, remaining, paused_for, share: 1.0, reserved: u32::MAX }
    }

    /// How many requests were made in the last minute.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.sent.iter().sum()
    }

    /// When they were made, at the latest.
    fn sent_before(&self, now: Instant, ago: Duration) -> impl Iterator<Item = Instant> {
        let at = move |(second, &count): (u64, &u32)| {
            let at = now.checked_sub(ago + Duration::from_secs(second));
            std::iter::repeat_n(at, count as usize).flatten()
        };
        (0..).zip(&self.sent).flat_map(at).collect::<Vec<_>>().into_iter()
    }
}

/// As many requests as the budget allows in the time after it was told, the latest first.
fn unseen_requests(
    state: &State,
    now: Instant,
    ago: Duration,
    unseen: Duration,
) -> impl Iterator<Item = Instant> + use<> {
    let budget = if unseen.is_zero() { 0 } else { state.per_minute(now) };
    let end = now.checked_sub(ago.saturating_sub(unseen)).unwrap_or(now);
    let burst = (0..=state.burst(budget, now)).take(budget as usize).map(|_| Duration::ZERO);
    let evenly =
        (0..budget).map(move |number| MINUTE / budget * number).take_while(move |&before| before < unseen);
    burst.chain(evenly).filter_map(move |before| end.checked_sub(before))
}
