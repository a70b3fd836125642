//! Lists, a page at a time: the platform's cursors and the page numbers of the legacy API, always 100 items a
//! page. A [`List`] says where a list is and how to read an item; a [`Pager`] walks it.

use std::collections::HashSet;

use jiff::SignedDuration;
use serde_json::value::RawValue;

use super::{
    Client, Endpoint, Error, Reason,
    envelope::Envelope,
    items::{Batch, Findings, Item, Mend},
    page_token::{PageToken, Resume},
    request::{Behind, Body, Request},
};
use crate::model::{Extent, Page, Reading};

/// A list of more pages than these is long: its reading gives way to others.
const LONG: usize = 5;

/// The largest page that both APIs give.
pub const PAGE_SIZE: u32 = 100;

/// A list that is longer has no end: a million items at least were read in one go.
const MOST_PAGES: usize = 10_000;

/// Lists may be ordered by times that are more precise than those that they show.
const SHOWN_TO: SignedDuration = SignedDuration::from_secs(1);

/// Reads an item.
pub(super) type ReadItem<T> = Box<dyn Fn(&RawValue) -> Result<Item<T>, serde_json::Error> + Send + Sync>;

/// A list that can be asked for.
pub(super) struct List<T> {
    pub endpoint: Endpoint,
    pub path: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub pagination: Pagination,
    pub item: ReadItem<T>,
    pub mend: Mend<T>,
    pub resume: Resume<T>,
}

impl<T> List<T> {
    fn read(&self, body: &Body, token: &PageToken) -> Result<Read<T>, serde_json::Error> {
        let envelope: Envelope = serde_json::from_slice(&body.bytes)?;
        let mut batch = Batch::new();
        for raw in &envelope.data {
            batch.take(self.endpoint, (self.item)(raw), self.mend, &body.dates);
        }
        let next = envelope.next(token, self.resume.reached(&batch.items));
        let was_promised = matches!(token, PageToken::After(_));
        if next.is_none() && (envelope.may_be_cut() || was_promised && envelope.data.is_empty()) {
            batch.flaws.extent = Extent::Truncated;
        }
        let (page, findings) = batch.into_page(body, next.is_none());
        let (total, listed) = (envelope.total(), envelope.data.len() as u64);
        Ok(Read { page, findings, next, total, listed, fingerprint: envelope.fingerprint() })
    }

    fn query(&self, token: &PageToken) -> Vec<(&'static str, String)> {
        let mut query = self.query.clone();
        if let (Resume::ByTime { parameter, .. }, Some(bound)) = (&self.resume, token.bound()) {
            let bound = bound.saturating_add(SHOWN_TO).unwrap_or(bound);
            query.retain(|(name, _)| name != parameter);
            query.push((parameter, bound.to_string()));
        }
        match (token, self.pagination) {
            (PageToken::Page(page), _) => {
                query.extend([("page", page.to_string()), ("per_page", PAGE_SIZE.to_string())]);
            }
            (PageToken::Start | PageToken::Before(_), Pagination::Number) => {
                query.extend([("page", "1".into()), ("per_page", PAGE_SIZE.to_string())]);
            }
            (_, _) => query.push(("limit", PAGE_SIZE.to_string())),
        }
        if let PageToken::After(cursor) = token {
            query.push(("after", cursor.text.clone()));
        }
        query
    }
}

/// How a list is cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pagination {
    /// `limit` and `after`.
    Cursor,
    /// `page` and `per_page`.
    Number,
}

/// A page as it was read.
struct Read<T> {
    page: Page<T>,
    findings: Findings,
    /// Where the next one is.
    next: Option<PageToken>,
    /// How many items the API says there are.
    total: Option<u64>,
    /// How many it listed here.
    listed: u64,
    /// What tells it from others.
    fingerprint: u64,
}

/// How much a reading brought that began with the first page.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    listed: u64,
    /// The least number of items that the API said there are.
    least: Option<u64>,
}

impl Tally {
    fn and<T>(self, read: &Read<T>) -> Self {
        let least = self.least.into_iter().chain(read.total).min();
        Self { listed: self.listed.saturating_add(read.listed), least }
    }

    fn falls_short(self) -> bool {
        self.least.is_some_and(|least| self.listed < least)
    }
}

/// Walks a list, first page first.
pub struct Pager<'a, T> {
    client: &'a Client,
    list: List<T>,
    next: Option<PageToken>,
    visited: HashSet<PageToken>,
    pages: usize,
    restarts: usize,
    /// What tells the last page from others.
    last: Option<u64>,
    total: Option<u64>,
    /// `None` where the reading did not begin with the first page.
    tally: Option<Tally>,
}

impl<'a, T: Send> Pager<'a, T> {
    pub(super) fn new(client: &'a Client, list: List<T>) -> Self {
        Self {
            client,
            list,
            next: Some(PageToken::Start),
            visited: HashSet::new(),
            pages: 0,
            restarts: 0,
            last: None,
            total: None,
            tally: Some(Tally::default()),
        }
    }

