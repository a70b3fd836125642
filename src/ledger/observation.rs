//! Taking in one execution, whichever list shows it; and forgetting it when its time has come.

use jiff::Timestamp;

use super::{
    ConversationState, Ledger,
    entry::{CountingRule, Decided, Entry},
    index,
    micros::Micros,
    table::Slot,
    totals::Event,
    workflow::before_late_ones,
};
use crate::model::Execution;

/// The circumstances of an observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed {
    /// Index of the record of the conversation whose list shows it.
    pub record: Option<u32>,
    /// The number of the request.
    pub request_seq: u64,
    /// When the page was asked for, in Kapso's clock.
    pub as_of: Timestamp,
    /// When it was taken in, in Kapso's clock.
    pub now: Timestamp,
    pub rule: CountingRule,
}

/// Where an open execution is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    account: u32,
    record: Option<u32>,
}

impl Counted {
    fn of(entry: &Entry) -> Option<Self> {
        entry.is_open().then_some(Self { account: entry.workflow, record: entry.conversation })
    }
}

impl Ledger {
    /// Takes in one execution. Returns whether it was known.
    pub(super) fn observe(&mut self, seen: &Execution, at: Observed) -> bool {
        let known = self.executions.find(&seen.id);
        let conversation = seen.conversation.as_ref().filter(|_| at.record.is_none());
        let record = at.record.or_else(|| self.conversations.find(conversation?));
        let counted = match record {
            Some(record) => self.conversations[record].forgotten_up_to,
            None => conversation.and_then(|id| self.archive.forgotten_up_to(id)),
        };
        let account = match (&seen.workflow, known.and_then(|slot| self.executions.get(slot))) {
            (None, Some(entry)) => entry.workflow,
            (workflow, _) => index(self.account(workflow.as_ref())),
        };
        let newest = self.workflows[account as usize].last_event_at;
        if newest < seen.last_event_at {
            self.workflows[account as usize].last_event_at = seen.last_event_at;
        }
        if known.is_none() && self.is_over_and_done(seen, account, counted, at) {
            return true;
        }
        let slot = known.unwrap_or_else(|| {
            let decided = self.decided_before(seen, account, counted);
            self.executions.insert(Entry { decided, ..Entry::unseen(seen.id.clone(), account) })
        });
        let record = record.or_else(|| conversation.map(|id| self.record(id)));
        self.note(slot, seen, account, record, at);
        known.is_some()
    }

    /// Whether nothing of an execution that is not remembered is to be counted or shown: it was counted and
    /// forgotten, or it is history that is over for as long.
    fn is_over_and_done(
        &self,
        seen: &Execution,
        account: u32,
        by_conversation: Option<Micros>,
        at: Observed,
    ) -> bool {
        let Some(position) = seen.position().filter(|_| seen.status.is_finished()) else {
            return false;
        };
        let over = seen.ended_at.map(Micros::from);
        let was_forgotten = self.is_forgotten_at(position.into(), account, by_conversation)
            && self.watermarks.horizon.is_some_and(|horizon| over.is_none_or(|over| over < horizon));
        let newest = seen.ended_at.max(seen.handoff.and_then(|handoff| handoff.at)).max(Some(position));
        let watch_start = at.rule.watch_start;
        let is_old = over.is_some_and(|over| over < self.horizon_at(at.now));
        was_forgotten || (is_old && newest < Some(watch_start))
    }

    fn note(&mut self, slot: Slot, seen: &Execution, account: u32, record: Option<u32>, at: Observed) {
        if self.executions.get(slot).is_none_or(|entry| at.request_seq < entry.request_seq) {
            return;
        }
        let in_list = at.record.is_some();
        let changed = self.executions.change(slot, |entry| {
            let (was, had) = (Counted::of(entry), entry.conversation);
            entry.workflow = account;
            entry.conversation = had.or(record);
            entry.in_conversation_list |= in_list;
            let events = entry.observe(seen, at.request_seq, at.as_of, at.rule);
            let joined = entry.conversation.filter(|_| had.is_none());
            (was, Counted::of(entry), joined, entry.conversation, events)
        });
        let Some((was, is, joined, record, events)) = changed else { return };
        self.end_doubt(slot, in_list);
        if let Some(record) = joined.and_then(|joined| self.conversations.untracked(joined)) {
            record.executions.push(slot);
        }
        self.recount(was, is);
        let Some(events) = events else {
            self.stale_answers += 1;
            return;
        };
        if let Some(record) = record
            && self.conversations[record].last_event_at < seen.last_event_at.map(Micros::from)
        {
            self.conversations[record].last_event_at = seen.last_event_at.map(Micros::from);
        }
        for event in &events {
            let account = &mut self.workflows[account as usize];
            account.totals.count(event, at.now);
            if matches!(event, Event::Started) {
                account.note_start(seen.started_at);
            }
        }
    }

