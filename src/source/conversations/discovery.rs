//! How far the list of conversations is read.
//!
//! Every beat reads what was active since the newest activity that was seen, with an overlap. So a list that hides
//! what it has for a while, or a clock that is wrong, leaves nothing unread. What that cannot show is found by a
//! **round** over everything that is watched, a page a beat: conversations that end or are deleted, and in every other
//! round, which goes by their creation, those of whose activity nothing is known. The first round is the discovery
//! itself and goes as fast as half of the budget allows. A page that fails is tried again, and holds up nothing else.

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::Steady,
    execution::{Conversation, Page},
    kapso::Place,
};

/// Activity may become visible late and out of order by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// After so many failures at one page a round begins anew.
const MOST_FAILURES: u32 = 5;

/// What is known of the list of conversations.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Recent activity is read up to then.
    recent: Option<Timestamp>,
    /// The last reading of recent activity had items that could not be read, and is to be repeated.
    doubtful: bool,
    round: Option<Round>,
    /// When the last complete round that goes by activity began.
    last_round: Option<Steady>,
    /// What the last round that was begun goes by.
    last_kind: Option<Kind>,
    /// Failures in a row at the present page of the round.
    failures: u32,
}

/// What a round goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Conversations that were active.
    Activity,
    /// Conversations that were created.
    Creation,
}

/// A round in progress.
#[derive(Debug, Clone)]
pub struct Round {
    /// When its first page was asked for.
    began: Option<Steady>,
    /// What it goes by.
    pub kind: Kind,
    /// It reads conversations that were active, or created, from then on.
    pub since: Timestamp,
    /// Where its next page is.
    pub place: Place,
}

impl Discovery {
    /// Goes on where an earlier one was: how far it had read recent activity, and when its last complete round began.
    #[must_use]
    pub fn resumed(recent: Option<Timestamp>, last_round: Option<Steady>) -> Self {
        Self { recent, last_round, ..Self::default() }
    }

    /// How far recent activity was read, and when the last complete round began.
    #[must_use]
    pub fn read(&self) -> (Option<Timestamp>, Option<Steady>) {
        (self.recent, self.last_round)
    }

    /// From when on recent activity is to be read, once the first round has begun.
    #[must_use]
    pub fn recent_since(&self) -> Option<Timestamp> {
        self.recent.map(|at| at.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN))
    }

    /// Takes note of a reading of recent activity, with the newest that it showed and when it was asked for, in Kapso's
    /// clock. One that was not `clean`, with an item that could not be read, is repeated once: the item may have been
    /// spoilt on its way.
    pub fn recent_read(&mut self, newest: Option<Timestamp>, as_of: Timestamp, clean: bool) {
        self.doubtful = !clean && !self.doubtful;
        if !self.doubtful {
            // No activity is later than the moment when it is shown.
            self.recent = self.recent.max(newest.map(|newest| newest.min(as_of)));
        }
    }

    /// The round in progress, or a new one at `now`, in Kapso's clock.
    pub fn round(&mut self, now: Timestamp, max_age: SignedDuration) -> Round {
        let kind = match self.last_kind {
            Some(Kind::Activity) if self.last_round.is_some() => Kind::Creation,
            _ => Kind::Activity,
        };
        let since = now.saturating_sub(max_age).unwrap_or(Timestamp::MIN);
        let round = self.round.get_or_insert(Round { began: None, kind, since, place: Place::Start });
        self.last_kind = Some(round.kind);
        round.clone()
    }

    /// Takes note of a page of the round, and where the next one is.
    pub fn round_read(&mut self, page: &Page<Conversation>, next: Option<Place>) {
        self.failures = 0;
        // What becomes active while the first round is under way is recent activity.
        let newest = newest_activity(page).map_or(page.as_of, |newest| newest.min(page.as_of));
        self.recent.get_or_insert(newest);
        let Some(round) = &mut self.round else { return };
        let began = *round.began.get_or_insert(page.asked_at);
        if let Some(next) = next {
            round.place = next;
            return;
        }
        if round.kind == Kind::Activity {
            self.last_round = Some(began);
        }
        self.round = None;
    }

    /// Takes note that the present page of the round could not be read. After some failures the round is given up: the
    /// place may no longer be good.
    pub fn round_failed(&mut self) {
        self.failures += 1;
        if self.failures >= MOST_FAILURES {
            self.failures = 0;
            self.round = None;
        }
    }

    /// When the last complete round began; `None` while the first one is under way.
    #[must_use]
    pub fn last_round(&self) -> Option<Steady> {
        self.last_round
    }
}

