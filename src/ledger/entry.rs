//! One execution's account: what was last seen of it, and which of its events are settled.

use jiff::Timestamp;

use super::totals::Event;
use crate::execution::{Execution, Status, Step, seconds_between};

/// What is known of one execution.
#[derive(Debug)]
pub(super) struct Entry {
    /// Index of its workflow's account.
    pub workflow: usize,
    /// Index of its conversation's record.
    pub conversation: usize,
    pub status: Status,
    pub started_at: Option<Timestamp>,
    pub last_event_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub step: Option<Step>,
    /// When the newest observation was asked for.
    pub as_of: Timestamp,
    /// No list shows it: its list was read to the end without it, or it was not observed yet.
    pub vanished: bool,
    /// Its place in the list, for what outlives the entry.
    pub position: Option<Timestamp>,
    settled: Settled,
}

/// Events that were decided on: counted, or found to be history. Each is decided once.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts")]
struct Settled {
    start: bool,
    finish: bool,
    /// The present stay in handoff.
    handoff: bool,
    /// The first handoff.
    first_handoff: bool,
}

/// How to tell news from history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge {
    /// When watching began, in Kapso's clock.
    pub watch_start: Timestamp,
    /// Whether an execution that was not known must be new: its list was known to the end.
    pub list_was_known: bool,
}

impl Judge {
    /// An event counts if it is not older than the watch. Without a timestamp, it counts if it was witnessed:
    /// seen to happen between two observations.
    fn is_news(self, at: Option<Timestamp>, witnessed: bool) -> bool {
        at.map_or(witnessed, |at| at >= self.watch_start)
    }
}

impl Entry {
    /// The account of an execution that was not known; nothing of it is settled yet.
    pub fn unseen(workflow: usize, conversation: usize, as_of: Timestamp) -> Self {
        Self {
            workflow,
            conversation,
            status: Status::Unknown,
            started_at: None,
            last_event_at: None,
            ended_at: None,
            step: None,
            as_of,
            vanished: true,
            position: None,
            settled: Settled::default(),
        }
    }

    /// Whether it is open now, as far as is known.
    pub fn is_open(&self) -> bool {
        self.status.is_open() && !self.vanished
    }

    /// Takes an observation in and returns the events that it tells for the first time and that count.
    pub fn observe(&mut self, seen: &Execution, as_of: Timestamp, judge: Judge) -> Vec<Event> {
        let was_known = self.settled.start;
        let witnessed = was_known || judge.list_was_known;
        self.status = seen.status;
        self.started_at = seen.started_at.or(self.started_at);
        self.last_event_at = seen.last_event_at.or(self.last_event_at);
        self.ended_at = seen.ended_at;
        self.step.clone_from(&seen.step);
        self.position = seen.position().or(self.position);
        self.as_of = as_of;
        self.vanished = false;
        let events =
            [self.start(judge), self.handoff(seen, judge, witnessed), self.finish(seen, judge, witnessed)];
        events.into_iter().flatten().collect()
    }

    fn start(&mut self, judge: Judge) -> Option<Event> {
        let first = !std::mem::replace(&mut self.settled.start, true);
        (first && judge.is_news(self.started_at, judge.list_was_known)).then_some(Event::Started)
    }

    fn handoff(&mut self, seen: &Execution, judge: Judge, witnessed: bool) -> Option<Event> {
        let was_in_handoff = std::mem::replace(&mut self.settled.handoff, seen.handoff.is_some());
        let handoff = seen.handoff.filter(|_| !was_in_handoff)?;
        let first = !std::mem::replace(&mut self.settled.first_handoff, true);
        judge.is_news(handoff.at, witnessed).then(|| Event::HandedOff {
            source: handoff.source,
            reason: handoff.reason,
            at: handoff.at,
            since_start: self
                .started_at
                .zip(handoff.at)
                .filter(|_| first)
                .map(|(start, at)| seconds_between(start, at)),
        })
    }

    fn finish(&mut self, seen: &Execution, judge: Judge, witnessed: bool) -> Option<Event> {
        if seen.status.is_open() || std::mem::replace(&mut self.settled.finish, true) {
            return None;
        }
        judge.is_news(seen.ended_at, witnessed).then(|| Event::Finished {
            status: seen.status,
            at: seen.ended_at,
            duration: self.started_at.zip(seen.ended_at).map(|(start, end)| seconds_between(start, end)),
        })
    }
}
