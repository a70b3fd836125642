//! What was last seen of one execution, and which of its events are decided.
//!
//! **Which answers are believed.** Answers may come from a replica that lags behind, so an answer is compared with
//! what is known before it changes anything. It is *stale* if it is older than what is known:
//!
//! | `last_event_at` of the answer | status of the answer | the answer is |
//! |---|---|---|
//! | later than the known one | any | new: any transition is possible, also back from `ended` or `failed` |
//! | the same (to the second, where it has no fraction), or unknown on either side | the same, or further on | new |
//! | the same, or unknown on either side | further back | stale |
//! | earlier than the known one | any | stale |
//!
//! Statuses are ordered `running`, `waiting`, `handoff`, `unknown`, finished. A stale answer changes nothing. If
//! [`BELIEVED_AFTER`] answers in a row are stale, they are the truth and what is known is not: the next one is
//! believed. A handoff counts again only if its time is later than that of the last one, so that no lag and no
//! return counts one twice.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{micros::Micros, totals::Event};
use crate::model::{Execution, ExecutionId, Status, Step, ToldOutcome, seconds_between};

/// So many stale answers in a row are believed.
pub(super) const BELIEVED_AFTER: u8 = 4;

/// What is known of one execution.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub id: ExecutionId,
    /// When it started, `last_event_at`.
    pub started_at: Option<Micros>,
    pub last_event_at: Option<Micros>,
    /// When it finished, or was first seen finished if the API does not say; when it was found to be deleted.
    pub over: Option<Micros>,
    /// When the last handoff was.
    pub handed_off_at: Option<Micros>,
    /// The number of the newest request that showed it.
    #[serde(skip)]
    pub request_seq: u64,
    /// Where it stands, while it is open.
    pub step: Option<Box<Step>>,
    /// The number of its conversation, where it is known to belong to one.
    pub conversation: Option<u32>,
    /// The number of its workflow.
    pub workflow: u32,
    pub status: Status,
    /// It was deleted, or was not observed yet.
    pub deleted: bool,
    /// The list of its conversation shows it: the last time that it was read whole, or by itself before that.
    pub in_conversation_list: bool,
    /// Stale answers since the last one that was believed.
    #[serde(skip)]
    pub stale: u8,
    pub decided: Decided,
}

/// Events that were decided on: counted, or found to be history. Each is decided once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts")]
pub(crate) struct Decided {
    pub start: bool,
    /// The first end since the watch began.
    pub finish: bool,
    /// The present stay in handoff.
    pub handoff: bool,
    /// The first handoff.
    pub first_handoff: bool,
}

impl Decided {
    /// Those of an execution that finished, was counted and forgotten, and then went on.
    pub const RESUMED: Self = Self { start: true, finish: true, handoff: false, first_handoff: true };
}

/// How to tell news from history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountingRule {
    /// When watching began, in Kapso's clock.
    pub watch_start: Timestamp,
    /// Whether an execution that was not known must be new: its list was known to the end.
    pub list_was_known: bool,
}

impl CountingRule {
    /// An event counts if it is not older than the watch. Without a timestamp, it counts if it was witnessed:
    /// seen to happen between two observations.
    fn is_countable(self, at: Option<Timestamp>, witnessed: bool) -> bool {
        at.map_or(witnessed, |at| at >= self.watch_start)
    }
}

impl Entry {
    /// The entry of an execution that was not known; nothing of it is decided yet.
    pub fn unseen(id: ExecutionId, workflow: u32) -> Self {
        Self {
            id,
            workflow,
            conversation: None,
            status: Status::Unknown,
            started_at: None,
            last_event_at: None,
            over: None,
            handed_off_at: None,
            step: None,
            request_seq: 0,
            deleted: true,
            in_conversation_list: false,
            stale: 0,
            decided: Decided::default(),
        }
    }

    /// Whether it is open now, as far as is known. An unknown status with an end is over.
    pub fn is_open(&self) -> bool {
        self.status.is_open() && !self.deleted && self.over.is_none()
    }

    /// Whether it was deleted before it was over. It is kept: should it come back, its end is still to be counted.
    pub fn is_deleted_while_open(&self) -> bool {
        self.deleted && self.status.is_open()
    }

    /// Its place in lists, which are ordered by start, newest first.
    pub fn position(&self) -> Option<Micros> {
        self.started_at.or(self.last_event_at)
    }

    /// Takes note that it was deleted.
    pub fn delete(&mut self, at: Timestamp) {
        self.deleted = true;
        self.over.get_or_insert(at.into());
    }

    /// What of it can change and is worth keeping.
    pub fn facts(&self) -> impl PartialEq + use<> {
        let times = (self.started_at, self.last_event_at, self.over, self.handed_off_at);
        let place = (self.workflow, self.conversation, self.in_conversation_list, self.step.clone());
        (self.status, self.deleted, self.decided, times, place)
    }

