//! The items of an answer, from the wire to a [`Page`], and what is to be counted on the way.

use jiff::{SignedDuration, Timestamp};

use super::{
    Client, Endpoint, Reason,
    request::{Body, defect},
    times::Dates,
    wire::status_name,
};
use crate::model::{Execution, Flaws, Page, Status};

/// What is listed before it is there may take so long to come.
const PENDING_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An item as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<T> {
    /// As documented.
    Known(T),
    /// In a status that this program does not know; its name as [`status_name`] puts it.
    Odd(T, String),
    /// Something that is to hold an item and does not yet, with its creation.
    NotYet(Option<Timestamp>),
}

impl Item<Execution> {
    /// An execution whose status is named so on the wire.
    pub fn of(execution: Execution, named: Option<&str>) -> Self {
        match execution.status {
            Status::Unknown => Self::Odd(execution, status_name(named)),
            _ => Self::Known(execution),
        }
    }
}

/// Takes times out of an item that cannot be. Returns whether there was one.
pub(super) type Mend<T> = fn(&mut T, &Dates) -> bool;

/// The items of an answer, in the API's order.
pub(super) struct Batch<T> {
    pub items: Vec<T>,
    pub flaws: Flaws,
    findings: Findings,
}

/// What is to be counted of an answer.
#[derive(Default)]
pub(super) struct Findings {
    unreadable: u64,
    impossible_times: u64,
    odd_statuses: Vec<String>,
}

impl<T> Batch<T> {
    pub fn new() -> Self {
        Self { items: Vec::new(), flaws: Flaws::default(), findings: Findings::default() }
    }

    /// Takes in an item, or why it could not be read.
    pub fn take(
        &mut self,
        endpoint: Endpoint,
        item: Result<Item<T>, serde_json::Error>,
        mend: Mend<T>,
        dates: &Dates,
    ) {
        let mut item = match item {
            Ok(Item::Known(item)) => item,
            Ok(Item::Odd(item, status)) => {
                self.findings.odd_statuses.push(status);
                item
            }
            Ok(Item::NotYet(created)) => {
                let is_new = created.is_none_or(|at| dates.now.duration_since(at) < PENDING_FOR);
                self.flaws.pending += usize::from(is_new);
                return;
            }
            Err(error) => {
                tracing::debug!(%endpoint, error = defect(&error), "unreadable item");
                self.flaws.unreadable += 1;
                self.findings.unreadable += 1;
                return;
            }
        };
        self.findings.impossible_times += u64::from(mend(&mut item, dates));
        self.items.push(item);
    }

    /// The page that these items are, and what is to be counted of it.
    pub fn into_page(self, body: &Body, last: bool) -> (Page<T>, Findings) {
        let (request_seq, requested_at, as_of) = (body.request_seq, body.requested_at, body.as_of);
        let page = Page { items: self.items, flaws: self.flaws, request_seq, requested_at, as_of, last };
        (page, self.findings)
    }
}

impl Findings {
    /// Tells the client's observer.
    pub fn report(&self, client: &Client) {
        let (observer, api) = (client.observer(), client.api());
        let counts = [(Reason::Decode, self.unreadable), (Reason::Time, self.impossible_times)];
        for (reason, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            observer.failed(api, reason, count);
        }
        for status in &self.odd_statuses {
            observer.unknown_status(api, status);
        }
    }
}
