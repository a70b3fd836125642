//! Reading the list of one conversation's executions, page by page, into the ledger.

use jiff::Timestamp;

use super::{
    Attempts, Failed, Ledger,
    doubt::Missing,
    entry::{CountingRule, Entry},
    micros::Micros,
    observation::Observed,
    table::Slot,
};
use crate::{
    clock::Steady,
    model::{ConversationId, Execution, Page},
};

/// One reading of a conversation's list, in progress. If it is dropped before [`Ledger::close`], what it brought
/// stays, and the list counts as not read.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Listing {
    conversation: ConversationId,
    begun: Option<Begun>,
    /// The list was read to the end before.
    list_was_known: bool,
    /// What started up to then is known from earlier readings. A known execution that is younger says nothing of those
    /// behind it: the last complete reading may have been too early for them, and the one that brought it may have broken
    /// off.
    known_up_to: Option<Timestamp>,
    /// Items come newest start first.
    ordered: bool,
    /// Every item so far could be read.
    clean: bool,
    reached_end: bool,
    pages: u32,
    /// The newest start that its pages have shown.
    newest_start: Option<Micros>,
}

/// When the first page of a reading was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    /// The number of the request.
    pub request_seq: u64,
    /// The time.
    pub steady: Steady,
    /// The time, in Kapso's clock.
    pub at: Timestamp,
}

impl Begun {
    pub fn with<T>(page: &Page<T>) -> Self {
        Self { request_seq: page.request_seq, steady: page.requested_at, at: page.as_of }
    }
}

impl Ledger {
    /// Begins to read a conversation's list. `ordered` says whether the API promises newest start first.
    pub fn open(&mut self, conversation: &ConversationId, ordered: bool) -> Listing {
        let record = self.record(conversation);
        let record = &self.conversations[record];
        Listing {
            conversation: conversation.clone(),
            begun: None,
            list_was_known: record.listed.is_some(),
            known_up_to: record.known_up_to(),
            ordered,
            clean: true,
            reached_end: false,
            pages: 0,
            newest_start: None,
        }
    }

    /// Takes in the next page, at `now` in Kapso's clock. Returns whether an older page can hold news.
    pub fn read(&mut self, listing: &mut Listing, page: &Page<Execution>, now: Timestamp) -> bool {
        let begun = *listing.begun.get_or_insert(Begun::with(page));
        let record = self.record(&listing.conversation);
        listing.pages += 1;
        let positions = page.items.iter().filter_map(|execution| execution.position().map(Micros::from));
        listing.newest_start = positions.chain(listing.newest_start).max();
        self.note_learned(page.requested_at);
        let watch_start = self.watch_start().unwrap_or(begun.at);
        let observed = Observed {
            record: Some(record),
            request_seq: page.request_seq,
            as_of: page.as_of,
            now,
            rule: CountingRule { watch_start, list_was_known: listing.list_was_known },
        };
        let mut oldest_was_known = false;
        for execution in &page.items {
            oldest_was_known = self.observe(execution, observed);
        }
        listing.ordered &= page.items.is_sorted_by(|newer, older| newer.position() >= older.position());
        listing.clean &= page.is_clean();
        listing.reached_end = page.last;
        let oldest = page.items.last().and_then(Execution::position).filter(|_| oldest_was_known);
        let rest_is_known = oldest.is_some_and(|oldest| self.rest_is_known(record, listing, oldest, begun));
        !(page.last || rest_is_known)
    }

    /// Takes note that nothing older in the list can hold news: its last page was read, or the last that
    /// [`Ledger::read`] asked for.
    pub fn close(&mut self, listing: &Listing) {
        let Some(begun) = listing.begun else { return };
        let slot = self.record(&listing.conversation);
        let mut clean = listing.clean;
        if listing.reached_end && listing.clean {
            let omitted = self.omitted(slot, begun);
            clean = omitted.is_empty();
            self.miss(&omitted, begun);
        }
        let record = &mut self.conversations[slot];
        if listing.reached_end {
            record.read_whole = Some((begun.steady, listing.pages));
        }
        record.read_at = record.read_at.max(Some(begun.steady));
        record.listed = record.listed.max(Some(begun.at.into()));
        record.newest_start = record.newest_start.max(listing.newest_start);
        record.clean = clean;
        record.deleted = false;
        record.missing = None;
        record.attempts = Attempts::default();
    }

