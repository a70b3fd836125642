//! How far the list of conversations is read.
//!
//! Every pass reads what was active since the newest activity that was seen, with an overlap. So a list that hides
//! what it has for a while, or a clock that is wrong, leaves nothing unread. What that cannot show is found by a
//! **full scan** over everything that is watched, a page a pass: conversations that end or are deleted, and in every
//! other full scan, which goes by their creation, those of whose activity nothing is known. The first full scan is the
//! discovery itself and goes as fast as half of the budget allows. A page that fails is tried again, and holds up
//! nothing else.

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::Steady,
    kapso::PageToken,
    model::{Conversation, Page, Reading},
};

/// Activity may become visible late and out of order by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// After so many failures at one page a full scan begins anew.
const MOST_FAILURES: u32 = 5;

/// What is known of the list of conversations.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Recent activity is read up to then.
    recent: Option<Timestamp>,
    /// The last reading of recent activity had items that could not be read, and is to be repeated.
    doubtful: bool,
    full_scan: Option<FullScan>,
    /// When the last complete full scan that goes by activity began.
    last_full_scan: Option<Steady>,
    /// What the last full scan that was begun goes by.
    last_kind: Option<Kind>,
    /// Failures in a row at the present page of the full scan.
    failures: u32,
}

/// What a full scan goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Conversations that were active.
    Activity,
    /// Conversations that were created.
    Creation,
}

/// A full scan in progress.
#[derive(Debug, Clone)]
pub struct FullScan {
    /// When its first page was asked for.
    began: Option<Steady>,
    /// What it goes by.
    pub kind: Kind,
    /// It reads conversations that were active, or created, from then on.
    pub since: Timestamp,
    /// Where its next page is.
    pub token: PageToken,
}

impl Discovery {
    /// Goes on where an earlier one was: how far it had read recent activity, and when its last complete full scan
    /// began.
    #[must_use]
    pub fn resumed(recent: Option<Timestamp>, last_full_scan: Option<Steady>) -> Self {
        Self { recent, last_full_scan, ..Self::default() }
    }

    /// How far recent activity was read, and when the last complete full scan began.
    #[must_use]
    pub fn read(&self) -> (Option<Timestamp>, Option<Steady>) {
        (self.recent, self.last_full_scan)
    }

    /// From when on recent activity is to be read, once the first full scan has begun.
    #[must_use]
    pub fn recent_since(&self) -> Option<Timestamp> {
        self.recent.map(|at| at.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN))
    }

    /// Takes note of a reading of recent activity, with the newest that it showed. One with an item that could not be
    /// read is repeated once: the item may have been spoilt on its way.
    pub fn recent_read(&mut self, newest: Option<Timestamp>, reading: Reading) {
        self.doubtful = !reading.is_clean && !self.doubtful;
        if !self.doubtful {
            // No activity is later than the moment when it is shown.
            self.recent = self.recent.max(newest.map(|newest| newest.min(reading.as_of)));
        }
    }

    /// The full scan in progress, or a new one at `now`, in Kapso's clock.
    pub fn full_scan(&mut self, now: Timestamp, max_age: SignedDuration) -> FullScan {
        let kind = match self.last_kind {
            Some(Kind::Activity) if self.last_full_scan.is_some() => Kind::Creation,
            _ => Kind::Activity,
        };
        let since = now.saturating_sub(max_age).unwrap_or(Timestamp::MIN);
        let full_scan =
            self.full_scan.get_or_insert(FullScan { began: None, kind, since, token: PageToken::Start });
        self.last_kind = Some(full_scan.kind);
        full_scan.clone()
    }

    /// Takes note of a page of the full scan, and where the next one is.
    pub fn full_scan_read(&mut self, page: &Page<Conversation>, next: Option<PageToken>) {
        self.failures = 0;
        // What becomes active while the first full scan is under way is recent activity.
        let newest = newest_activity(page).map_or(page.as_of, |newest| newest.min(page.as_of));
        self.recent.get_or_insert(newest);
        let Some(full_scan) = &mut self.full_scan else { return };
        let began = *full_scan.began.get_or_insert(page.requested_at);
        if let Some(next) = next {
            full_scan.token = next;
            return;
        }
        if full_scan.kind == Kind::Activity {
            self.last_full_scan = Some(began);
        }
        self.full_scan = None;
    }

    /// Takes note that the present page of the full scan could not be read. After some failures the full scan is given
    /// up: the place may no longer be good.
    pub fn full_scan_failed(&mut self) {
        self.failures += 1;
        if self.failures >= MOST_FAILURES {
            self.failures = 0;
            self.full_scan = None;
        }
    }

    /// When the last complete full scan began; `None` while the first one is under way.
    #[must_use]
    pub fn last_full_scan(&self) -> Option<Steady> {
        self.last_full_scan
    }
}

