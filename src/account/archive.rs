//! Archiving a conversation, and taking it out again.
//!
//! A conversation is watched while it is young or has open executions ([`KnownConversation::is_watched`]). Once it is
//! not, and nobody has listed it for [`ARCHIVED_AFTER`], all that must still be known of it is what was counted and up
//! to when its list was read. One of which there is nothing to keep is forgotten: its next activity makes it known
//! again.

use jiff::{SignedDuration, Timestamp};

use super::{Account, KnownConversation};
use crate::{
    frontier::{ConversationFrontier, PhoneNumber},
    ledger::{Archived, ConversationState, Hash, Slot},
    model::{Conversation, ConversationId, ConversationStatus, Page},
};

/// Whoever asks for a conversation that is not watched, asks for it more often.
const ARCHIVED_AFTER: SignedDuration = SignedDuration::from_hours(24);

impl Account {
    /// The number of a conversation: one that is there, one from the archive, or a new one.
    pub(super) fn conversation(&mut self, id: &ConversationId) -> u32 {
        let place = self.ledger.conversation(id);
        self.frontier.follow(place);
        place.number
    }

    /// Takes in what a page of the list of conversations says of one. One that need not be watched stays in the
    /// archive, or unknown.
    pub(super) fn learn_conversation(
        &mut self,
        seen: &Conversation,
        phone_number: Option<PhoneNumber>,
        page: &Page<Conversation>,
        interval: SignedDuration,
    ) {
        if let Some(number) = self.ledger.conversations.find(&seen.id) {
            self.ledger.conversations[number].status = seen.status;
            let was_out = !self.is_in_scope(self.frontier.conversation(number));
            let read = self.frontier.conversations.change(number as usize);
            read.learn(seen, page, interval);
            read.phone_number = phone_number.or(read.phone_number);
            if was_out {
                read.doubt();
            }
            return;
        }
        let hash = Hash::from(&seen.id);
        let archived = self.ledger.archive.find(&hash);
        let mut counted = ConversationState::new(seen.id.clone());
        counted.status = seen.status;
        counted.forgotten_up_to = archived.and_then(|slot| self.ledger.archive[slot].forgotten_up_to);
        let at_rest = archived.map(|slot| *self.frontier.archive.get(slot as usize));
        let mut read = at_rest.unwrap_or_default().restored();
        read.learn(seen, page, interval);
        read.phone_number = phone_number;
        let conversation = KnownConversation { counted: &counted, read: &read };
        if self.is_watched(conversation, page.as_of) {
            let place = self.ledger.unarchive(&seen.id, archived);
            self.frontier.follow(place);
            self.ledger.conversations[place.number].status = seen.status;
            self.frontier.conversations.put(place.number as usize, read);
        } else {
            self.put_aside(hash, archived, conversation.counted, &read);
        }
    }

    /// Archives the conversations that are at rest at `now`, in Kapso's clock.
    pub(super) fn archive_what_rests(&mut self, now: Timestamp) {
        let is_at_rest = |(number, counted): &(u32, &ConversationState)| {
            let read = self.frontier.conversation(*number);
            self.is_at_rest(KnownConversation { counted, read }, now)
        };
        let resting = self.ledger.conversations.iter().filter(is_at_rest);
        for number in resting.map(|(number, _)| number).collect::<Vec<_>>() {
            if let Some(counted) = self.ledger.conversations.remove(number) {
                let read = self.frontier.conversations.take(number as usize);
                let hash = Hash::from(&counted.id);
                self.put_aside(hash, self.ledger.archive.find(&hash), &counted, &read);
            }
        }
    }

    /// Archives one, in this place if it is there, unless nothing of it is worth keeping.
    fn put_aside(
        &mut self,
        id: Hash,
        known: Option<Slot>,
        counted: &ConversationState,
        read: &ConversationFrontier,
    ) {
        let ConversationState { status, forgotten_up_to, .. } = *counted;
        let (archived, at_rest) = (Archived { id, status, forgotten_up_to }, read.at_rest());
        let is_known = |slot| {
            self.ledger.archive[slot] == archived && *self.frontier.archive.get(slot as usize) == at_rest
        };
        let is_worth_keeping =
            status != ConversationStatus::Unknown || at_rest.listed.is_some() || forgotten_up_to.is_some();
        if is_worth_keeping && !known.is_some_and(is_known) {
            let slot = self.ledger.archive.insert(archived);
            self.frontier.archive.put(slot as usize, at_rest);
        }
    }

    fn is_at_rest(&self, conversation: KnownConversation<'_>, now: Timestamp) -> bool {
        let KnownConversation { counted, read } = conversation;
        let listed = read.listed.map(|listed| now.duration_since(listed.into()));
        let asked = read.attempts.last.and_then(|last| Some(self.frontier.learned()?.since(last)));
        let is_watched = self.is_in_scope(read) && self.is_watched(conversation, now);
        !is_watched
            && counted.executions.is_empty()
            && read.missing.is_none()
            && [listed, asked].into_iter().flatten().all(|since| since > ARCHIVED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{Order, Row, Settings, VisitedList},
        clock::Steady,
        frontier::{AtRest, Failed},
        model::{Execution, Reading, Status, Workflow},
    };

    const DAY: i64 = 24 * 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
        Page::whole(items, 1_000_000_u64.saturating_add_signed(now), at(now))
    }

