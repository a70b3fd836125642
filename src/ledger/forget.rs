//! Forgetting an execution when its time has come.

use jiff::{SignedDuration, Timestamp};

use super::{Coverage, Ledger, entry::Entry, micros::Micros, table::Slot};

impl Ledger {
    /// Forgets the executions that were over for long enough and that can never be counted again: one of the lists
    /// they are in was read since, and will be known to hold nothing new up to their place. One that vanished
    /// while it was open is kept: should it come back, its end is still to be counted. Workflows' lists are read back to
    /// `history` before the watch.
    pub fn prune(&mut self, coverage: &impl Coverage, history: SignedDuration, now: Timestamp) {
        let horizon = self.horizon_at(now);
        self.watermarks.horizon = self.watermarks.horizon.max(Some(horizon));
        self.prune_outcomes(horizon, now);
        let past = |entry: &Entry| {
            !entry.is_open()
                && entry.over.is_some_and(|over| over < horizon)
                && !entry.is_deleted_while_open()
        };
        let past: Vec<_> = self.executions.iter().filter(|(_, e)| past(e)).map(|(slot, _)| slot).collect();
        let mut emptied = Vec::new();
        for slot in past {
            self.end_doubt(slot);
            emptied.extend(self.forget(slot, coverage, history).and_then(|entry| entry.conversation));
        }
        emptied.sort_unstable();
        emptied.dedup();
        for number in emptied {
            let executions = &self.executions;
            if let Some(conversation) = self.conversations.untracked(number) {
                conversation.executions.retain(|&slot| executions.get(slot).is_some());
            }
        }
    }

    /// Forgets one, if a list vouches for it.
    fn forget(&mut self, slot: Slot, coverage: &impl Coverage, history: SignedDuration) -> Option<Entry> {
        let entry = self.executions.get(slot)?;
        if entry.status.is_finished() && !entry.decided.finish {
            // It is history, and found to be so whenever it is listed again.
            return self.executions.remove(slot);
        }
        let (position, workflow) = (entry.position()?, entry.workflow as usize);
        let vouches = |number: &Slot| coverage.conversation_vouches(*number, position, entry.over);
        let by_conversation = entry.conversation.filter(vouches);
        if self.workflows[workflow].was_let_in_after(position) {
            return None;
        }
        let history_since = self.workflows[workflow].watch_start(self.watch_start()?);
        let history_since = history_since.saturating_sub(history).unwrap_or(Timestamp::MIN);
        let by_workflow = coverage.workflow_vouches(workflow, position, history_since);
        if by_conversation.is_none() && !by_workflow {
            return None;
        }
        if let Some(number) = by_conversation {
            let forgotten_up_to = &mut self.conversations[number].forgotten_up_to;
            *forgotten_up_to = (*forgotten_up_to).max(Some(position));
        }
        if by_workflow {
            let forgotten_up_to = &mut self.workflows[workflow].forgotten_up_to;
            *forgotten_up_to = (*forgotten_up_to).max(Some(position));
        }
        self.executions.remove(slot)
    }

    /// Takes note that what was over before the lookback may have been counted by other lists than those of the
    /// workflows for which that is asked, and be forgotten: it is not counted again.
    pub(crate) fn note_counted_elsewhere(&mut self, is_unread: impl Fn(usize) -> bool) {
        // What was over before the watch began was not counted by any, nor anything before it began.
        let (Some(horizon), Some(watch_start)) = (self.watermarks.horizon, self.watermarks.watch_start)
        else {
            return;
        };
        let Some(forgotten) = self.newest_forgotten().filter(|_| horizon > watch_start) else { return };
        for workflow in (0..self.workflows.len()).filter(|&workflow| is_unread(workflow)) {
            self.workflows[workflow].counted_elsewhere = Some(horizon.min(forgotten));
        }
    }

    /// Up to where executions were really forgotten because the list of their conversation was read.
    fn newest_forgotten(&self) -> Option<Micros> {
        let conversations = self.conversations.iter().filter_map(|(_, known)| known.forgotten_up_to);
        let archived = self.archive.iter().filter_map(|(_, archived)| archived.forgotten_up_to);
        conversations.chain(archived).max()
    }

    /// What was over before then may be forgotten.
    pub(super) fn horizon_at(&self, now: Timestamp) -> Micros {
        now.saturating_sub(self.lookback.max(self.remembered)).unwrap_or(Timestamp::MIN).into()
    }
}
