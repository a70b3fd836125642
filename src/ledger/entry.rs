//! One execution's account: what was last seen of it, and which of its events are settled.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{moment::Moment, totals::Event};
use crate::execution::{Execution, ExecutionId, Status, Step, seconds_between};

/// What is known of one execution.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub id: ExecutionId,
    /// When it started, `last_event_at`.
    pub started_at: Option<Moment>,
    pub last_event_at: Option<Moment>,
    /// When it finished, or was first seen finished if the API does not say; when it was found to be no more.
    pub over: Option<Moment>,
    /// The number of the newest request that showed it.
    #[serde(skip)]
    pub asked: u64,
    /// Where it stands, while it is open.
    pub step: Option<Box<Step>>,
    /// Index of its conversation's record, where it is known to belong to one.
    pub conversation: Option<u32>,
    /// Index of its workflow's account.
    pub workflow: u32,
    pub status: Status,
    /// No list shows it: where it belongs was read to the end without it, or it was not observed yet.
    pub vanished: bool,
    settled: Settled,
}

/// Events that were decided on: counted, or found to be history. Each is decided once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn unseen(id: ExecutionId, workflow: u32) -> Self {
        Self {
            id,
            workflow,
            conversation: None,
            status: Status::Unknown,
            started_at: None,
            last_event_at: None,
            over: None,
            step: None,
            asked: 0,
            vanished: true,
            settled: Settled::default(),
        }
    }

    /// Whether it is open now, as far as is known.
    pub fn is_open(&self) -> bool {
        self.status.is_open() && !self.vanished
    }

    /// Its place in lists, which are ordered by start, newest first.
    pub fn position(&self) -> Option<Moment> {
        self.started_at.or(self.last_event_at)
    }

    /// Takes note that no list shows it any more.
    pub fn vanish(&mut self, at: Timestamp) {
        self.vanished = true;
        self.over.get_or_insert(at.into());
    }

    /// What of it can change and is worth keeping.
    pub fn facts(&self) -> impl PartialEq + use<> {
        let times = (self.started_at, self.last_event_at, self.over);
        (self.status, self.vanished, self.settled, times, self.workflow, self.conversation, self.step.clone())
    }

    /// Takes an observation in and returns the events that it tells for the first time and that count.
    pub fn observe(&mut self, seen: &Execution, asked: u64, as_of: Timestamp, judge: Judge) -> Vec<Event> {
        let was_known = self.settled.start;
        let witnessed = was_known || judge.list_was_known;
        let was_over = self.over.filter(|_| self.status.is_finished() && !self.vanished);
        self.status = seen.status;
        self.started_at = seen.started_at.map(Into::into).or(self.started_at);
        self.last_event_at = seen.last_event_at.map(Into::into).or(self.last_event_at);
        let over = seen.ended_at.map(Into::into).or(was_over).unwrap_or_else(|| as_of.into());
        self.over = seen.status.is_finished().then_some(over);
        self.step = seen.step.clone().filter(|_| seen.status.is_open()).map(Box::new);
        self.asked = asked;
        self.vanished = false;
        let events =
            [self.start(judge), self.handoff(seen, judge, witnessed), self.finish(seen, judge, witnessed)];
        events.into_iter().flatten().collect()
    }

    fn start(&mut self, judge: Judge) -> Option<Event> {
        let first = !std::mem::replace(&mut self.settled.start, true);
        let at = self.started_at.map(Into::into);
        (first && judge.is_news(at, judge.list_was_known)).then_some(Event::Started)
    }

    fn handoff(&mut self, seen: &Execution, judge: Judge, witnessed: bool) -> Option<Event> {
        let was_in_handoff = std::mem::replace(&mut self.settled.handoff, seen.handoff.is_some());
        let handoff = seen.handoff.filter(|_| !was_in_handoff)?;
        let first = !std::mem::replace(&mut self.settled.first_handoff, true);
        judge.is_news(handoff.at, witnessed).then(|| Event::HandedOff {
            source: handoff.source,
            reason: handoff.reason,
            at: handoff.at,
            since_start: self.seconds_since_start(handoff.at).filter(|_| first),
        })
    }

    fn finish(&mut self, seen: &Execution, judge: Judge, witnessed: bool) -> Option<Event> {
        if seen.status.is_open() || std::mem::replace(&mut self.settled.finish, true) {
            return None;
        }
        judge.is_news(seen.ended_at, witnessed).then(|| Event::Finished {
            status: seen.status,
            at: seen.ended_at,
            duration: self.seconds_since_start(seen.ended_at),
        })
    }

    fn seconds_since_start(&self, at: Option<Timestamp>) -> Option<f64> {
        Some(seconds_between(self.started_at?.into(), at?))
    }
}
