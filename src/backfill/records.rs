//! The executions that were read, each once, in little memory.

use std::collections::HashMap;

use jiff::Timestamp;

use super::span::Span;
use crate::{
    ledger::{Event, Hash, Micros},
    model::{Status, seconds_between},
};

/// What is counted of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The number of its workflow.
    pub workflow: u32,
    /// When it started, where the API says so.
    pub started_at: Option<Micros>,
    /// When it finished, and how; `None` if it is open, or the API does not say when.
    pub finished: Option<(Micros, Finish)>,
}

/// How an execution finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the status")]
pub enum Finish {
    Ended,
    Failed,
}

impl Finish {
    /// The status of this name, if it is a final one.
    #[must_use]
    pub fn of(status: Status) -> Option<Self> {
        match status {
            Status::Ended => Some(Self::Ended),
            Status::Failed => Some(Self::Failed),
            _ => None,
        }
    }

    fn status(self) -> Status {
        match self {
            Self::Ended => Status::Ended,
            Self::Failed => Status::Failed,
        }
    }
}

impl Record {
    /// Whether something of it happened within this time.
    #[must_use]
    pub fn is_of(&self, span: Span) -> bool {
        self.events(span).next().is_some()
    }

    /// What happened within this time.
    pub fn events(self, span: Span) -> impl Iterator<Item = Happening> {
        let Self { started_at, finished, .. } = self;
        let start = started_at.map(|at| Happening { at, started_at, finish: None });
        let finish = finished.map(|(at, finish)| Happening { at, started_at, finish: Some(finish) });
        start.into_iter().chain(finish).filter(move |happening| span.contains(happening.at.into()))
    }
}

/// A start, or an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Micros,
    started_at: Option<Micros>,
    finish: Option<Finish>,
}

impl From<Happening> for Event {
    fn from(happening: Happening) -> Self {
        let at = Timestamp::from(happening.at);
        let Some(finish) = happening.finish else { return Self::Started };
        let duration = happening.started_at.map(|start| seconds_between(start.into(), at));
        Self::Finished { status: finish.status(), at: Some(at), duration }
    }
}

/// The executions of a project. Of each id a hash is kept: it is as good, and shorter.
#[derive(Debug, Default)]
pub struct Records(HashMap<Hash, Record>);

impl Records {
    /// Takes an execution in. One that was taken in before keeps its workflow and the first end that it was seen with:
    /// that is the one which the exporter counts.
    pub fn insert(&mut self, id: &str, record: Record) {
        let known = self.0.entry(Hash::of(id)).or_insert(record);
        if known.finished.is_none() {
            *known = Record { workflow: known.workflow, ..record };
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What happened within this time in each of so many workflows, in order.
    #[must_use]
    pub fn into_events(self, span: Span, workflows: usize) -> Vec<Vec<Happening>> {
        let mut events = vec![Vec::new(); workflows];
        for record in self.0.into_values() {
            if let Some(events) = events.get_mut(record.workflow as usize) {
                events.extend(record.events(span));
            }
        }
        for events in &mut events {
            events.sort_unstable_by_key(|happening| (happening.at, happening.started_at));
            events.shrink_to_fit();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Micros {
        Timestamp::from_second(seconds).unwrap().into()
    }

    fn span(since: i64, until: i64) -> Span {
        Span { since: at(since).into(), until: at(until).into() }
    }

    fn open(start: i64) -> Record {
        Record { workflow: 0, started_at: Some(at(start)), finished: None }
    }

    fn failed(start: i64, end: i64) -> Record {
        Record { finished: Some((at(end), Finish::Failed)), ..open(start) }
    }

    fn counted(records: Records, span: Span) -> Vec<(i64, Event)> {
        let events = records.into_events(span, 1).remove(0).into_iter();
        events.map(|event| (Timestamp::from(event.at).as_second(), event.into())).collect()
    }

    #[test]
    fn an_event_counts_by_its_own_time() {
        for (since, until, starts, ends) in
            [(10, 21, true, true), (11, 21, false, true), (10, 20, true, false), (11, 20, false, false)]
        {
            let mut records = Records::default();
            records.insert("e", failed(10, 20));
            let events = counted(records, span(since, until));
            let end =
                Event::Finished { status: Status::Failed, at: Some(at(20).into()), duration: Some(10.0) };
            let expected =
                [(10, Event::Started, starts), (20, end, ends)].into_iter().filter(|event| event.2);
            assert_eq!(events, expected.map(|(at, event, _)| (at, event)).collect::<Vec<_>>());
            assert_eq!(failed(10, 20).is_of(span(since, until)), starts || ends);
        }
    }

    #[test]
    fn an_execution_that_is_listed_again_counts_once_with_its_first_end() {
        let mut records = Records::default();
        for record in
            [open(10), failed(10, 20), open(10), failed(10, 30), Record { workflow: 1, ..failed(10, 20) }]
        {
            records.insert("e", record);
        }
        assert_eq!(records.len(), 1);
        let times: Vec<_> = counted(records, span(0, 100)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [10, 20]);
    }

    #[test]
    fn what_the_api_does_not_date_is_not_counted() {
        let mut records = Records::default();
        records.insert("e", Record { workflow: 0, started_at: None, finished: None });
        records.insert("f", Record { started_at: None, ..failed(0, 20) });
        let events = counted(records, span(0, 100));
        assert_eq!(
            events,
            [(20, Event::Finished { status: Status::Failed, at: Some(at(20).into()), duration: None })]
        );
    }
}
