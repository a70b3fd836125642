//! Conversations that are no longer watched, in a few bytes each.
//!
//! A conversation is watched while it is young or has open executions (`ConversationState::is_watched`). Once it is not,
//! and nobody has listed it for [`ARCHIVED_AFTER`], all that must still be known of it is what was counted: a hash of its
//! id, its status and three times. It leaves the archive when it is active again or an execution of it is shown. One of
//! which there is nothing to keep is forgotten: its next activity makes it known again.
//!
//! A hash of 128 bits takes no room to speak of, and no two ids share one.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ConversationState, Ledger,
    micros::Micros,
    table::{Identified, Slot, Table},
};
use crate::model::{Conversation, ConversationId, ConversationStatus, Page};

/// Whoever asks for a conversation that is not watched, asks for it more often.
const ARCHIVED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a conversation that is at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Archived {
    id: Hash,
    status: ConversationStatus,
    /// As in its [`ConversationState`]; `None` where its list has to be read anew.
    listed: Option<Micros>,
    forgotten_up_to: Option<Micros>,
    newest_start: Option<Micros>,
}

/// The first half of the SHA-256 of an id.
type Hash = [u8; 16];

impl Identified for Archived {
    type Id = Hash;

    fn id(&self) -> &Hash {
        &self.id
    }
}

fn hash(id: &ConversationId) -> Hash {
    let digest = Sha256::digest(id.as_str());
    std::array::from_fn(|byte| digest[byte])
}

impl Archived {
    /// What is worth keeping of a conversation; `None` if nothing is.
    fn of(record: &ConversationState) -> Option<Self> {
        let listed = record.listed.filter(|_| !record.deleted && record.clean);
        let kept = Self {
            id: hash(&record.id),
            status: record.status,
            listed,
            forgotten_up_to: record.forgotten_up_to,
            newest_start: record.newest_start.filter(|_| listed.is_some()),
        };
        let is_known = kept.status != ConversationStatus::Unknown;
        (is_known || kept.listed.is_some() || kept.forgotten_up_to.is_some()).then_some(kept)
    }

    fn restored(self, id: ConversationId) -> ConversationState {
        ConversationState {
            status: self.status,
            // It was at rest: it was active no later than that.
            last_active_at: self.listed,
            listed: self.listed,
            clean: self.listed.is_some(),
            forgotten_up_to: self.forgotten_up_to,
            newest_start: self.newest_start,
            ..ConversationState::new(id)
        }
    }
}

/// The conversations in the archive.
pub(super) type Archive = Table<Archived>;

impl Archive {
    /// What a conversation in the archive has counted and forgotten.
    pub fn forgotten_up_to(&self, id: &ConversationId) -> Option<Micros> {
        if self.len() == 0 {
            return None;
        }
        self[self.find(&hash(id))?].forgotten_up_to
    }

    /// A conversation as it was archived, or a new one.
    fn restore(&self, id: &ConversationId) -> ConversationState {
        let archived = self.find(&hash(id)).map(|slot| self[slot].clone());
        archived.map_or_else(|| ConversationState::new(id.clone()), |archived| archived.restored(id.clone()))
    }
}

impl Ledger {
    /// The record of a conversation: one that is there, one from the archive, or a new one.
    pub(super) fn record(&mut self, id: &ConversationId) -> Slot {
        if let Some(slot) = self.conversations.find(id) {
            return slot;
        }
        let record = self.archive.restore(id);
        self.unarchive(record)
    }

    /// Takes in what a page of the list of conversations says of one. One that need not be watched stays in the
    /// archive, or unknown.
    pub(super) fn learn_conversation(
        &mut self,
        seen: &Conversation,
        page: &Page<Conversation>,
        interval: SignedDuration,
    ) {
        if let Some(slot) = self.conversations.find(&seen.id) {
            self.conversations[slot].learn(seen, page, interval);
            return;
        }
        let mut record = self.archive.restore(&seen.id);
        record.learn(seen, page, interval);
        if record.is_watched(page.as_of, self.settings.conversation_max_age, self.watch_start()) {
            self.unarchive(record);
        } else {
            self.put_aside(&record);
        }
    }

    fn put_aside(&mut self, record: &ConversationState) {
        let Some(archived) = Archived::of(record) else { return };
        let known = self.archive.find(&archived.id).map(|slot| &self.archive[slot]);
        if known != Some(&archived) {
            self.archive.insert(archived);
        }
    }

    fn unarchive(&mut self, record: ConversationState) -> Slot {
        if let Some(archived) = self.archive.find(&hash(&record.id)) {
            self.archive.remove(archived);
        }
        self.conversations.insert(record)
    }

    /// Archives the conversations that are at rest at `now`, in Kapso's clock.
    pub(super) fn archive_what_rests(&mut self, now: Timestamp) {
        let resting = self.conversations.iter().filter(|(_, record)| self.is_at_rest(record, now));
        for slot in resting.map(|(slot, _)| slot).collect::<Vec<_>>() {
            if let Some(record) = self.conversations.remove(slot) {
                self.put_aside(&record);
            }
        }
    }

