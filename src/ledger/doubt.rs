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

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{ConversationState, Ledger, entry::Entry, index, table::Slot};
use crate::{clock::Steady, model::ExecutionId};

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
pub(crate) struct Missing {
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
    pub fn is_confirmed(self, at: Steady, extent: Extent) -> bool {
        let after = match extent {
            Extent::Few => CONFIRMED_AFTER,
            Extent::Many => MANY_CONFIRMED_AFTER,
        };
        self.looks >= LOOKS && at.since(self.since) >= after
    }
}

/// How much is missing at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As much as may be deleted at once.
    Few,
    /// So much that the API must be at fault.
    Many,
}

/// The executions that are missing.
#[derive(Debug, Default)]
pub(crate) struct Doubts(BTreeMap<Slot, Missing>);

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
        let is_open = |&slot: &Slot| self.executions.get(slot).is_some_and(Entry::is_open);
        let missing = self.doubts.slots().filter(is_open).count();
        missing >= MANY && 2 * missing >= self.open_executions()
    }

    /// How many are missing, as it bears on whether they are deleted.
    pub(crate) fn extent(&self) -> Extent {
        if self.many_are_missing() { Extent::Many } else { Extent::Few }
    }

    /// Takes note that executions were looked for in vain; those of which that is confirmed are deleted.
    fn look_in_vain(&mut self, slots: &[Slot], at: Steady, deleted_at: Timestamp) {
        for &slot in slots {
            let was_doubtful = self.doubts.is_doubtful(slot);
            self.doubts.note(slot, Missing::again(self.doubts.get(slot), at));
            if !was_doubtful {
                self.count_doubt(slot, true);
            }
        }
        let extent = self.extent();
        let is_confirmed = |slot: &Slot| self.doubts.get(*slot).is_some_and(|m| m.is_confirmed(at, extent));
        let confirmed: Vec<_> = slots.iter().copied().filter(is_confirmed).collect();
        self.delete(&confirmed, deleted_at);
    }

    /// Takes note that the list of a conversation, which was read whole from this request on, omits executions that it
    /// showed before or that are in doubt. Returns whether there are any.
    pub(crate) fn note_omitted(
        &mut self,
        conversation: u32,
        request_seq: u64,
        at: Steady,
        deleted_at: Timestamp,
    ) -> bool {
        let is_missed = |&slot: &Slot| {
            self.executions.get(slot).is_some_and(|entry| {
                self.is_current(entry, deleted_at)
                    && entry.request_seq < request_seq
                    && (is_expected(entry) || self.doubts.is_doubtful(slot))
            })
        };
        let members = self.conversations[conversation].executions.iter().copied();
        let omitted: Vec<_> = members.filter(is_missed).collect();
        for &slot in &omitted {
            self.executions.change(slot, |entry| entry.in_conversation_list = false);
        }
        self.look_in_vain(&omitted, at, deleted_at);
        !omitted.is_empty()
    }

    /// Takes note that a conversation is deleted, and what is over in it. What is open may live on outside it, and is
    /// asked for one by one.
    pub(crate) fn delete_what_is_over(&mut self, conversation: u32, at: Timestamp) {
        let is_over = |&slot: &Slot| {
            self.executions.get(slot).is_some_and(|entry| !entry.is_open() && self.is_current(entry, at))
        };
        let members = self.conversations[conversation].executions.iter().copied();
        let over: Vec<_> = members.filter(is_over).collect();
        self.delete(&over, at);
    }

    /// Takes note that a workflow's lists were looked for in vain, and with them all that is shown of it.
    pub(crate) fn workflow_not_found(&mut self, workflow: usize, at: Steady, deleted_at: Timestamp) {
        let is_shown =
            |entry: &Entry| entry.workflow == index(workflow) && self.is_current(entry, deleted_at);
        let shown = self.executions.iter().filter(|(_, entry)| is_shown(entry));
        let slots: Vec<Slot> = shown.map(|(slot, _)| slot).collect();
        self.look_in_vain(&slots, at, deleted_at);
    }

    /// Takes note that the API answered that it does not have an execution; it is deleted once that is confirmed.
    /// One that did not start `before` then may be there in a moment.
    pub(crate) fn not_found(
        &mut self,
        id: &ExecutionId,
        before: Timestamp,
        at: Steady,
        deleted_at: Timestamp,
    ) {
        let Some(slot) = self.executions.find(id) else { return };
        self.note_look(slot, at);
        let started = self.executions.get(slot).and_then(|entry| entry.started_at);
        if started.is_none_or(|started| started < before.into()) {
            self.look_in_vain(&[slot], at, deleted_at);
        }
    }

    /// Takes note that an execution was shown elsewhere than in the list of its conversation: if it is open, that list
    /// omits it still.
    pub(super) fn end_doubt_elsewhere(&mut self, slot: Slot) {
        if !self.executions.get(slot).is_some_and(Entry::is_open) {
            self.end_doubt(slot);
        } else if self.doubts.is_doubtful(slot) {
            self.count_doubt(slot, false);
            self.doubts.shown_elsewhere(slot);
        }
    }

    /// Takes note that an execution was shown where it belongs, or is over or deleted.
    pub(super) fn end_doubt(&mut self, slot: Slot) {
        if self.doubts.is_doubtful(slot) {
            self.count_doubt(slot, false);
        }
        self.doubts.clear(slot);
    }

    /// Counts the doubtful executions of a conversation: its list is asked again soon.
    fn count_doubt(&mut self, slot: Slot, more: bool) {
        let Some(number) = self.executions.get(slot).and_then(|entry| entry.conversation) else { return };
        let Some(ConversationState { doubtful, .. }) = self.conversations.untracked(number) else { return };
        *doubtful = if more { *doubtful + 1 } else { doubtful.saturating_sub(1) };
    }
}

/// Whether an execution should be in the list of its conversation: it was the last time, or nothing has shown it since
/// the program started, so that doubt may have been forgotten.
fn is_expected(entry: &Entry) -> bool {
    entry.in_conversation_list || entry.request_seq == 0
}
