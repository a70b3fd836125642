//! The one way into the ledger: an execution as it was seen, whoever shows it.

use jiff::Timestamp;

use super::{
    Event, Ledger, Place, Watch,
    entry::{Decided, Entry},
    found::Before,
    index,
    micros::Micros,
    table::Slot,
};
use crate::{
    clock::Steady,
    model::{Execution, Page},
};

/// One execution, as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// What it was.
    pub execution: &'a Execution,
    /// How it came here.
    pub origin: Origin,
    /// The number of the request that it answers.
    pub request_seq: u64,
    /// When that was sent.
    pub requested_at: Steady,
    /// The same moment in Kapso's clock.
    pub as_of: Timestamp,
}

/// How an observation came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A list shows it.
    Listed {
        /// Which one.
        list: List,
        /// That list was read to the end before: what it shows for the first time is new.
        was_read: bool,
    },
    /// It was asked for by itself.
    Fetched,
}

/// A list of executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Of the conversation with this number.
    Conversation(u32),
    /// Of a workflow.
    Workflow,
}

/// What came of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The execution was known before, or is counted and forgotten.
    pub was_known: bool,
    /// Its workflow may be one that is watched: nothing was taken in, and it is to be shown again.
    pub is_undecided: bool,
    /// The conversation that the ledger knows since then, if it did not before.
    pub conversation: Option<Place>,
}

impl Applied {
    /// There was nothing to take in.
    const NOTHING: Self = Self { was_known: true, is_undecided: false, conversation: None };
}

/// What was read of the lists, as far as the ledger goes by it.
pub trait Coverage {
    /// Whether a workflow's list was read at the place of what started then.
    fn was_read(&self, workflow: usize, at: Micros) -> bool;
    /// Whether it was read beyond there, so that it vouches for what it has shown, and no later reading of what started
    /// since `history_since` shows that again.
    fn workflow_vouches(&self, workflow: usize, position: Micros, history_since: Timestamp) -> bool;
    /// Whether a conversation's list was read beyond there, and since an execution was over.
    fn conversation_vouches(&self, conversation: u32, position: Micros, over: Option<Micros>) -> bool;
}

impl<'a> Observation<'a> {
    /// The executions of a page.
    pub fn all(page: &'a Page<Execution>, origin: Origin) -> impl Iterator<Item = Self> {
        let Page { request_seq, requested_at, as_of, .. } = *page;
        page.items.iter().map(move |execution| Self { execution, origin, request_seq, requested_at, as_of })
    }

    /// The conversation whose list shows it.
    fn in_list_of(&self) -> Option<u32> {
        match self.origin {
            Origin::Listed { list: List::Conversation(number), .. } => Some(number),
            _ => None,
        }
    }
}

/// Where an execution that is seen belongs.
#[derive(Debug, Clone, Copy)]
struct Belongs {
    workflow: u32,
    conversation: Option<u32>,
    /// Up to where its conversation's executions are counted and forgotten.
    forgotten_up_to: Option<Micros>,
}

/// Where an open execution is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    workflow: u32,
    conversation: Option<u32>,
}

impl Counted {
    pub fn of(entry: &Entry) -> Option<Self> {
        let Entry { workflow, conversation, .. } = *entry;
        entry.is_open().then_some(Self { workflow, conversation })
    }
}

impl Ledger {
    /// Takes in one execution, at `now` in Kapso's clock, and counts what it tells for the first time.
    pub fn apply(&mut self, seen: Observation<'_>, coverage: &impl Coverage, now: Timestamp) -> Applied {
        let execution = seen.execution;
        let known = self.executions.find(&execution.id);
        let workflow = match (&execution.workflow, known.and_then(|slot| self.executions.get(slot))) {
            (None, Some(entry)) => entry.workflow,
            (workflow, _) => index(self.workflow(workflow.as_ref())),
        };
        match self.workflows[workflow as usize].watch {
            Watch::Watched => {}
            Watch::Undecided => return Applied { is_undecided: true, ..Applied::NOTHING },
            Watch::Excluded | Watch::LetIn(_) => {
                self.drop_what_waits(&execution.id);
                return Applied::NOTHING;
            }
        }
        let newest = &self.workflows[workflow as usize].last_event_at;
        if *newest < execution.last_event_at {
            self.workflows[workflow as usize].last_event_at = execution.last_event_at;
        }
        let named = execution.conversation.as_ref();
        let conversation = seen.in_list_of().or_else(|| self.conversations.find(named?));
        let archived = named.filter(|_| conversation.is_none()).and_then(|id| self.archived(id));
        let forgotten_up_to = match conversation {
            Some(number) => self.conversations[number].forgotten_up_to,
            None => archived.and_then(|slot| self.archive[slot].forgotten_up_to),
        };
        let mut belongs = Belongs { workflow, conversation, forgotten_up_to };
        if known.is_none() && self.is_over_and_done(seen, belongs, coverage, now) {
            let newest = execution.last_event_at.max(execution.ended_at).map(Micros::from);
            self.drop_what_waits_until(&execution.id, newest);
            return Applied::NOTHING;
        }
        let slot = known.unwrap_or_else(|| {
            let decided = self.decided_before(execution, belongs, coverage);
            self.executions.insert(Entry { decided, ..Entry::unseen(execution.id.clone(), workflow) })
        });
        let place = named.filter(|_| conversation.is_none()).map(|id| self.unarchive(id, archived));
        belongs.conversation = conversation.or(place.map(|place| place.number));
        self.note(slot, seen, belongs, now);
        self.take_what_waited(slot, now);
        Applied { was_known: known.is_some(), is_undecided: false, conversation: place }
    }