/// The newest activity that a page shows.
pub fn newest_activity(page: &Page<Conversation>) -> Option<Timestamp> {
    page.items.iter().filter_map(|conversation| conversation.last_active_at).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConversationStatus;

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
        Page { last: false, ..Page::whole(items, 1, at(now)) }
    }

    #[test]
    fn recent_activity_is_read_with_an_overlap_and_again_if_an_item_was_spoilt() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.recent_since(), None);
        discovery.full_scan(at(-1), DAY);
        discovery.full_scan_read(&page(0, None), None);
        assert_eq!(discovery.recent_since(), Some(at(-120)));
        discovery.recent_read(Some(at(50)), Reading { is_clean: false, ..Reading::clean(at(60)) });
        assert_eq!(discovery.recent_since(), Some(at(-120)), "once");
        discovery.recent_read(Some(at(50)), Reading { is_clean: false, ..Reading::clean(at(120)) });
        assert_eq!(discovery.recent_since(), Some(at(-70)), "and not for ever");
        discovery.recent_read(Some(at(170)), Reading::clean(at(180)));
        assert_eq!(discovery.recent_since(), Some(at(50)));
    }

    #[test]
    fn what_was_hidden_is_read_from_the_newest_activity_that_was_shown() {
        let mut discovery = Discovery::default();
        discovery.full_scan(at(0), DAY);
        discovery.full_scan_read(&page(1, Some(-30)), None);
        discovery.recent_read(None, Reading::clean(at(600)));
        assert_eq!(discovery.recent_since(), Some(at(-150)));
        discovery.recent_read(Some(at(9000)), Reading::clean(at(660)));
        assert_eq!(discovery.recent_since(), Some(at(540)), "nothing is later than the present");
    }

    #[test]
    fn a_round_goes_on_where_it_was_and_counts_from_its_beginning() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.full_scan(at(0), DAY).token, PageToken::Start);
        discovery.full_scan_read(&page(1, None), Some(PageToken::Page(2)));
        discovery.full_scan_failed();
        let full_scan = discovery.full_scan(at(60), DAY);
        assert_eq!(
            (full_scan.token, full_scan.since, full_scan.kind),
            (PageToken::Page(2), at(-86400), Kind::Activity)
        );
        assert_eq!(discovery.last_full_scan(), None);
        discovery.full_scan_read(&page(61, None), None);
        assert_eq!(discovery.last_full_scan(), Some(Steady::at(at(1))));
    }

    #[test]
    fn every_other_round_goes_by_creation_once_all_is_discovered() {
        let mut discovery = Discovery::default();
        let kinds = [0, 60, 120, 180].map(|now| {
            let kind = discovery.full_scan(at(now), DAY).kind;
            discovery.full_scan_read(&page(now, None), None);
            kind
        });
        assert_eq!(kinds, [Kind::Activity, Kind::Creation, Kind::Activity, Kind::Creation]);
        assert_eq!(discovery.last_full_scan(), Some(Steady::at(at(120))));
    }

    #[test]
    fn a_page_that_keeps_failing_makes_the_round_begin_anew() {
        let mut discovery = Discovery::default();
        discovery.full_scan(at(0), DAY);
        discovery.full_scan_read(&page(1, None), Some(PageToken::Page(2)));
        for failure in 1..=MOST_FAILURES {
            assert_eq!(discovery.full_scan(at(60), DAY).token, PageToken::Page(2), "{failure}");
            discovery.full_scan_failed();
        }
        assert_eq!(discovery.full_scan(at(60), DAY).token, PageToken::Start);
    }
}