    /// The list with one more parameter, if it has a value.
    pub(super) fn with(mut self, parameter: &'static str, value: Option<&str>) -> Self {
        self.list.query.extend(value.map(|value| (parameter, value.into())));
        self
    }

    /// Walks on from a place that [`Pager::place`] told.
    #[must_use]
    pub fn from(mut self, token: PageToken) -> Self {
        self.tally = self.tally.filter(|_| token == PageToken::Start);
        self.next = Some(token);
        self
    }

    /// Where the next page is; `None` after the last one.
    #[must_use]
    pub fn place(&self) -> Option<PageToken> {
        self.next.clone()
    }

    /// The next page, or `None` after the last one. Where a cursor has expired, it is the page from the last item
    /// on, or, in a list that cannot be asked for that, once the first page again: items come again.
    ///
    /// # Errors
    /// What the request ran into; [`Error::Cursor`] where the list leads back to a page that was read, or does
    /// not end; [`Error::CursorExpired`] where that happens and the list cannot be read on.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        while let Some(token) = self.next.take() {
            if self.pages >= LONG {
                self.client.give_way().await;
            }
            match self.ask(&token).await {
                Ok(read) => return self.accept(token, read).map(Some),
                Err(Error::CursorExpired { .. }) => self.next = Some(self.resumed(&token)?),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn ask(&self, token: &PageToken) -> Result<Read<T>, Error> {
        let (list, endpoint) = (&self.list, self.list.endpoint);
        let path: Vec<&str> = list.path.iter().map(String::as_str).collect();
        let url = self.client.url(endpoint, &path, &list.query(token))?;
        let behind = if matches!(token, PageToken::After(_)) { Behind::Cursor } else { Behind::Nothing };
        self.client.get(&Request { endpoint, url, behind }, &|body| list.read(body, token)).await
    }

    fn accept(&mut self, token: PageToken, mut read: Read<T>) -> Result<Page<T>, Error> {
        self.total = read.total;
        self.tally = self.tally.map(|tally| tally.and(&read));
        if read.next.is_none() && self.tally.is_some_and(Tally::falls_short) {
            read.page.flaws.extent = Extent::Truncated;
        }
        read.findings.report(self.client);
        if read.page.flaws.extent == Extent::Truncated {
            self.client.observer().failed(self.client.api(), Reason::Truncated, 1);
        }
        if let Some(next) = &read.next {
            self.check_advance(&token, next, read.fingerprint)?;
        }
        self.visited.insert(token);
        self.pages += 1;
        self.last = Some(read.fingerprint);
        self.next = read.next;
        Ok(read.page)
    }

    /// Whether `next` is further on than the page at `place`, which was just read.
    fn check_advance(&self, token: &PageToken, next: &PageToken, fingerprint: u64) -> Result<(), Error> {
        let endless = self.pages + 1 >= MOST_PAGES;
        let leads_back = next == token || self.visited.contains(next);
        let is_the_last_again = matches!(token, PageToken::Page(_)) && self.last == Some(fingerprint);
        let stands = matches!(token, PageToken::Before(_)) && next.reached() >= token.reached();
        if endless || leads_back || is_the_last_again || stands { Err(self.stuck()) } else { Ok(()) }
    }

    fn stuck(&self) -> Error {
        self.client.observer().failed(self.client.api(), Reason::Cursor, 1);
        Error::Cursor { endpoint: self.list.endpoint }
    }

    /// Where to read on instead of at `place`, whose cursor has expired.
    fn resumed(&mut self, token: &PageToken) -> Result<PageToken, Error> {
        if let (Resume::ByTime { .. }, Some(reached)) = (&self.list.resume, token.reached()) {
            let token = PageToken::Before(reached);
            return if self.visited.contains(&token) { Err(self.stuck()) } else { Ok(token) };
        }
        if self.restarts > 0 {
            return Err(Error::CursorExpired { endpoint: self.list.endpoint });
        }
        self.restarts += 1;
        self.visited.clear();
        self.tally = Some(Tally::default());
        Ok(PageToken::Start)
    }

    /// Reads to the end, and hands over each page. Returns when the first one was asked for, and whether all of the
    /// list was read.
    ///
    /// # Errors
    /// As [`Pager::next`].
    pub async fn read(mut self, mut take: impl FnMut(&Page<T>)) -> Result<Option<Reading>, Error> {
        let mut reading: Option<Reading> = None;
        while let Some(page) = self.next().await? {
            let (requested_at, as_of, is_clean) = (page.requested_at, page.as_of, page.is_clean());
            reading.get_or_insert(Reading { requested_at, as_of, is_clean }).is_clean &= is_clean;
            take(&page);
        }
        Ok(reading)
    }

    /// How many items the whole list has, where the last page that was read says so.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}