    /// Takes note that the API answered that it does not have a conversation. It is deleted, with the executions
    /// that are still in doubt, once that is confirmed. Returns whether this is the first such answer.
    pub fn conversation_not_found(&mut self, id: &ConversationId, at: Steady, deleted_at: Timestamp) -> bool {
        let record = self.record(id);
        let first = self.conversations[record].missing.is_none() && !self.conversations[record].deleted;
        let members: Vec<_> = self.current_members(record, deleted_at).collect();
        let missing = Missing::again(self.conversations[record].missing, at);
        let in_list = |slot: &&Slot| self.executions.get(**slot).is_some_and(is_expected);
        let omitted: Vec<_> =
            members.iter().filter(|slot| in_list(slot) || self.doubts.is_doubtful(**slot)).copied().collect();
        self.miss(&omitted, Begun { request_seq: 0, steady: at, at: deleted_at });
        let confirmed = missing.is_confirmed(at, self.many_are_missing());
        if confirmed {
            // Open ones may live on outside the conversation, and are asked for one by one.
            let is_over = |slot: &Slot| self.executions.get(*slot).is_some_and(|entry| !entry.is_open());
            let over: Vec<_> = members.iter().copied().filter(is_over).collect();
            self.delete(&over, deleted_at);
        }
        let record = &mut self.conversations[record];
        record.missing = Some(missing).filter(|_| !confirmed);
        record.attempts = Attempts { last: Some(at), ..Attempts::default() };
        record.deleted |= confirmed;
        first
    }

    /// Takes note that a conversation's list could not be read.
    pub fn conversation_failed(&mut self, id: &ConversationId, at: Steady, how: Failed) {
        let record = self.record(id);
        if let Some(record) = self.conversations.untracked(record) {
            record.attempts.failed(at, how);
        }
    }

    /// Whether everything older than `oldest` is known and finished: the list was known before, and this reading
    /// has met all of its open executions.
    fn rest_is_known(&self, record: Slot, listing: &Listing, oldest: Timestamp, begun: Begun) -> bool {
        let record = &self.conversations[record];
        let all_met = || {
            let members = record.executions.iter().filter_map(|&slot| self.executions.get(slot));
            let mut open = members.filter(|entry| entry.is_open() && entry.in_conversation_list);
            open.all(|entry| entry.request_seq >= begun.request_seq)
        };
        let may_stop = !record.is_to_be_read_whole(begun.steady);
        may_stop && Some(oldest) <= listing.known_up_to && listing.ordered && listing.clean && all_met()
    }

    /// The executions that a whole reading did not show, although the one before did, or that are in doubt.
    fn omitted(&self, record: Slot, begun: Begun) -> Vec<Slot> {
        let is_missed = |slot: &Slot| {
            self.executions.get(*slot).is_some_and(|entry| {
                entry.request_seq < begun.request_seq
                    && (is_expected(entry) || self.doubts.is_doubtful(*slot))
            })
        };
        self.current_members(record, begun.at).filter(is_missed).collect()
    }

    fn current_members(&self, record: Slot, now: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        let is_current =
            move |slot: &Slot| self.executions.get(*slot).is_some_and(|entry| self.is_current(entry, now));
        self.conversations[record].executions.iter().copied().filter(is_current)
    }

    /// Takes note that the list of their conversation omits these.
    fn miss(&mut self, omitted: &[Slot], begun: Begun) {
        for &slot in omitted {
            self.executions.change(slot, |entry| entry.in_conversation_list = false);
        }
        self.look_in_vain(omitted, begun.steady, begun.at);
    }
}

/// Whether an execution should be in the list of its conversation: it was the last time, or nothing has shown it since
/// the program started, so that doubt may have been forgotten.
fn is_expected(entry: &Entry) -> bool {
    entry.in_conversation_list || entry.request_seq == 0
}