    fn is_at_rest(&self, record: &ConversationState, now: Timestamp) -> bool {
        let listed = record.listed.map(|listed| now.duration_since(listed.into()));
        let asked = record.attempts.last.and_then(|last| Some(self.watermarks.learned?.since(last)));
        !record.is_watched(now, self.settings.conversation_max_age, self.watch_start())
            && record.executions.is_empty()
            && record.missing.is_none()
            && [listed, asked].into_iter().flatten().all(|since| since > ARCHIVED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Steady,
        ledger::{Failed, Row, Settings},
        model::{Execution, Flaws, Status, Workflow},
    };

    const DAY: i64 = 24 * 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
        let (request_seq, requested_at) = (1_000_000_u64.saturating_add_signed(now), Steady::at(at(now)));
        Page { items, flaws: Flaws::default(), request_seq, requested_at, as_of: at(now), last: true }
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

    fn list(ledger: &mut Ledger, items: Vec<Execution>, now: i64) {
        let mut listing = ledger.open(&"c".into(), true);
        ledger.read(&mut listing, &page(items, now), at(now));
        ledger.close(&listing);
    }

    fn learn(ledger: &mut Ledger, active: i64, now: i64) {
        ledger.learn_conversations(&page(vec![conversation(active)], now), SignedDuration::from_mins(1));
    }

    /// A ledger that counted the end of an execution, and has archived its conversation.
    fn archived() -> Ledger {
        let mut ledger = Ledger::new(Settings::default());
        ledger.watch_from(at(0));
        learn(&mut ledger, 10, 60);
        list(&mut ledger, vec![ended(10, 20)], 60);
        list(&mut ledger, vec![ended(10, 20)], 6 * DAY);
        ledger.prune(at(8 * DAY));
        assert_eq!((ledger.conversations().count(), ledger.archive.len()), (0, 1));
        ledger
    }

    fn counted(ledger: &Ledger) -> (u64, u64) {
        let totals = &ledger.workflows()[0].totals;
        (totals.started, totals.ended + totals.failed)
    }

    #[test]
    fn a_conversation_in_the_archive_takes_little_room() {
        assert!(size_of::<Archived>() <= 48, "{}", size_of::<Archived>());
    }

    #[test]
    fn a_conversation_is_archived_once_it_is_no_longer_watched_and_was_not_listed_for_a_day() {
        let mut ledger = Ledger::new(Settings::default());
        ledger.watch_from(at(0));
        learn(&mut ledger, 10, 60);
        list(&mut ledger, vec![], 60);
        ledger.prune(at(6 * DAY));
        assert_eq!(ledger.archive.len(), 0, "it is watched");
        list(&mut ledger, vec![], 7 * DAY);
        ledger.prune(at(7 * DAY + 3600));
        assert_eq!(ledger.archive.len(), 0, "somebody asked for it just now");
        ledger.conversation_failed(&"c".into(), Steady::at(at(8 * DAY)), Failed::Alone);
        ledger.note_learned(Steady::at(at(8 * DAY)));
        ledger.prune(at(8 * DAY + 3600));
        assert_eq!(ledger.archive.len(), 0, "somebody tried to");
        ledger.note_learned(Steady::at(at(9 * DAY + 60)));
        ledger.prune(at(9 * DAY + 60));
        assert_eq!(ledger.archive.len(), 1);
    }

    #[test]
    fn what_was_counted_in_it_is_not_counted_again_whichever_list_shows_it() {
        let mut ledger = archived();
        let mut visit = ledger.visit(&"w".into());
        ledger.see(&mut visit, &page(vec![ended(10, 20)], 8 * DAY), at(8 * DAY));
        assert_eq!((ledger.archive.len(), counted(&ledger)), (1, (1, 1)), "nothing of it is news");
        list(&mut ledger, vec![ended(10, 20)], 8 * DAY);
        assert_eq!((ledger.archive.len(), counted(&ledger)), (0, (1, 1)));
    }

    #[test]
    fn it_is_watched_again_when_it_is_active() {
        let mut ledger = archived();
        learn(&mut ledger, 10, 8 * DAY);
        assert_eq!(ledger.archive.len(), 1, "a round over all conversations shows nothing new");
        learn(&mut ledger, 8 * DAY, 8 * DAY + 60);
        assert_eq!((ledger.conversations().count(), ledger.archive.len()), (1, 0));
        list(&mut ledger, vec![ended(8 * DAY, 8 * DAY + 20), ended(10, 20)], 8 * DAY + 60);
        assert_eq!(counted(&ledger), (2, 2));
    }

    #[test]
    fn one_of_which_nothing_is_worth_keeping_is_forgotten() {
        let mut ledger = Ledger::new(Settings::default());
        ledger.watch_from(at(0));
        let mut visit = ledger.visit(&"w".into());
        ledger.see(&mut visit, &page(vec![ended(10, 20)], 60), at(60));
        ledger.reached(&visit, at(0), (Steady::at(at(DAY)), at(DAY)), true);
        assert_eq!(ledger.remembered_conversations(), 1, "an execution named it");
        ledger.prune(at(2 * DAY));
        ledger.prune(at(8 * DAY));
        assert_eq!(ledger.remembered_conversations(), 0);
    }

    #[test]
    fn the_archive_is_saved_with_the_rest() {
        let mut ledger = archived();
        ledger.track();
        let saved = ledger.take_changes().into();
        let mut again = Ledger::restore(Settings::default(), &saved).unwrap();
        assert_eq!(again.archive.len(), 1);
        learn(&mut again, 8 * DAY, 8 * DAY + 60);
        let changes = again.take_changes();
        let is_there = |rows: &[Row]| rows.iter().map(|(_, content)| content.is_some()).collect::<Vec<_>>();
        assert_eq!((is_there(&changes.conversations), is_there(&changes.archive)), (vec![true], vec![false]));
    }
}