    fn conversation(active: i64) -> Conversation {
        Conversation { id: "c".into(), status: ConversationStatus::Active, last_active_at: Some(at(active)) }
    }

    fn ended(start: i64, end: i64) -> Execution {
        Execution {
            id: format!("e{start}").as_str().into(),
            workflow: Some(Workflow { id: "w".into(), name: None }),
            conversation: Some("c".into()),
            status: Status::Ended,
            started_at: Some(at(start)),
            last_event_at: Some(at(end)),
            ended_at: Some(at(end)),
            handoff: None,
            step: None,
        }
    }

    fn list(account: &mut Account, items: Vec<Execution>, now: i64) {
        let mut listing = account.open(&"c".into(), Order::NewestFirst);
        account.read(&mut listing, &page(items, now), at(now));
        account.close(&listing);
    }

    fn learn(account: &mut Account, active: i64, now: i64) {
        account.learn_conversations(&page(vec![conversation(active)], now), SignedDuration::from_mins(1));
    }

    /// An account that counted the end of an execution, and has archived its conversation.
    fn archived() -> Account {
        let mut account = Account::new(Settings::default());
        account.ledger.watch_from(at(0));
        learn(&mut account, 10, 60);
        list(&mut account, vec![ended(10, 20)], 60);
        list(&mut account, vec![ended(10, 20)], 6 * DAY);
        account.prune(at(8 * DAY));
        assert_eq!((account.conversations().count(), account.ledger.archive.len()), (0, 1));
        account
    }

    fn counted(account: &Account) -> (u64, u64) {
        let totals = &account.ledger.workflows()[0].totals;
        (totals.started, totals.ended + totals.failed)
    }

    #[test]
    fn a_conversation_in_the_archive_takes_little_room() {
        let size = size_of::<Archived>() + size_of::<AtRest>();
        assert!(size <= 48, "{size}");
    }

    #[test]
    fn a_conversation_is_archived_once_it_is_no_longer_watched_and_was_not_listed_for_a_day() {
        let mut account = Account::new(Settings::default());
        account.ledger.watch_from(at(0));
        learn(&mut account, 10, 60);
        list(&mut account, vec![], 60);
        account.prune(at(6 * DAY));
        assert_eq!(account.ledger.archive.len(), 0, "it is watched");
        list(&mut account, vec![], 7 * DAY);
        account.prune(at(7 * DAY + 3600));
        assert_eq!(account.ledger.archive.len(), 0, "somebody asked for it just now");
        account.conversation_failed(&"c".into(), Steady::at(at(8 * DAY)), Failed::Alone);
        account.frontier.note_learned(Steady::at(at(8 * DAY)));
        account.prune(at(8 * DAY + 3600));
        assert_eq!(account.ledger.archive.len(), 0, "somebody tried to");
        account.frontier.note_learned(Steady::at(at(9 * DAY + 60)));
        account.prune(at(9 * DAY + 60));
        assert_eq!(account.ledger.archive.len(), 1);
    }

    #[test]
    fn what_was_counted_in_it_is_not_counted_again_whichever_list_shows_it() {
        let mut account = archived();
        let mut visit = account.visit(&"w".into());
        account.see(&mut visit, VisitedList::ByStart, &page(vec![ended(10, 20)], 8 * DAY), at(8 * DAY));
        assert_eq!((account.ledger.archive.len(), counted(&account)), (1, (1, 1)), "nothing of it is news");
        list(&mut account, vec![ended(10, 20)], 8 * DAY);
        assert_eq!((account.ledger.archive.len(), counted(&account)), (0, (1, 1)));
    }

    #[test]
    fn it_is_watched_again_when_it_is_active() {
        let mut account = archived();
        learn(&mut account, 10, 8 * DAY);
        assert_eq!(account.ledger.archive.len(), 1, "a round over all conversations shows nothing new");
        learn(&mut account, 8 * DAY, 8 * DAY + 60);
        assert_eq!((account.conversations().count(), account.ledger.archive.len()), (1, 0));
        list(&mut account, vec![ended(8 * DAY, 8 * DAY + 20), ended(10, 20)], 8 * DAY + 60);
        assert_eq!(counted(&account), (2, 2));
    }

    #[test]
    fn one_of_which_nothing_is_worth_keeping_is_forgotten() {
        let mut account = Account::new(Settings::default());
        account.ledger.watch_from(at(0));
        let mut visit = account.visit(&"w".into());
        account.see(&mut visit, VisitedList::ByStart, &page(vec![ended(10, 20)], 60), at(60));
        account.reached(&visit, at(0), Reading::clean(at(DAY)));
        assert_eq!(account.ledger.remembered_conversations(), 1, "an execution named it");
        account.prune(at(2 * DAY));
        account.prune(at(8 * DAY));
        assert_eq!(account.ledger.remembered_conversations(), 0);
    }

    #[test]
    fn the_archive_is_saved_with_the_rest() {
        let mut account = archived();
        account.track();
        let saved = account.take_changes().into();
        let mut again = Account::restore(Settings::default(), &saved).unwrap();
        assert_eq!(again.ledger.archive.len(), 1);
        learn(&mut again, 8 * DAY, 8 * DAY + 60);
        let changes = again.take_changes();
        let is_there = |rows: &[Row]| rows.iter().map(|(_, content)| content.is_some()).collect::<Vec<_>>();
        assert_eq!((is_there(&changes.conversations), is_there(&changes.archive)), (vec![true], vec![false]));
    }
}
