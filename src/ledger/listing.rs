//! Reading the list of one conversation's executions, page by page, into the ledger.

use jiff::Timestamp;

use super::{LATE, Ledger, entry::Judge, index, observation::Observed};
use crate::execution::{ConversationId, Execution, Page};

/// One reading of a conversation's list, in progress. If it is dropped before [`Ledger::close`], what it brought
/// stays, and the list counts as not read.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Listing {
    record: usize,
    begun: Option<Begun>,
    /// The list was read to the end before.
    list_was_known: bool,
    /// What started up to then was listed by the last complete reading, if that could be read to the last item. A
    /// known execution that is younger says nothing of those behind it: that reading may have been too early for
    /// them, and the one that brought it may have broken off.
    known_up_to: Option<Timestamp>,
    /// Items come newest start first.
    ordered: bool,
    /// Every item so far could be read.
    clean: bool,
    reached_end: bool,
}

/// When the first page of a reading was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// The number of the request.
    pub asked: u64,
    /// The time, in Kapso's clock.
    pub at: Timestamp,
}

impl Begun {
    pub fn with<T>(page: &Page<T>) -> Self {
        Self { asked: page.asked, at: page.as_of }
    }
}

impl Ledger {
    /// Begins to read a conversation's list. `ordered` says whether the API promises newest start first.
    pub fn open(&mut self, conversation: &ConversationId, ordered: bool) -> Listing {
        let record = self.record(conversation);
        let list_was_known = self.records[record].listed.is_some();
        let listed = self.records[record].listed.filter(|_| self.records[record].clean);
        let known_up_to = listed.and_then(|listed| listed.checked_sub(LATE).ok());
        Listing { record, begun: None, list_was_known, known_up_to, ordered, clean: true, reached_end: false }
    }

    /// Takes in the next page, at `now` in Kapso's clock. Returns whether an older page can hold news.
    pub fn read(&mut self, listing: &mut Listing, page: &Page<Execution>, now: Timestamp) -> bool {
        let begun = *listing.begun.get_or_insert(Begun::with(page));
        self.note_learned(page.as_of);
        let watch_start = self.watch_start().unwrap_or(begun.at);
        let observed = Observed {
            record: Some(index(listing.record)),
            asked: page.asked,
            as_of: page.as_of,
            now,
            judge: Judge { watch_start, list_was_known: listing.list_was_known },
        };
        let mut oldest_was_known = false;
        for execution in &page.items {
            oldest_was_known = self.observe(execution, observed);
        }
        listing.ordered &= page.items.is_sorted_by(|newer, older| newer.position() >= older.position());
        listing.clean &= page.is_clean();
        listing.reached_end = page.last;
        let oldest = page.items.last().and_then(Execution::position).filter(|_| oldest_was_known);
        let rest_is_settled = oldest.is_some_and(|oldest| self.rest_is_settled(listing, oldest, begun));
        !(page.last || rest_is_settled)
    }

    /// Takes note that nothing older in the list can hold news: its last page was read, or the last that
    /// [`Ledger::read`] asked for.
    pub fn close(&mut self, listing: &Listing) {
        let Some(begun) = listing.begun else { return };
        if listing.reached_end && listing.clean {
            self.drop_vanished(listing.record, begun);
        }
        let record = &mut self.records[listing.record];
        record.listed = record.listed.max(Some(begun.at));
        record.clean = listing.clean;
        record.gone = false;
    }

    /// Whether everything older than `oldest` is known and finished: the list was known before, and this reading
    /// has met all of its open executions.
    fn rest_is_settled(&self, listing: &Listing, oldest: Timestamp, begun: Begun) -> bool {
        let record = &self.records[listing.record];
        let all_met = || {
            let members = record.executions.iter().filter_map(|&slot| self.executions.get(slot));
            members.filter(|entry| entry.is_open()).all(|entry| entry.asked >= begun.asked)
        };
        Some(oldest) <= listing.known_up_to && listing.ordered && listing.clean && all_met()
    }

    /// Executions that a whole reading did not show are no more.
    fn drop_vanished(&mut self, record: usize, begun: Begun) {
        let not_shown = |slot: &&u32| self.executions.get(**slot).is_some_and(|e| e.asked < begun.asked);
        let vanished: Vec<_> = self.records[record].executions.iter().filter(not_shown).copied().collect();
        self.vanish(&vanished, begun.at);
    }
}