/// The newest activity that a page shows.
pub fn newest_activity(page: &Page<Conversation>) -> Option<Timestamp> {
    page.items.iter().filter_map(|conversation| conversation.last_active_at).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::{ConversationStatus, Flaws};

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    /// A page that was asked for at `now`, of a conversation with this activity.
    fn page(now: i64, active: Option<i64>) -> Page<Conversation> {
        let item = |active| Conversation {
            id: "c".into(),
            status: ConversationStatus::Active,
            last_active_at: Some(at(active)),
        };
        let items = active.map(item).into_iter().collect();
        Page {
            items,
            flaws: Flaws::default(),
            asked: 1,
            asked_at: Steady::at(at(now)),
            as_of: at(now),
            last: false,
        }
    }

    #[test]
    fn recent_activity_is_read_with_an_overlap_and_again_if_an_item_was_spoilt() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.recent_since(), None);
        discovery.round(at(-1), DAY);
        discovery.round_read(&page(0, None), None);
        assert_eq!(discovery.recent_since(), Some(at(-120)));
        discovery.recent_read(Some(at(50)), at(60), false);
        assert_eq!(discovery.recent_since(), Some(at(-120)), "once");
        discovery.recent_read(Some(at(50)), at(120), false);
        assert_eq!(discovery.recent_since(), Some(at(-70)), "and not for ever");
        discovery.recent_read(Some(at(170)), at(180), true);
        assert_eq!(discovery.recent_since(), Some(at(50)));
    }

    #[test]
    fn what_was_hidden_is_read_from_the_newest_activity_that_was_shown() {
        let mut discovery = Discovery::default();
        discovery.round(at(0), DAY);
        discovery.round_read(&page(1, Some(-30)), None);
        discovery.recent_read(None, at(600), true);
        assert_eq!(discovery.recent_since(), Some(at(-150)));
        discovery.recent_read(Some(at(9000)), at(660), true);
        assert_eq!(discovery.recent_since(), Some(at(540)), "nothing is later than the present");
    }

    #[test]
    fn a_round_goes_on_where_it_was_and_counts_from_its_beginning() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.round(at(0), DAY).place, Place::Start);
        discovery.round_read(&page(1, None), Some(Place::Page(2)));
        discovery.round_failed();
        let round = discovery.round(at(60), DAY);
        assert_eq!((round.place, round.since, round.kind), (Place::Page(2), at(-86400), Kind::Activity));
        assert_eq!(discovery.last_round(), None);
        discovery.round_read(&page(61, None), None);
        assert_eq!(discovery.last_round(), Some(Steady::at(at(1))));
    }

    #[test]
    fn every_other_round_goes_by_creation_once_all_is_discovered() {
        let mut discovery = Discovery::default();
        let kinds = [0, 60, 120, 180].map(|now| {
            let kind = discovery.round(at(now), DAY).kind;
            discovery.round_read(&page(now, None), None);
            kind
        });
        assert_eq!(kinds, [Kind::Activity, Kind::Creation, Kind::Activity, Kind::Creation]);
        assert_eq!(discovery.last_round(), Some(Steady::at(at(120))));
    }

    #[test]
    fn a_page_that_keeps_failing_makes_the_round_begin_anew() {
        let mut discovery = Discovery::default();
        discovery.round(at(0), DAY);
        discovery.round_read(&page(1, None), Some(Place::Page(2)));
        for failure in 1..=MOST_FAILURES {
            assert_eq!(discovery.round(at(60), DAY).place, Place::Page(2), "{failure}");
            discovery.round_failed();
        }
        assert_eq!(discovery.round(at(60), DAY).place, Place::Start);
    }
}
