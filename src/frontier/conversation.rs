//! What was read of one conversation: its place in the list of conversations, and its list of executions.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Attempts, LATE, PhoneNumber, before_late_ones};
use crate::{
    clock::Steady,
    ledger::{Micros, Missing},
    model::{Conversation, Page},
};

/// What was read of one conversation, until it is archived. The order of the fields is that of its saved row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConversationFrontier {
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
    pub(crate) read_whole: Option<(Steady, u32)>,
    /// Whether that list could be read to the last item.
    pub clean: bool,
    /// The API no longer has it.
    pub deleted: bool,
    /// The newest start that its complete lists have shown. It stands elsewhere in the row.
    #[serde(skip)]
    pub(crate) newest_start: Option<Micros>,
    /// The phone number whose list of conversations showed it; where these are asked for. It stands elsewhere in the row.
    #[serde(skip)]
    pub(crate) phone_number: Option<PhoneNumber>,
    /// The last attempts to read its list.
    #[serde(skip)]
    pub attempts: Attempts,
    /// Its list answered 404.
    #[serde(skip)]
    pub(crate) missing: Option<Missing>,
}

/// What is kept of a conversation that is at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtRest {
    /// As in its [`ConversationFrontier`]; `None` where its list has to be read anew.
    pub(crate) listed: Option<Micros>,
    pub(crate) newest_start: Option<Micros>,
}

impl AtRest {
    pub(crate) fn restored(self) -> ConversationFrontier {
        ConversationFrontier {
            // It was at rest: it was active no later than that.
            last_active_at: self.listed,
            listed: self.listed,
            clean: self.listed.is_some(),
            newest_start: self.newest_start,
            ..ConversationFrontier::default()
        }
    }
}

impl ConversationFrontier {
    pub(crate) fn at_rest(&self) -> AtRest {
        let listed = self.listed.filter(|_| !self.deleted && self.clean);
        AtRest { listed, newest_start: self.newest_start.filter(|_| listed.is_some()) }
    }

    /// Takes in what a page of the list of conversations says. `interval` is that between two looks at recent
    /// activity: what was not active at the last one was active after it, whatever the clocks say.
    pub(crate) fn learn(&mut self, seen: &Conversation, page: &Page<Conversation>, interval: SignedDuration) {
        let active = seen.last_active_at.map(Micros::from);
        if self.discovered.is_none() || active.is_none() || active != self.last_active_at {
            self.moved = Some(self.moved_at(seen.last_active_at, page, interval));
        }
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
            Some(_) => at.max(page.requested_at.plus(-interval.saturating_add(LATE))),
            None => at,
        }
    }

    /// Takes note that not all that its list has shown was taken in: it is read again soon, and to the end.
    pub(crate) fn doubt(&mut self) {
        (self.clean, self.read_whole) = (false, None);
    }

    /// Whether its list is to be read to the end at `now` whatever is known of it: something may have become visible
    /// deep in it. Long lists are read so less often, ten pages an hour at most.
    pub(crate) fn is_to_be_read_whole(&self, now: Steady) -> bool {
        self.read_whole.is_none_or(|(at, pages)| {
            let pause = SignedDuration::from_mins(6).saturating_mul(i32::try_from(pages).unwrap_or(i32::MAX));
            now.since(at) >= pause.max(SignedDuration::from_hours(1))
        })
    }

    /// What started up to then was listed by the last complete reading, if that could be read to the last item. One
    /// that showed nothing so young may have hidden what it had.
    pub(crate) fn known_up_to(&self) -> Option<Timestamp> {
        let listed = self.listed.filter(|_| self.clean)?;
        Some(before_late_ones(listed.into()).min(self.newest_start?.into()))
    }

    /// Whether its list was completely read since an execution was over, and shows what started then.
    pub(super) fn vouches_for(&self, position: Micros, over: Option<Micros>) -> bool {
        let has_shown = |listed: Micros| position <= before_late_ones(listed.into()).into();
        (self.clean || self.deleted) && self.listed > over && self.listed.is_some_and(has_shown)
    }
}
