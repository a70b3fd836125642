//! Doubt: executions, conversations and workflows that are no longer shown where they were.
//!
//! One answer takes nothing away. What is missing stays as it is, is *in doubt*, and is looked for again: an
//! execution by itself or in another list, a conversation or a workflow by its list. It is deleted if
//! [`LOOKS`] looks in vain say so over [`CONFIRMED_AFTER`]. If half of the open executions are missing at the same
//! time, and at least [`MANY`], the API is at fault rather than its data: then it takes [`MANY_CONFIRMED_AFTER`].
//! Whatever is shown again, anywhere, is no longer in doubt. Doubt is forgotten by a restart.
//!
//! An execution that its conversation's list no longer shows, and that is shown elsewhere, is not in doubt, but the
//! list is: it is remembered as *omitted* until the list shows it again or it is over.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::{ConversationState, Ledger, table::Slot};
use crate::clock::Steady;

/// The fewest looks in vain after which something is deleted, …
const LOOKS: u32 = 3;
/// … and the shortest time from the first one to the last.
const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// The shortest time where many executions are missing at once.
const MANY_CONFIRMED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Fewer missing executions are not many.
const MANY: usize = 5;

/// Something that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    /// When it was first looked for in vain.
    since: Steady,
    looks: u32,
    /// Only its list omits it: it was shown elsewhere since.
    omitted: bool,
}

impl Missing {
    /// Takes note of a look in vain, the first one or another.
    pub fn again(missing: Option<Self>, at: Steady) -> Self {
        let first = Self { since: at, looks: 0, omitted: false };
        let Self { since, looks, .. } = missing.filter(|missing| !missing.omitted).unwrap_or(first);
        Self { since, looks: looks.saturating_add(1), omitted: false }
    }

    /// Whether the looks so far say that it is deleted.
    pub fn is_confirmed(self, at: Steady, many: bool) -> bool {
        let after = if many { MANY_CONFIRMED_AFTER } else { CONFIRMED_AFTER };
        self.looks >= LOOKS && at.since(self.since) >= after
    }
}

/// The executions that are missing.
#[derive(Debug, Default)]
pub(super) struct Doubts(HashMap<Slot, Missing>);

impl Doubts {
    /// Whether anything is known of this one.
    pub fn get(&self, slot: Slot) -> Option<Missing> {
        self.0.get(&slot).copied()
    }

    /// Whether it is in doubt.
    pub fn is_doubtful(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|missing| !missing.omitted)
    }

    pub fn note(&mut self, slot: Slot, missing: Missing) {
        self.0.insert(slot, missing);
    }

    /// It was shown elsewhere: only its list omits it.
    pub fn shown_elsewhere(&mut self, slot: Slot) {
        if let Some(missing) = self.0.get_mut(&slot) {
            missing.omitted = true;
        }
    }

    /// It was shown where it belongs, or it is over or deleted.
    pub fn clear(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.0.keys().copied()
    }
}

impl Ledger {
    /// How many executions are in doubt.
    #[must_use]
    pub fn doubtful_executions(&self) -> usize {
        self.doubts.slots().filter(|&slot| self.doubts.is_doubtful(slot)).count()
    }

    /// Whether so many open executions are missing at once, or are omitted by their lists, that the API must be at
    /// fault.
    #[must_use]
    pub fn many_are_missing(&self) -> bool {
        let is_open = |&slot: &Slot| self.executions.get(slot).is_some_and(super::entry::Entry::is_open);
        let missing = self.doubts.slots().filter(is_open).count();
        missing >= MANY && 2 * missing >= self.open_executions()
    }

    /// Takes note that executions were looked for in vain; those of which that is confirmed are deleted.
    pub(super) fn look_in_vain(&mut self, slots: &[Slot], at: Steady, deleted_at: jiff::Timestamp) {
        for &slot in slots {
            let was_doubtful = self.doubts.is_doubtful(slot);
            self.doubts.note(slot, Missing::again(self.doubts.get(slot), at));
            if !was_doubtful {
                self.count_doubt(slot, true);
            }
        }
        let many = self.many_are_missing();
        let is_confirmed = |slot: &Slot| self.doubts.get(*slot).is_some_and(|m| m.is_confirmed(at, many));
        let confirmed: Vec<_> = slots.iter().copied().filter(is_confirmed).collect();
        self.delete(&confirmed, deleted_at);
    }

    /// Takes note that an execution was shown; `where_it_belongs` if it was in the list of its conversation.
    pub(super) fn end_doubt(&mut self, slot: Slot, where_it_belongs: bool) {
        let Some(_) = self.doubts.get(slot) else { return };
        if self.doubts.is_doubtful(slot) {
            self.count_doubt(slot, false);
        }
        let is_over = !self.executions.get(slot).is_some_and(super::entry::Entry::is_open);
        if where_it_belongs || is_over {
            self.doubts.clear(slot);
        } else {
            self.doubts.shown_elsewhere(slot);
        }
    }

    /// Counts the doubtful executions of a conversation: its list is asked again soon.
    fn count_doubt(&mut self, slot: Slot, more: bool) {
        let Some(record) = self.executions.get(slot).and_then(|entry| entry.conversation) else { return };
        let Some(ConversationState { doubtful, .. }) = self.conversations.untracked(record) else { return };
        *doubtful = if more { *doubtful + 1 } else { doubtful.saturating_sub(1) };
    }
}
