//! How far the list of conversations is read.
//!
//! Every beat reads what was active since the last one, with an overlap. What that cannot show, conversations
//! that end or are deleted, is found by a **round** over everything that is watched, a page a beat. The first
//! round is the discovery itself and goes as fast as half of the budget allows.

use jiff::{SignedDuration, Timestamp};

use crate::kapso::Place;

/// Activity may become visible late and out of order by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

/// What is known of the list of conversations.
#[derive(Debug, Default)]
pub struct Discovery {
    /// When the last reading of recent activity was asked for.
    recent: Option<Timestamp>,
    /// That reading had items that could not be read, and is to be repeated.
    doubtful: bool,
    round: Option<Round>,
    /// When the last complete round began.
    last_round: Option<Timestamp>,
}

/// A round in progress.
#[derive(Debug, Clone)]
pub struct Round {
    /// When its first page was asked for.
    began: Option<Timestamp>,
    /// It reads conversations that were active from then on.
    pub active_since: Timestamp,
    /// Where its next page is.
    pub place: Place,
}

impl Discovery {
    /// Goes on where an earlier one was: when it last read recent activity, and a complete round.
    #[must_use]
    pub fn resumed(recent: Option<Timestamp>, last_round: Option<Timestamp>) -> Self {
        Self { recent, last_round, ..Self::default() }
    }

    /// When recent activity, and a complete round, were last read.
    #[must_use]
    pub fn read(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.recent, self.last_round)
    }

    /// From when on recent activity is to be read, once the first round has begun.
    #[must_use]
    pub fn recent_since(&self) -> Option<Timestamp> {
        self.recent.map(|at| at.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN))
    }

    /// Takes note of a reading of recent activity. One that was not `clean`, with an item that could not be
    /// read, is repeated once: the item may have been spoilt on its way.
    pub fn recent_read(&mut self, asked: Timestamp, clean: bool) {
        self.doubtful = !clean && !self.doubtful;
        if !self.doubtful {
            self.recent = Some(asked);
        }
    }

    /// The round in progress, or a new one at `now`.
    pub fn round(&mut self, now: Timestamp, max_age: SignedDuration) -> Round {
        let active_since = now.saturating_sub(max_age).unwrap_or(Timestamp::MIN);
        let new = || Round { began: None, active_since, place: Place::Start };
        self.round.get_or_insert_with(new).clone()
    }

    /// Takes note of a page of the round, when it was asked for, and where the next one is.
    pub fn round_read(&mut self, asked: Timestamp, next: Option<Place>) {
        // What becomes active while the first round is under way is recent activity.
        self.recent.get_or_insert(asked);
        let Some(round) = &mut self.round else { return };
        let began = *round.began.get_or_insert(asked);
        if let Some(next) = next {
            round.place = next;
        } else {
            self.round = None;
            self.last_round = Some(began);
        }
    }

    /// Gives the round up: its place is no longer good. The next one begins anew.
    pub fn abandon_round(&mut self) {
        self.round = None;
    }

    /// When the last complete round began; `None` while the first one is under way.
    #[must_use]
    pub fn last_round(&self) -> Option<Timestamp> {
        self.last_round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn recent_activity_is_read_with_an_overlap_and_again_if_an_item_was_spoilt() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.recent_since(), None);
        discovery.round(at(-1), DAY);
        discovery.round_read(at(0), None);
        assert_eq!(discovery.recent_since(), Some(at(-120)));
        discovery.recent_read(at(60), false);
        assert_eq!(discovery.recent_since(), Some(at(-120)), "once");
        discovery.recent_read(at(120), false);
        assert_eq!(discovery.recent_since(), Some(at(0)), "and not for ever");
        discovery.recent_read(at(180), true);
        assert_eq!(discovery.recent_since(), Some(at(60)));
    }

    #[test]
    fn a_round_goes_on_where_it_was_and_counts_from_its_beginning() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.round(at(0), DAY).place, Place::Start);
        discovery.round_read(at(1), Some(Place::Page(2)));
        let round = discovery.round(at(60), DAY);
        assert_eq!((round.place, round.active_since), (Place::Page(2), at(-86400)));
        assert_eq!(discovery.last_round(), None);
        discovery.round_read(at(61), None);
        assert_eq!(discovery.last_round(), Some(at(1)));
        assert_eq!(discovery.round(at(120), DAY).place, Place::Start);
        discovery.abandon_round();
        assert_eq!(discovery.last_round(), Some(at(1)));
    }
}