    /// Whether nothing of an execution that is not remembered is to be counted or shown: it was counted and
    /// forgotten, or it is history that is over for as long.
    fn is_over_and_done(
        &self,
        seen: Observation<'_>,
        belongs: Belongs,
        coverage: &impl Coverage,
        now: Timestamp,
    ) -> bool {
        let execution = seen.execution;
        let Some(position) = execution.position().filter(|_| execution.status.is_finished()) else {
            return false;
        };
        let over = execution.ended_at.map(Micros::from);
        let was_forgotten = self.is_forgotten_at(position.into(), belongs, coverage)
            && self.watermarks.horizon.is_some_and(|horizon| over.is_none_or(|over| over < horizon));
        let handed_off = execution.handoff.as_ref().and_then(|handoff| handoff.at);
        let newest = execution.ended_at.max(handed_off).max(Some(position));
        let is_old = over.is_some_and(|over| over < self.horizon_at(now));
        was_forgotten || (is_old && newest < Some(self.rule(seen, belongs.workflow).watch_start))
    }

    fn note(&mut self, slot: Slot, seen: Observation<'_>, belongs: Belongs, now: Timestamp) {
        if self.executions.get(slot).is_none_or(|entry| seen.request_seq < entry.request_seq) {
            return;
        }
        let (execution, workflow) = (seen.execution, belongs.workflow);
        let in_list = seen.in_list_of().is_some();
        let rule = self.rule(seen, workflow);
        let changed = self.executions.change(slot, |entry| {
            let (was, had) = (Counted::of(entry), entry.conversation);
            let before = Before::of(entry);
            entry.workflow = workflow;
            entry.conversation = had.or(belongs.conversation);
            entry.in_conversation_list |= in_list;
            let events = entry.observe(execution, seen.request_seq, seen.as_of, rule);
            let joined = entry.conversation.filter(|_| had.is_none());
            let left_handoff = before.in_handoff && !entry.decided.handoff;
            (was, Counted::of(entry), joined, entry.conversation, events, before, left_handoff)
        });
        let Some((was, is, joined, conversation, events, before, left_handoff)) = changed else { return };
        self.note_answer(slot, seen, left_handoff);
        if in_list {
            self.end_doubt(slot);
        } else {
            self.end_doubt_elsewhere(slot);
        }
        if let Some(conversation) = joined.and_then(|joined| self.conversations.untracked(joined)) {
            conversation.executions.push(slot);
        }
        self.recount(slot, was, is);
        self.note_look(slot, seen.requested_at);
        let Some(events) = events else {
            self.stale_answers += 1;
            return;
        };
        let event_at = execution.last_event_at.map(Micros::from);
        if let Some(number) = conversation
            && self.conversations[number].last_event_at < event_at
        {
            self.conversations[number].last_event_at = event_at;
        }
        for event in &self.less_told(slot, events, before, now) {
            let workflow = &mut self.workflows[workflow as usize];
            workflow.count(&execution.id, event, now);
            if matches!(event, Event::Started) {
                workflow.note_start(execution.started_at);
            }
        }
    }

    /// What of an execution that is not remembered is decided already. An open one that started before its list was
    /// known up to the present, and was forgotten, must have been over: it was resumed.
    fn decided_before(&self, seen: &Execution, belongs: Belongs, coverage: &impl Coverage) -> Decided {
        let Some(position) = seen.position().map(Micros::from) else { return Decided::default() };
        let was_forgotten = self.is_forgotten_at(position, belongs, coverage);
        if was_forgotten && seen.status.is_open() { Decided::RESUMED } else { Decided::default() }
    }

    /// Whether an execution at this place of its lists is counted and forgotten, unless it is remembered or open.
    fn is_forgotten_at(&self, position: Micros, belongs: Belongs, coverage: &impl Coverage) -> bool {
        let workflow = &self.workflows[belongs.workflow as usize];
        if workflow.was_let_in_after(position) {
            return false;
        }
        let by_workflow = Some(position) <= workflow.forgotten_up_to
            && coverage.was_read(belongs.workflow as usize, position);
        Some(position) <= belongs.forgotten_up_to
            || by_workflow
            || Some(position) <= workflow.counted_elsewhere
    }

    /// The executions of which this is true.
    pub(crate) fn executions_where(&self, is_meant: impl Fn(&Entry) -> bool) -> Vec<Slot> {
        self.executions.iter().filter(|(_, entry)| is_meant(entry)).map(|(slot, _)| slot).collect()
    }

    /// Takes note that these are deleted.
    pub(crate) fn delete(&mut self, slots: &[Slot], at: Timestamp) {
        for &slot in slots {
            let delete = |entry: &mut Entry| {
                let was = Counted::of(entry);
                entry.delete(at);
                was
            };
            let was = self.executions.change(slot, delete).flatten();
            self.recount(slot, was, None);
            self.end_doubt(slot);
        }
    }

    pub(super) fn recount(&mut self, slot: Slot, was: Option<Counted>, is: Option<Counted>) {
        if was == is {
            return;
        }
        match is {
            Some(_) => _ = self.open.entry(slot).or_default(),
            None => _ = self.open.remove(&slot),
        }
        for (counted, more) in [(was, false), (is, true)] {
            let Some(Counted { workflow, conversation }) = counted else { continue };
            let of_workflow = &mut self.workflows.untracked(workflow).open;
            let of_conversation =
                conversation.and_then(|number| self.conversations.untracked(number)).map(|c| &mut c.open);
            let step = |open: usize| if more { open + 1 } else { open.saturating_sub(1) };
            *of_workflow = step(*of_workflow);
            if let Some(open) = of_conversation {
                *open = index(step(*open as usize));
            }
        }
    }
}
