//! Reading the list of one conversation's executions, page by page.

use jiff::Timestamp;

use super::Account;
use crate::{
    clock::Steady,
    frontier::{Attempts, Failed},
    ledger::{List, Micros, Missing, Observation, Origin},
    model::{ConversationId, Execution, Page},
};

/// One reading of a conversation's list, in progress. If it is dropped before [`Account::close`], what it brought
/// stays, and the list counts as not read.
#[derive(Debug)]
pub struct Listing {
    conversation: ConversationId,
    begun: Option<Begun>,
    /// The list was read to the end before.
    was_read: bool,
    /// What started up to then is known from earlier readings. A known execution that is younger says nothing of those
    /// behind it: the last complete reading may have been too early for them, and the one that brought it may have
    /// broken off.
    known_up_to: Option<Timestamp>,
    order: Order,
    /// Every item so far could be read.
    clean: bool,
    reached_end: bool,
    pages: u32,
    /// How many times workflows had been let in when it began.
    times_let_in: u64,
    /// The newest start that its pages have shown.
    newest_start: Option<Micros>,
}

/// The order of a list's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest start first.
    NewestFirst,
    /// Any order.
    Any,
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

impl Account {
    /// Begins to read a conversation's list, whose items come in this order.
    pub fn open(&mut self, conversation: &ConversationId, order: Order) -> Listing {
        let number = self.conversation(conversation);
        let read = self.frontier.conversation(number);
        Listing {
            conversation: conversation.clone(),
            begun: None,
            was_read: read.listed.is_some(),
            known_up_to: read.known_up_to(),
            order,
            clean: true,
            reached_end: false,
            pages: 0,
            times_let_in: self.times_let_in,
            newest_start: None,
        }
    }

    /// Takes in the next page, at `now` in Kapso's clock. Returns whether an older page can hold news.
    pub fn read(&mut self, listing: &mut Listing, page: &Page<Execution>, now: Timestamp) -> bool {
        let begun = *listing.begun.get_or_insert(Begun::with(page));
        let number = self.conversation(&listing.conversation);
        listing.pages += 1;
        let positions = page.items.iter().filter_map(|execution| execution.position().map(Micros::from));
        listing.newest_start = positions.chain(listing.newest_start).max();
        self.frontier.note_learned(page.requested_at);
        let origin = Origin::Listed { list: List::Conversation(number), was_read: listing.was_read };
        let mut oldest_was_known = false;
        for seen in Observation::all(page, origin) {
            let applied = self.apply(seen, now);
            oldest_was_known = applied.was_known;
            listing.clean &= !applied.is_undecided;
        }
        if !page.items.is_sorted_by(|newer, older| newer.position() >= older.position()) {
            listing.order = Order::Any;
        }
        listing.clean &= page.is_clean();
        listing.reached_end = page.last;
        let oldest = page.items.last().and_then(Execution::position).filter(|_| oldest_was_known);
        let rest_is_known = oldest.is_some_and(|oldest| self.rest_is_known(number, listing, oldest, begun));
        !(page.last || rest_is_known)
    }

    /// Takes note that nothing older in the list can hold news: its last page was read, or the last that
    /// [`Account::read`] asked for.
    pub fn close(&mut self, listing: &Listing) {
        let Some(begun) = listing.begun else { return };
        let number = self.conversation(&listing.conversation);
        let omits = listing.reached_end
            && listing.clean
            && self.ledger.note_omitted(number, begun.request_seq, begun.steady, begun.at);
        let read = self.frontier.conversations.change(number as usize);
        if listing.reached_end {
            read.read_whole = Some((begun.steady, listing.pages));
        }
        read.read_at = read.read_at.max(Some(begun.steady));
        read.listed = read.listed.max(Some(begun.at.into()));
        read.newest_start = read.newest_start.max(listing.newest_start);
        // What it showed of a workflow that was let in meanwhile was not taken in.
        read.clean = listing.clean && !omits && listing.times_let_in == self.times_let_in;
        read.deleted = false;
        read.missing = None;
        read.attempts = Attempts::default();
    }

    /// Takes note that the API answered that it does not have a conversation. It is deleted, with the executions
    /// that are still in doubt, once that is confirmed. Returns whether this is the first such answer.
    pub fn conversation_not_found(&mut self, id: &ConversationId, at: Steady, deleted_at: Timestamp) -> bool {
        let number = self.conversation(id);
        // Nothing of it was seen by this request.
        self.ledger.note_omitted(number, u64::MAX, at, deleted_at);
        let extent = self.ledger.extent();
        let read = self.frontier.conversations.change(number as usize);
        let first = read.missing.is_none() && !read.deleted;
        let missing = Missing::again(read.missing, at);
        let confirmed = missing.is_confirmed(at, extent);
        read.missing = Some(missing).filter(|_| !confirmed);
        read.attempts = Attempts::answered(at);
        read.deleted |= confirmed;
        if confirmed {
            self.ledger.delete_what_is_over(number, deleted_at);
        }
        first
    }

    /// Takes note that a conversation's list could not be read.
    pub fn conversation_failed(&mut self, id: &ConversationId, at: Steady, how: Failed) {
        let number = self.conversation(id);
        self.frontier.conversations.untracked(number as usize).attempts.failed(at, how);
    }

    /// Whether everything older than `oldest` is known and finished: the list was known before, and this reading
    /// has met all of its open executions.
    fn rest_is_known(&self, number: u32, listing: &Listing, oldest: Timestamp, begun: Begun) -> bool {
        let may_stop = !self.frontier.conversation(number).is_to_be_read_whole(begun.steady);
        may_stop
            && Some(oldest) <= listing.known_up_to
            && listing.order == Order::NewestFirst
            && listing.clean
            && self.ledger.has_met_all(number, begun.request_seq)
    }
}
