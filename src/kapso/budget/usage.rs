//! What a key was used for lately, as one replica tells it to the next that asks with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Budget, MINUTE, WINDOW, state::State};

/// What a key was used for lately.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// How many requests were made in each second before it was told, the latest first.
    sent: Vec<u32>,
    limit: Option<u32>,
    remaining: Option<u32>,
    /// How long the budget was to stay paused.
    paused_for: Duration,
    /// The part of the budget that was used.
    share: f64,
}

impl Budget {
    /// What the key was used for lately.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (now, paused_for) = (Instant::now(), self.paused_for());
        let state = self.state.lock();
        let mut sent = vec![0; usize::try_from(WINDOW.as_secs()).unwrap_or_default()];
        for &at in &state.sent {
            let age = usize::try_from(now.saturating_duration_since(at).as_secs()).unwrap_or(usize::MAX);
            if let Some(count) = sent.get_mut(age) {
                *count += 1;
            }
        }
        let State { limit, remaining, .. } = *state;
        Usage { sent, limit, remaining, paused_for, share: state.share_now(now) }
    }

    /// Goes on where another process left it: `told` so long ago, and it may have gone on asking for `unseen` after that.
    pub fn inherit(&self, told: &Usage, ago: Duration, unseen: Duration) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.limit = state.limit.or(told.limit);
        state.remaining = state.remaining.or(told.remaining);
        if told.share > 0.0 {
            state.share = (told.share.min(1.0), now);
        }
        if let Some(left) = told.paused_for.checked_sub(ago) {
            state.pause_until(now + left);
        }
        let earlier = told.sent_before(now, ago).chain(unseen_requests(&state, now, ago, unseen));
        let mut sent: Vec<_> = earlier.chain(state.sent.iter().copied()).collect();
        sent.sort_unstable();
        state.sent = sent.into();
    }
}

impl Usage {
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

/// As many requests as the budget allows in the time after it was told, the burst last.
fn unseen_requests(state: &State, now: Instant, ago: Duration, unseen: Duration) -> Vec<Instant> {
    if unseen.is_zero() {
        return Vec::new();
    }
    let budget = state.per_minute(now);
    let end = now.checked_sub(ago.saturating_sub(unseen)).unwrap_or(now);
    let gap = MINUTE / budget;
    let evenly = (0..budget).map(|number| gap * number).take_while(|&before| before < unseen);
    let burst = (0..=state.burst(budget, now)).map(|_| Duration::ZERO);
    evenly.chain(burst).filter_map(|before| end.checked_sub(before)).collect()
}