    /// Takes an answer in and returns the events that it tells for the first time and that count; `None` if the
    /// answer is stale.
    pub fn observe(
        &mut self,
        seen: &Execution,
        request_seq: u64,
        as_of: Timestamp,
        rule: CountingRule,
    ) -> Option<Vec<Event>> {
        let was_deleted = std::mem::replace(&mut self.deleted, false);
        self.request_seq = request_seq;
        if self.is_stale(seen) && self.stale < BELIEVED_AFTER {
            self.stale += 1;
            if was_deleted && self.status.is_open() {
                self.over = None;
            }
            return None;
        }
        self.stale = 0;
        let was_known = self.decided.start;
        let witnessed = was_known || rule.list_was_known;
        let was_over = self.over.filter(|_| self.status.is_finished() && !was_deleted);
        self.status = seen.status;
        self.started_at = seen.started_at.map(Into::into).or(self.started_at);
        self.last_event_at = seen.last_event_at.map(Into::into).or(self.last_event_at);
        self.over = match seen.status {
            Status::Ended | Status::Failed => {
                Some(seen.ended_at.map(Into::into).or(was_over).unwrap_or_else(|| as_of.into()))
            }
            // Present in an unknown status only: what has an end is over.
            _ => seen.ended_at.map(Into::into),
        };
        self.step = seen.step.clone().filter(|_| self.over.is_none()).map(Box::new);
        let events =
            [self.start(rule), self.handoff(seen, rule, witnessed), self.finish(seen, rule, witnessed)];
        Some(events.into_iter().flatten().collect())
    }

    /// Takes in an outcome that a delivery tells, and returns its event, unless that is history or was decided on. A
    /// failure is final; a handoff is where the execution stands if nothing newer is known of it.
    pub fn told(&mut self, at: Micros, outcome: &ToldOutcome, is_history: bool) -> Option<Event> {
        let is_newest = self.last_event_at <= Some(at);
        match outcome {
            ToldOutcome::Failed => {
                if !self.status.is_finished() {
                    (self.status, self.over, self.step) = (Status::Failed, Some(at), None);
                    self.last_event_at = self.last_event_at.max(Some(at));
                }
                if is_history || std::mem::replace(&mut self.decided.finish, true) {
                    return None;
                }
                let duration = self.seconds_since_start(Some(at.into()));
                Some(Event::Finished { status: Status::Failed, at: Some(at.into()), duration })
            }
            ToldOutcome::HandedOff { source, reason } => {
                if is_newest && !self.status.is_finished() {
                    (self.status, self.over, self.last_event_at) = (Status::Handoff, None, Some(at));
                    self.decided.handoff = true;
                }
                let first = !std::mem::replace(&mut self.decided.first_handoff, true);
                let since_start = self.seconds_since_start(Some(at.into())).filter(|_| first);
                let event = Event::HandedOff {
                    source: *source,
                    reason: reason.clone(),
                    at: Some(at.into()),
                    since_start,
                };
                (!is_history).then_some(event)
            }
        }
    }

    /// Whether an answer is older than what is known; see the table above.
    fn is_stale(&self, seen: &Execution) -> bool {
        if self.position().is_none() {
            return false;
        }
        let (known, seen_at) = (self.last_event_at.map(Timestamp::from), seen.last_event_at);
        let is_further_back = rank(seen.status) < rank(self.status);
        match (known, seen_at) {
            (Some(known), Some(seen)) if seen > known => false,
            (Some(known), Some(seen)) if seen < known => {
                let same_second = seen.subsec_nanosecond() == 0 && seen.as_second() == known.as_second();
                !same_second || is_further_back
            }
            _ => is_further_back,
        }
    }

    fn start(&mut self, rule: CountingRule) -> Option<Event> {
        let first = !std::mem::replace(&mut self.decided.start, true);
        let at = self.started_at.map(Into::into);
        (first && rule.is_countable(at, rule.list_was_known)).then_some(Event::Started)
    }

    fn handoff(&mut self, seen: &Execution, rule: CountingRule, witnessed: bool) -> Option<Event> {
        let was_in_handoff = std::mem::replace(&mut self.decided.handoff, seen.handoff.is_some());
        let handoff = seen.handoff.as_ref()?;
        let at = handoff.at.map(Micros::from);
        let is_the_last_one = at.is_some() && at <= self.handed_off_at;
        self.handed_off_at = self.handed_off_at.max(at);
        if was_in_handoff || is_the_last_one {
            return None;
        }
        let first = !std::mem::replace(&mut self.decided.first_handoff, true);
        rule.is_countable(handoff.at, witnessed).then(|| Event::HandedOff {
            source: handoff.source,
            reason: handoff.reason.clone(),
            at: handoff.at,
            since_start: self.seconds_since_start(handoff.at).filter(|_| first),
        })
    }

    fn finish(&mut self, seen: &Execution, rule: CountingRule, witnessed: bool) -> Option<Event> {
        // An end of before the watch leaves the finish undecided: if it goes on, its next end is the first that counts.
        let is_history = seen.ended_at.is_some_and(|at| at < rule.watch_start);
        if seen.status.is_open() || is_history || std::mem::replace(&mut self.decided.finish, true) {
            return None;
        }
        rule.is_countable(seen.ended_at, witnessed).then(|| Event::Finished {
            status: seen.status,
            at: seen.ended_at,
            duration: self.seconds_since_start(seen.ended_at),
        })
    }

    fn seconds_since_start(&self, at: Option<Timestamp>) -> Option<f64> {
        Some(seconds_between(self.started_at?.into(), at?))
    }
}

/// How far on in a life a status is.
const fn rank(status: Status) -> u8 {
    match status {
        Status::Running => 0,
        Status::Waiting => 1,
        Status::Handoff => 2,
        Status::Unknown => 3,
        Status::Ended | Status::Failed => 4,
    }
}
