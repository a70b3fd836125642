//! What a budget knows, and what follows from it: how much may be asked per minute, and at once.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{ASSUMED_LIMIT, FLOOR_PAUSE, MINUTE};
use crate::kapso::neighbours::{Neighbours, Place};

/// The part of a minute's requests that may go at once where nobody else uses the key.
const BURST_SHARE: u32 = 10;
/// The part of the limit that remains for us whatever the neighbours use: the floor keeps them from harm.
const STARVED_SHARE: u32 = 20;
/// The part of the limit that is left to others.
const FLOOR_SHARE: u32 = 10;
/// What the share grows by in a minute without a 429.
const RECOVERY: f64 = 0.1;

#[derive(Debug)]
pub(super) struct State {
    /// Requests per minute that the user allows.
    pub(super) own: Option<u32>,
    pub(super) limit: Option<u32>,
    /// When an answer last told that limit, or a lower one.
    pub(super) limit_seen: Instant,
    /// The limit that was last said to be new, and when.
    pub(super) said: Option<(u32, Instant)>,
    pub(super) remaining: Option<u32>,
    pub(super) neighbours: Neighbours,
    /// When the key's present minute began, at the earliest sign of it.
    pub(super) minute_began: Option<Instant>,
    /// The requests of the last minute.
    pub(super) sent: VecDeque<Instant>,
    /// Those up to then were made by another process, or may have been.
    pub(super) inherited: Option<Instant>,
    /// When the next request would go if they went evenly.
    pub(super) even: Instant,
    pub(super) paused_until: Option<Instant>,
    /// The part of the budget that is used, and since when.
    pub(super) share: (f64, Instant),
}

impl State {
    pub(super) fn new(own: Option<u32>, now: Instant) -> Self {
        Self {
            own: own.map(|n| n.max(1)),
            limit: None,
            limit_seen: now,
            said: None,
            remaining: None,
            neighbours: Neighbours::default(),
            minute_began: None,
            sent: VecDeque::new(),
            inherited: None,
            even: now,
            paused_until: None,
            share: (1.0, now),
        }
    }

    /// What may be asked per minute.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
    pub(super) fn per_minute(&self, now: Instant) -> u32 {
        let own = self.own.unwrap_or_else(|| self.limit.unwrap_or(ASSUMED_LIMIT) / 2);
        let whole = self.room(now).map_or(own, |room| own.min(room));
        ((f64::from(whole) * self.share_now(now)) as u32).max(1)
    }

    #[allow(clippy::cast_precision_loss, reason = "minutes")]
    pub(super) fn share_now(&self, now: Instant) -> f64 {
        let (share, since) = self.share;
        let minutes = now.saturating_duration_since(since).as_secs() / 60;
        (share + RECOVERY * minutes as f64).min(1.0)
    }

    /// How many requests a minute the limit leaves beside the floor and the neighbours, where there are any.
    fn room(&self, now: Instant) -> Option<u32> {
        let neighbours = Some(self.neighbours.per_minute(now)).filter(|&n| n > 0)?;
        let limit = self.limit?;
        Some(above_floor(limit).saturating_sub(neighbours).max(limit / STARVED_SHARE))
    }

    /// How many requests may go at once besides the one that is due.
    pub(super) fn burst(&self, budget: u32, now: Instant) -> u32 {
        let usual = budget / BURST_SHARE;
        let (Some(limit), Some(remaining)) = (self.limit, self.remaining) else { return usual };
        let Some(room) = self.room(now) else { return usual };
        let shared = u64::from(usual) * u64::from(room) / u64::from(above_floor(limit).max(1));
        // The neighbours ask in bursts, too: what remains is to suffice for both.
        let spare = remaining.saturating_sub(limit / FLOOR_SHARE) / 2;
        u32::try_from(shared).unwrap_or(usual).min(spare)
    }

    pub(super) fn pause_until(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    pub(super) fn paused_for(&self, now: Instant) -> Duration {
        self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Returns whether the limit is another one now.
    pub(super) fn learn_limit(&mut self, told: u32, now: Instant) -> bool {
        let is_higher = self.limit.is_some_and(|limit| told > limit);
        if is_higher && now.saturating_duration_since(self.limit_seen) < MINUTE {
            return false;
        }
        self.limit_seen = now;
        self.limit.replace(told) != Some(told)
    }

    /// The limit, where it is another one than was said, and that was not just now.
    pub(super) fn news(&mut self, now: Instant) -> Option<u32> {
        let limit = self.limit?;
        let is_new = self.said.is_none_or(|(said, at)| said != limit && at + MINUTE <= now);
        is_new.then(|| self.said.insert((limit, now)).0)
    }

    pub(super) fn learn_remaining(&mut self, place: Place, remaining: u32, limit: Option<u32>, now: Instant) {
        if self.neighbours.learn(place, limit.or(self.limit), remaining, now) {
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

/// What of this limit is not left to others in any case.
fn above_floor(limit: u32) -> u32 {
    limit - limit / FLOOR_SHARE
}
