//! One execution and everything that ever happened to it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Api, life::Step, world::Row};

/// One entry of an execution's history: from `at` on it was in `status`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub at: Timestamp,
    /// The status on the wire of its API.
    pub status: Cow<'static, str>,
    /// Whether it ends the execution, so that `ended_at` is set.
    pub ends: bool,
}

/// A platform workflow execution, or a legacy agent execution with its association.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    pub id: String,
    pub api: Api,
    pub workflow: Row,
    pub conversation: Option<Row>,
    pub started_at: Timestamp,
    pub last_event_at: Timestamp,
    /// Never empty; the first entry is the start.
    pub history: Vec<Transition>,
    /// When something happened to it, in no order.
    pub events: Vec<Timestamp>,
    /// What the traffic still has in mind for it, the next step last.
    pub plan: Vec<Step>,
}

impl Execution {
    /// The status on the wire of its API.
    pub fn status(&self) -> &str {
        self.history.last().map_or("", |last| &last.status)
    }

    /// When it ended, if it has.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.history.last().filter(|last| last.ends).map(|last| last.at)
    }

    /// Moves it into `status` at `at`; a status that it is in already is no transition but an event.
    pub fn enter(&mut self, status: Cow<'static, str>, at: Timestamp) {
        self.touch(at);
        if self.status() != status {
            let ends = matches!(&*status, "ended" | "failed");
            self.history.push(Transition { at, status, ends });
        }
    }

    /// Ends it at `at` in any status.
    pub fn end_as(&mut self, status: Cow<'static, str>, at: Timestamp) {
        self.touch(at);
        self.history.push(Transition { at, status, ends: true });
    }

    /// Ends it at `at` in the status it is in, as the legacy API ends handoffs.
    pub fn end_as_it_is(&mut self, at: Timestamp) {
        match self.ended_at() {
            None => self.end_as(Cow::Owned(self.status().to_owned()), at),
            Some(_) => self.touch(at),
        }
    }

    /// An event at `at` that leaves the status alone.
    pub fn touch(&mut self, at: Timestamp) {
        self.events.push(at);
        self.last_event_at = self.last_event_at.max(at);
    }

    /// How it was at `at`, which is not before its start.
    pub fn as_of(&self, at: Timestamp) -> Self {
        let before = self.history.iter().take_while(|entry| entry.at <= at);
        let events = self.events.iter().copied().filter(|event| *event <= at);
        Self {
            id: self.id.clone(),
            last_event_at: events.fold(self.started_at, Timestamp::max),
            history: before.cloned().collect(),
            events: Vec::new(),
            plan: Vec::new(),
            ..*self
        }
    }

    /// When it went into handoff, each time.
    pub fn handoffs(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let before = std::iter::once("").chain(self.history.iter().map(|entry| &*entry.status));
        let entries = self.history.iter().zip(before);
        entries
            .filter(|(entry, before)| entry.status == "handoff" && *before != "handoff")
            .map(|(entry, _)| entry.at)
    }

    /// The first transition since then that ended it in a status that is known: later ones, after a revival, are no
    /// second outcome.
    pub fn finish(&self, since: Timestamp) -> Option<&Transition> {
        let mut known = self.history.iter().filter(|entry| entry.ends && entry.at >= since);
        known.find(|entry| common_status(self.api, &entry.status, true) != "unknown")
    }
}

/// The exporter's common status for `status` of `api`, where `ended` says whether there is an end time.
pub fn common_status(api: Api, status: &str, ended: bool) -> &'static str {
    match (api, status) {
        (_, "running") | (Api::Legacy, "started") => "running",
        (_, "waiting") | (Api::Legacy, "paused") => "waiting",
        (Api::Legacy, "handoff") if ended => "ended",
        (_, "handoff") => "handoff",
        (_, "ended") => "ended",
        (_, "failed") => "failed",
        _ => "unknown",
    }
}
