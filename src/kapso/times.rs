//! Times that cannot be: before there was anything to tell of, in the future, or an end before its start. Taken
//! out of an item between the wire and whoever counts, since one such time spoils a sum for good.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Conversation, Execution, ListedWorkflow};

/// The beginning of 2015: nothing of Kapso's is older.
const EARLIEST: Timestamp = Timestamp::constant(1_420_070_400, 0);
/// By how much an end may be before its start: they may come from different machines.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// Which times can be, when an answer came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dates {
    /// When it came, in Kapso's clock.
    pub now: Timestamp,
    /// No time can be later.
    pub latest: Timestamp,
}

impl Dates {
    pub fn possible(&self, time: Option<Timestamp>) -> Option<Timestamp> {
        time.filter(|time| (EARLIEST..=self.latest).contains(time))
    }
}

/// An item with times.
pub(super) trait Dated {
    /// Takes out what cannot be. Returns whether there was such a time.
    fn mend(&mut self, dates: &Dates) -> bool;
}

impl Dated for Execution {
    fn mend(&mut self, dates: &Dates) -> bool {
        let times = |item: &Self| {
            (item.started_at, item.last_event_at, item.ended_at, item.handoff.as_ref().map(|h| h.at))
        };
        let given = times(self);
        self.started_at = dates.possible(self.started_at);
        self.last_event_at = dates.possible(self.last_event_at);
        let (start, event) = (self.started_at, self.last_event_at);
        let after_start = |end: &Timestamp| start.is_none_or(|start| start.duration_since(*end) <= TOLERANCE);
        let instead = event.filter(after_start).filter(|_| self.status.is_finished());
        let ended = |_| dates.possible(self.ended_at).filter(after_start).or(instead);
        self.ended_at = self.ended_at.and_then(ended);
        if let Some(handoff) = &mut self.handoff {
            handoff.at = dates.possible(handoff.at).or(event);
        }
        times(self) != given
    }
}

impl Dated for Conversation {
    fn mend(&mut self, dates: &Dates) -> bool {
        let given = self.last_active_at;
        self.last_active_at = dates.possible(given);
        self.last_active_at != given
    }
}

impl Dated for ListedWorkflow {
    fn mend(&mut self, dates: &Dates) -> bool {
        let given = self.last_executed_at;
        self.last_executed_at = dates.possible(given);
        self.last_executed_at != given
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Handoff, HandoffReason, HandoffSource, Status};

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn dates() -> Dates {
        Dates { now: at("2026-11-22T10:00:00Z"), latest: at("2026-11-22T10:05:00Z") }
    }

    fn execution(status: Status, started: &str, event: &str, ended: Option<&str>) -> Execution {
        let handoff =
            Handoff { at: Some(at(event)), source: HandoffSource::Unknown, reason: HandoffReason::None };
        Execution {
            id: "e".into(),
            workflow: None,
            conversation: None,
            status,
            started_at: Some(at(started)),
            last_event_at: Some(at(event)),
            ended_at: ended.map(at),
            handoff: (status == Status::Handoff).then_some(handoff),
            step: None,
        }
    }

    const START: &str = "2026-11-22T09:00:00Z";
    const EVENT: &str = "2026-11-22T09:30:00Z";

    #[test]
    fn an_end_that_cannot_be_becomes_the_last_event() {
        for impossible in [
            "9999-12-30T22:00:00Z",
            "2200-01-01T00:00:00Z",
            "2026-11-22T10:05:01Z",
            "2014-12-31T23:59:59Z",
            "1970-01-01T00:00:00Z",
            "2026-11-22T08:59:58.9Z",
        ] {
            let mut item = execution(Status::Ended, START, EVENT, Some(impossible));
            assert!(item.mend(&dates()), "{impossible}");
            assert_eq!(item.ended_at, Some(at(EVENT)), "{impossible}");
            assert!(!item.mend(&dates()), "once");
        }
    }

    #[test]
    fn where_no_event_can_be_the_end_there_is_none() {
        let mut item = execution(Status::Failed, START, "2026-11-22T08:00:00Z", Some("1970-01-01T00:00:00Z"));
        assert!(item.mend(&dates()));
        assert_eq!((item.ended_at, item.last_event_at), (None, Some(at("2026-11-22T08:00:00Z"))));
        let mut item = execution(Status::Unknown, START, EVENT, Some("2200-01-01T00:00:00Z"));
        assert!(item.mend(&dates()));
        assert_eq!(item.ended_at, None, "of an unknown status, an event is no end");
    }

    #[test]
    fn a_start_or_an_event_that_cannot_be_is_none() {
        let mut item = execution(Status::Handoff, "1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z", None);
        assert!(item.mend(&dates()));
        assert_eq!((item.started_at, item.last_event_at, item.handoff.unwrap().at), (None, None, None));
    }

    #[test]
    fn what_can_be_is_left_alone() {
        for (started, event, ended) in [
            (START, EVENT, Some(EVENT)),
            (START, EVENT, Some("2026-11-22T08:59:59Z")),
            ("2015-01-01T00:00:00Z", "2026-11-22T10:05:00Z", Some("2026-11-22T10:05:00Z")),
            (START, EVENT, None),
        ] {
            let item = execution(Status::Ended, started, event, ended);
            let mut mended = item.clone();
            assert!(!mended.mend(&dates()), "{started} {event} {ended:?}");
            assert_eq!(mended, item);
        }
    }
}
