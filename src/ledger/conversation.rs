//! What is known of one conversation: its own state, and how far its list of executions is known.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    doubt::Missing,
    micros::Micros,
    table::{Identified, Slot, Table},
    workflow::before_late_ones,
};
use crate::{
    clock::Steady,
    model::{Conversation, ConversationId, ConversationStatus, Page},
};

/// What is known of one conversation, until it is archived.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConversationState {
    /// Identity.
    pub id: ConversationId,
    /// Its own state.
    pub status: ConversationStatus,
    /// Its last activity, as the list of conversations tells it.
    pub last_active_at: Option<Micros>,
    /// When the newest list of conversations that showed it was asked for.
    pub discovered: Option<Steady>,
    /// When its activity moved, or was first known.
    pub moved: Option<Steady>,
    /// When the newest complete list of its executions was asked for.
    pub read_at: Option<Steady>,
    /// The same moment in Kapso's clock: what started until then is known, but what a list may show late.
    pub listed: Option<Micros>,
    /// When its list was last read to the end, and in how many pages.
    pub(super) read_whole: Option<(Steady, u32)>,
    /// Whether that list could be read to the last item.
    pub clean: bool,
    /// The API no longer has it.
    pub deleted: bool,
    /// The newest `last_event_at` of its executions.
    pub last_event_at: Option<Micros>,
    /// Its executions that started up to then are counted and forgotten, unless they are remembered.
    pub(super) forgotten_up_to: Option<Micros>,
    /// The newest start that its complete lists have shown.
    pub(super) newest_start: Option<Micros>,
    /// The last attempts to read its list.
    #[serde(skip)]
    pub attempts: Attempts,
    /// Its list answered 404.
    #[serde(skip)]
    pub(super) missing: Option<Missing>,
    /// How many of its executions are in doubt.
    #[serde(skip)]
    pub(super) doubtful: u32,
    /// How many of them are open.
    #[serde(skip)]
    pub(super) open: u32,
    /// Its executions that are remembered.
    #[serde(skip)]
    pub(super) executions: Vec<Slot>,
}

/// Attempts to read a list that failed, since one succeeded. A list that keeps failing is asked less often, and
/// holds up no other one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// When the last attempt ended.
    pub last: Option<Steady>,
    /// Failures in a row, while other lists could be read.
    pub failures: u8,
}

/// Whether others were well when a list failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Others were well: the list itself fails.
    Alone,
    /// All failed.
    WithAll,
}

impl Attempts {
    /// The pause after a failure doubles so often, up to four intervals: that a list is well again is known soon.
    const MOST_DOUBLINGS: u32 = 2;

    /// Takes note of a failure.
    pub fn failed(&mut self, at: Steady, how: Failed) {
        let failures = self.failures.saturating_add(u8::from(how == Failed::Alone));
        *self = Self { last: Some(at), failures };
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(self) -> bool {
        self.failures > 0
    }

    /// When to ask again for what is due at `due`: not before the pause after the last attempt is over.
    #[must_use]
    pub fn postpone(self, due: Steady, interval: SignedDuration) -> Steady {
        let Some(last) = self.last else { return due };
        let doublings = u32::from(self.failures.saturating_sub(1)).min(Self::MOST_DOUBLINGS);
        due.max(last.plus(interval.saturating_mul(1 << doublings)))
    }
}

/// The conversations that are not archived.
pub(super) type Conversations = Table<ConversationState>;

impl Identified for ConversationState {
    type Id = ConversationId;

    fn id(&self) -> &ConversationId {
        &self.id
    }
}

impl ConversationState {
    pub(super) fn new(id: ConversationId) -> Self {
        Self {
            id,
            status: ConversationStatus::Unknown,
            last_active_at: None,
            discovered: None,
            moved: None,
            read_at: None,
            listed: None,
            clean: false,
            deleted: false,
            last_event_at: None,
            forgotten_up_to: None,
            newest_start: None,
            attempts: Attempts::default(),
            read_whole: None,
            missing: None,
            doubtful: 0,
            open: 0,
            executions: Vec::new(),
        }
    }

    /// Takes in what a page of the list of conversations says. `interval` is that between two looks at recent
    /// activity: what was not active at the last one was active after it, whatever the clocks say.
    pub(super) fn learn(&mut self, seen: &Conversation, page: &Page<Conversation>, interval: SignedDuration) {
        let active = seen.last_active_at.map(Micros::from);
        if self.discovered.is_none() || active.is_none() || active != self.last_active_at {
            self.moved = Some(self.moved_at(seen.last_active_at, page, interval));
        }
        self.status = seen.status;
        self.last_active_at = active.or(self.last_active_at);
        self.discovered = self.discovered.max(Some(page.requested_at));
        if std::mem::take(&mut self.deleted) {
            // Whether its executions are there again is not known.
            self.clean = false;
        }
    }

    fn moved_at(
        &self,
        active: Option<Timestamp>,
        page: &Page<Conversation>,
        interval: SignedDuration,
    ) -> Steady {
        let Some(active) = active else { return page.requested_at };
        let at = page.requested_at.plus(active.duration_since(page.as_of)).min(page.requested_at);
        match self.discovered {
            Some(_) => at.max(page.requested_at.plus(-interval.saturating_add(super::LATE))),
            None => at,
        }
    }

    /// Whether its list is to be read to the end at `now` whatever is known of it: something may have become visible
    /// deep in it. Long lists are read so less often, ten pages an hour at most.
    pub(super) fn is_to_be_read_whole(&self, now: Steady) -> bool {
        self.read_whole.is_none_or(|(at, pages)| {
            let pause = SignedDuration::from_mins(6).saturating_mul(i32::try_from(pages).unwrap_or(i32::MAX));
            now.since(at) >= pause.max(SignedDuration::from_hours(1))
        })
    }

    /// What started up to then was listed by the last complete reading, if that could be read to the last item. One
    /// that showed nothing so young may have hidden what it had.
    pub(super) fn known_up_to(&self) -> Option<Timestamp> {
        let listed = self.listed.filter(|_| self.clean)?;
        Some(before_late_ones(listed.into()).min(self.newest_start?.into()))
    }

    /// Whether executions of it are open.
    #[must_use]
    pub fn has_open_executions(&self) -> bool {
        self.open > 0
    }

    /// Whether it or one of its executions is missing where it was, or its list was read with a gap: its list is
    /// to be read again soon.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful > 0 || self.missing.is_some() || !self.clean
    }

    /// Its last activity. One that only executions have named was active when they were.
    #[must_use]
    pub fn active_at(&self) -> Option<Timestamp> {
        self.last_active_at.or(self.last_event_at.filter(|_| self.listed.is_none())).map(Into::into)
    }

    /// Whether it is watched at `now`, in Kapso's clock: it has open executions, or was active within `max_age`, or
    /// since it was last listed or else since watching began, or it is not known when it was.
    #[must_use]
    pub fn is_watched(
        &self,
        now: Timestamp,
        max_age: SignedDuration,
        watch_start: Option<Timestamp>,
    ) -> bool {
        let listed = self.listed.map(Timestamp::from);
        // Nobody reads the list of one that only executions have named where conversations are not discovered.
        let since = listed.or(watch_start.filter(|_| self.discovered.is_some()));
        let is_unread = |at| since.is_some_and(|since| at > since);
        let is_active = |at| now.duration_since(at) <= max_age || is_unread(at);
        !self.deleted
            && (self.has_open_executions() || self.doubtful > 0 || self.active_at().is_none_or(is_active))
    }
}
