//! Which conversations are watched: those of some phone numbers, where that is configured.
//!
//! The list of conversations is asked for by phone number, so that no other conversation costs a request. Which number's
//! list showed a conversation is kept of it. After a restart with other numbers, what is of none of them is out: its
//! executions are taken out of the current state and are not asked for, and what was counted stays counted. One that
//! comes back is as one that could not be read meanwhile: what happened since the watch began is counted, once.

use super::Account;
use crate::{clock::Steady, frontier::ConversationFrontier, ledger::Entry};

impl Account {
    /// Whether a conversation is of one of the phone numbers that are watched.
    pub(super) fn is_in_scope(&self, read: &ConversationFrontier) -> bool {
        let numbers = &self.phone_numbers;
        numbers.is_empty() || read.phone_number.is_some_and(|number| numbers.contains(&number))
    }

    /// Takes what belongs to no conversation that is watched out of the current state, and has the lists of those read
    /// again of which that was done before.
    pub(super) fn restrict_to_scope(&mut self) {
        let at = self.frontier.learned().map_or_else(Default::default, Steady::timestamp);
        if !self.phone_numbers.is_empty() {
            let is_out = |number| !self.is_in_scope(self.frontier.conversation(number));
            let out =
                self.ledger.executions_where(|entry| !entry.deleted && entry.conversation.is_none_or(is_out));
            self.ledger.delete(&out, at);
        }
        let vanished = self.ledger.executions_where(Entry::is_deleted_while_open);
        for slot in vanished {
            let number = self.ledger.executions.get(slot).and_then(|entry| entry.conversation);
            if let Some(number) =
                number.filter(|&number| self.is_in_scope(self.frontier.conversation(number)))
            {
                self.frontier.conversations.change(number as usize).doubt();
            }
        }
    }
}