    /// What of an execution that is not remembered is decided already. An open one that started before its list was
    /// known up to the present, and was forgotten, must have been over: it was resumed.
    fn decided_before(&self, seen: &Execution, account: u32, by_conversation: Option<Micros>) -> Decided {
        let Some(position) = seen.position().map(Micros::from) else { return Decided::default() };
        let was_forgotten = self.is_forgotten_at(position, account, by_conversation);
        if was_forgotten && seen.status.is_open() { Decided::RESUMED } else { Decided::default() }
    }

    /// Whether an execution at this place of its lists is counted and forgotten, unless it is remembered or open.
    /// `by_conversation` is up to where its conversation's list says so.
    fn is_forgotten_at(&self, position: Micros, account: u32, by_conversation: Option<Micros>) -> bool {
        Some(position) <= by_conversation || self.workflows[account as usize].is_forgotten_at(position)
    }

    /// Takes note that these are deleted.
    pub(super) fn delete(&mut self, slots: &[Slot], at: Timestamp) {
        for &slot in slots {
            let delete = |entry: &mut Entry| {
                let was = Counted::of(entry);
                entry.delete(at);
                was
            };
            let was = self.executions.change(slot, delete).flatten();
            self.recount(was, None);
            self.end_doubt(slot, true);
        }
    }

    fn recount(&mut self, was: Option<Counted>, is: Option<Counted>) {
        if was == is {
            return;
        }
        for (counted, more) in [(was, false), (is, true)] {
            let Some(Counted { account, record }) = counted else { continue };
            let of_account = &mut self.workflows.untracked(account).open;
            let of_record =
                record.and_then(|record| self.conversations.untracked(record)).map(|r| &mut r.open);
            let step = |open: usize| if more { open + 1 } else { open.saturating_sub(1) };
            *of_account = step(*of_account);
            if let Some(open) = of_record {
                *open = index(step(*open as usize));
            }
        }
    }

    /// Forgets the executions that were over for long enough and that can never be counted again: one of the lists
    /// they are in was read since, and will be known to hold nothing new up to their place. One that vanished
    /// while it was open is kept: should it come back, its end is still to be counted. Conversations at rest are archived.
    pub fn prune(&mut self, now: Timestamp) {
        let horizon = self.horizon_at(now);
        self.watermarks.horizon = self.watermarks.horizon.max(Some(horizon));
        let past = |entry: &Entry| {
            !entry.is_open()
                && entry.over.is_some_and(|over| over < horizon)
                && !entry.is_deleted_while_open()
        };
        let past: Vec<_> = self.executions.iter().filter(|(_, e)| past(e)).map(|(slot, _)| slot).collect();
        let mut emptied = Vec::new();
        for slot in past {
            self.end_doubt(slot, true);
            emptied.extend(self.forget(slot).and_then(|entry| entry.conversation));
        }
        emptied.sort_unstable();
        emptied.dedup();
        for record in emptied {
            let executions = &self.executions;
            if let Some(record) = self.conversations.untracked(record) {
                record.executions.retain(|&slot| executions.get(slot).is_some());
            }
        }
        self.archive_what_rests(now);
    }

    /// Forgets one, if a list vouches for it.
    fn forget(&mut self, slot: Slot) -> Option<Entry> {
        let Self { executions, conversations, workflows, .. } = self;
        let entry = executions.get(slot)?;
        if entry.status.is_finished() && !entry.decided.finish {
            // It is history, and found to be so whenever it is listed again.
            return executions.remove(slot);
        }
        let position = entry.position()?;
        let account = entry.workflow as usize;
        let by_workflow =
            workflows[account].is_known_at(position).then(|| &mut workflows[account].forgotten_up_to);
        let is_read = |record: &Slot| {
            let ConversationState { clean, deleted, listed, .. } = conversations[*record];
            let is_over_and_done =
                listed.is_some_and(|listed| position <= before_late_ones(listed.into()).into());
            (clean || deleted) && listed > entry.over && is_over_and_done
        };
        let record = entry.conversation.filter(is_read);
        let by_conversation = record.map(|record| &mut conversations[record].forgotten_up_to);
        let vouching: Vec<_> = [by_conversation, by_workflow].into_iter().flatten().collect();
        if vouching.is_empty() {
            return None;
        }
        for forgotten_up_to in vouching {
            *forgotten_up_to = (*forgotten_up_to).max(Some(position));
        }
        executions.remove(slot)
    }

    /// What was over before then may be forgotten.
    pub(super) fn horizon_at(&self, now: Timestamp) -> Micros {
        now.saturating_sub(self.settings.lookback.max(self.settings.remembered))
            .unwrap_or(Timestamp::MIN)
            .into()
    }
}
