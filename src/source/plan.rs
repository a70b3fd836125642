//! What to ask next: pure decisions over what is known.
//!
//! A conversation costs a request when its executions may have changed: it has open ones, its activity moved
//! since it was listed, or its last list was incomplete. The rest is listed again slowly, stalest first, since
//! an execution that was started through the API moves no conversation. Discovery reads only what was active
//! since the last one; a full discovery, which also sees conversations end, is repeated as often as a share of
//! the budget pays for it.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use crate::{execution::ConversationId, ledger::Record};

/// An execution starts a little after the message that starts it: a list that was read this soon after the
/// last activity may have missed it.
const SETTLING: SignedDuration = SignedDuration::from_mins(2);
/// Activity may become visible late and out of order by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// A conversation at rest is listed again after this time.
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// The part of a sweep's requests that each kind of background work may take.
const BACKGROUND_SHARE: u32 = 10;

/// How many requests of each kind of background work a sweep may spend, out of `per_sweep`.
#[must_use]
pub fn background(per_sweep: u32) -> usize {
    (per_sweep / BACKGROUND_SHARE).max(1) as usize
}

/// The conversations to list at `now`, most urgent first: those that must be listed, and at most `background`
/// of those at rest.
#[must_use]
pub fn due(
    records: &[Record],
    full_discovery: Option<Timestamp>,
    now: Timestamp,
    max_age: SignedDuration,
    background: usize,
) -> Vec<ConversationId> {
    let watched = records.iter().filter(|record| record.is_watched(now, max_age));
    let (mut must, mut rest): (Vec<_>, Vec<_>) =
        watched.partition(|record| must_be_listed(record, full_discovery));
    must.sort_by_key(|record| (!record.has_open_executions(), Reverse(record.last_active_at)));
    rest.retain(|record| record.listed.is_none_or(|at| now.duration_since(at) >= RECHECK));
    rest.sort_by_key(|record| record.listed);
    must.into_iter().chain(rest.into_iter().take(background)).map(|record| record.id.clone()).collect()
}

fn must_be_listed(record: &Record, full_discovery: Option<Timestamp>) -> bool {
    let Some(listed) = record.listed else { return true };
    let moved = record.last_active_at.is_some_and(|at| listed.duration_since(at) < SETTLING);
    // A full discovery did not show it: its list tells whether it was deleted.
    let missed = full_discovery.is_some_and(|full| record.discovered < Some(full) && listed < full);
    record.has_open_executions() || !record.clean || moved || missed
}

/// When and how far the list of conversations is read.
#[derive(Debug, Default)]
pub struct Discovery {
    /// When the last complete discovery was asked for.
    last: Option<Timestamp>,
    /// When the last complete full one was asked for.
    full: Option<Timestamp>,
    full_pages: usize,
    since_full: usize,
    /// The last one had items that could not be read, and was to be repeated.
    doubtful: bool,
}

/// One discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Conversations that were active from then on.
    pub active_since: Timestamp,
    /// Whether that is all that are watched.
    pub full: bool,
}

impl Discovery {
    /// How far to read at `now`, where `background` pages a sweep are to spare.
    #[must_use]
    pub fn next(&self, now: Timestamp, max_age: SignedDuration, background: usize) -> Reach {
        let oldest = now.saturating_sub(max_age).unwrap_or(Timestamp::MIN);
        match self.last {
            Some(last) if (self.since_full + 1) * background < self.full_pages => {
                let since = last.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN);
                Reach { active_since: since.max(oldest), full: false }
            }
            _ => Reach { active_since: oldest, full: true },
        }
    }

    /// Takes note of a discovery that was read to its end. One that was not `clean`, with an item that could
    /// not be read, is repeated once: the item may have been spoilt on its way.
    pub fn done(&mut self, reach: Reach, asked: Timestamp, pages: usize, clean: bool) {
        let repeat = !clean && !self.doubtful;
        self.doubtful = !clean;
        if repeat {
            return;
        }
        self.last = Some(asked);
        if reach.full {
            (self.full, self.full_pages, self.since_full) = (Some(asked), pages, 0);
        } else {
            self.since_full += 1;
        }
    }

    /// When the last complete full discovery was asked for.
    #[must_use]
    pub fn full(&self) -> Option<Timestamp> {
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn full_ones(pages: usize, background: usize, sweeps: i64) -> usize {
        let mut discovery = Discovery::default();
        let mut full = 0;
        for sweep in 0..sweeps {
            let reach = discovery.next(at(60 * sweep), DAY, background);
            full += usize::from(reach.full);
            discovery.done(reach, at(60 * sweep), if reach.full { pages } else { 1 }, true);
        }
        full
    }

    #[test]
    fn full_discoveries_come_as_often_as_their_share_pays_for() {
        assert_eq!(full_ones(2, 5, 100), 100);
        assert_eq!(full_ones(5, 5, 100), 100);
        assert_eq!(full_ones(50, 5, 100), 10);
        assert_eq!(full_ones(1000, 5, 100), 1);
    }

    #[test]
    fn a_discovery_with_an_unreadable_item_is_repeated_once() {
        let mut discovery = Discovery::default();
        let reaches: Vec<_> = (0..4)
            .map(|sweep| {
                let reach = discovery.next(at(60 * sweep), DAY, 1);
                discovery.done(reach, at(60 * sweep), 100, false);
                reach.active_since
            })
            .collect();
        assert_eq!(reaches, [at(-86400), at(60 - 86400), at(60 - 120), at(60 - 120)]);
    }

    #[test]
    fn a_short_discovery_overlaps_the_last_one_and_never_reaches_beyond_the_maximum_age() {
        let mut discovery = Discovery::default();
        let first = discovery.next(at(0), DAY, 1);
        assert_eq!(first, Reach { active_since: at(-86400), full: true });
        discovery.done(first, at(0), 100, true);
        assert_eq!(discovery.next(at(60), DAY, 1), Reach { active_since: at(-120), full: false });
        let hour = SignedDuration::from_secs(30);
        assert_eq!(discovery.next(at(60), hour, 1), Reach { active_since: at(30), full: false });
    }
}
