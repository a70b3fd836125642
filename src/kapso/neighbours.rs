//! The neighbours: how many requests others make with the same key, as `X-RateLimit-Remaining` shows it.
//!
//! Kapso counts a key's requests in fixed minutes. Whatever is used up in one and was not asked from here was asked
//! by others. Answers overtake each other, so an answer is only compared with those that had come when its request was
//! sent, and what may have been under way meanwhile counts as our own: the figure is rather too low than too high.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
/// A minute of the key that was seen for so long was seen nearly whole.
const NEARLY_WHOLE: Duration = Duration::from_secs(50);
/// A rate is told from no less than this time: two requests at once are no flood.
const LEAST_SEEN: Duration = Duration::from_secs(20);
/// Answers of a shorter time tell nothing: two counts by turns look like that.
const TOO_SHORT: Duration = Duration::from_secs(5);
/// The neighbours' busiest minute of so many counts, since a bot asks in bursts.
const REMEMBERED: usize = 3;
/// What was seen longer ago tells nothing about now.
const OUTDATED: Duration = Duration::from_mins(5);

/// A request's place in the budget: which of the key's requests it is, and when it was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    number: u64,
    at: Instant,
}

/// What the neighbours use. Does no I/O and tells no time.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// How many requests were let go from here.
    sent: u64,
    minute: Option<KeyMinute>,
    /// What they used in earlier minutes, and when those were over.
    earlier: VecDeque<(Instant, u32)>,
}

/// A minute of the key, as far as it was seen.
#[derive(Debug)]
struct KeyMinute {
    limit: Option<u32>,
    /// When its first answer came: it began no later.
    seen_since: Instant,
    /// Requests up to this number were let go before that.
    sent_before: u64,
    /// What remained before the first request that counts here.
    full: u32,
    /// The number of the last request of ours that does not count here.
    not_ours: u64,
    lowest: Lowest,
    /// What the neighbours used.
    others: u32,
}

/// The answer that told the least to remain.
#[derive(Debug)]
struct Lowest {
    remaining: u32,
    number: u64,
    came: Instant,
    /// How many requests were let go by then.
    sent: u64,
}

impl Neighbours {
    /// One more request of ours is let go.
    pub(super) fn send(&mut self, now: Instant) -> Place {
        self.sent += 1;
        Place { number: self.sent, at: now }
    }

    /// The answer to the request of this place told how many remain. Returns whether that shows that another minute of
    /// the key has just begun.
    pub(super) fn learn(&mut self, place: Place, limit: Option<u32>, remaining: u32, now: Instant) -> bool {
        let lowest = Lowest { remaining, number: place.number, came: now, sent: self.sent };
        let Some(minute) = self.minute.as_mut().filter(|minute| minute.limit == limit) else {
            self.minute = Some(KeyMinute::seen_partly(limit, lowest));
            return false;
        };
        if minute.is_over_for(place, remaining) {
            let rises = remaining > minute.lowest.remaining;
            let next = minute.next(place, lowest);
            let others = minute.others;
            if now.duration_since(minute.seen_since) >= NEARLY_WHOLE {
                self.earlier.push_back((now, others));
                self.earlier.drain(..self.earlier.len().saturating_sub(REMEMBERED));
            }
            self.minute = Some(next);
            return rises;
        }
        if place.number > minute.sent_before && remaining <= minute.lowest.remaining {
            minute.lowest = lowest;
            minute.count();
        }
        false
    }

    /// How many requests a minute the neighbours make: as many as in the busiest of the last minutes.
    pub(super) fn per_minute(&self, now: Instant) -> u32 {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < OUTDATED;
        let earlier = self.earlier.iter().filter(|(at, _)| is_recent(*at)).map(|(_, others)| *others).max();
        let present = self.minute.as_ref().filter(|minute| is_recent(minute.lowest.came));
        let present = present.filter(|minute| minute.seen_for() >= TOO_SHORT);
        let present = present.map_or(0, |m| if earlier.is_some() { m.others } else { m.projected() });
        earlier.unwrap_or(0).max(present)
    }
}

impl KeyMinute {
    /// A minute that may have begun before `first` was asked for.
    fn seen_partly(limit: Option<u32>, first: Lowest) -> Self {
        let (full, not_ours) = (first.remaining.saturating_add(1), first.number.saturating_sub(1));
        Self {
            limit,
            seen_since: first.came,
            sent_before: first.sent,
            full,
            not_ours,
            lowest: first,
            others: 0,
        }
    }

    /// Whether a request from this place counts in a later minute. More remaining than before says so, unless that
    /// answer was only overtaken by another one.
    fn is_over_for(&self, place: Place, remaining: u32) -> bool {
        let is_later = place.number > self.lowest.sent;
        is_later && (remaining > self.lowest.remaining || place.at >= self.seen_since + MINUTE)
    }

    /// The minute after this one, of which `first` is the first answer.
    fn next(&self, place: Place, first: Lowest) -> Self {
        // What does not rise once a minute is not counted in fixed minutes, or not as one.
        let is_regular =
            place.at >= self.seen_since + NEARLY_WHOLE && first.remaining > self.lowest.remaining;
        let Some(limit) = self.limit.filter(|_| is_regular) else {
            return Self::seen_partly(self.limit, first);
        };
        let not_ours = self.lowest.number;
        let mut next = Self { full: limit, not_ours, ..Self::seen_partly(self.limit, first) };
        next.count();
        next
    }

    fn count(&mut self) {
        let used = self.full.saturating_sub(self.lowest.remaining);
        let own = u32::try_from(self.lowest.sent.saturating_sub(self.not_ours)).unwrap_or(u32::MAX);
        self.others = self.others.max(used.saturating_sub(own));
    }

    fn seen_for(&self) -> Duration {
        self.lowest.came.duration_since(self.seen_since)
    }

    /// What the neighbours would use in a whole minute, if they went on like this.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn projected(&self) -> u32 {
        let seen = self.seen_for().clamp(LEAST_SEEN, MINUTE);
        (f64::from(self.others) * MINUTE.div_duration_f64(seen)) as u32
    }
}

#[cfg(test)]
mod tests;
