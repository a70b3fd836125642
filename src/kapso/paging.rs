//! Lists, a page at a time: the platform's cursors and the page numbers of the legacy API, always 100 items a
//! page. A [`List`] says where a list is and how to read an item; a [`Pager`] walks it.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Client, Endpoint, Error, Reason,
    client::{Body, defect},
    wire::Number,
};
use crate::{clock::Steady, execution::Page};

/// The largest page that both APIs give.
pub const PAGE_SIZE: u32 = 100;

/// A list that is longer has no end: a million items at least were read in one go.
const MOST_PAGES: usize = 10_000;

/// A list that can be asked for.
pub(super) struct List<T> {
    pub endpoint: Endpoint,
    pub path: Vec<String>,
    pub query: Vec<(&'static str, String)>,
    pub style: Style,
    pub item: fn(&RawValue) -> Result<T, serde_json::Error>,
}

impl<T> List<T> {
    fn read(&self, body: &Body, place: &Place) -> Result<Read<T>, serde_json::Error> {
        let envelope: Envelope = serde_json::from_slice(&body.bytes)?;
        let next = envelope.next(place);
        let (asked, asked_at, as_of) = (body.asked, body.asked_at, body.as_of);
        let mut page = Page { items: Vec::new(), bad_items: 0, asked, asked_at, as_of, last: next.is_none() };
        for raw in &envelope.data {
            match (self.item)(raw) {
                Ok(item) => page.items.push(item),
                Err(error) => {
                    tracing::debug!(endpoint = %self.endpoint, error = defect(&error), "unreadable item");
                    page.bad_items += 1;
                }
            }
        }
        Ok(Read { page, next, total: envelope.total() })
    }
}

/// How a list is cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `limit` and `after`.
    Cursor,
    /// `page` and `per_page`.
    Number,
}

/// Where a page of a list is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The first page.
    Start,
    /// The page behind this cursor.
    After(String),
    /// The page with this number, from 1.
    Page(u64),
}

/// A list that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When its first page was asked for.
    pub asked_at: Steady,
    /// The same moment in Kapso's clock.
    pub as_of: Timestamp,
    /// Whether everything in it could be read.
    pub is_clean: bool,
}

/// A page, where the next one is, and how many items the API says there are.
struct Read<T> {
    page: Page<T>,
    next: Option<Place>,
    total: Option<u64>,
}

/// Walks a list, first page first.
pub struct Pager<'a, T> {
    client: &'a Client,
    list: List<T>,
    next: Option<Place>,
    visited: HashSet<Place>,
    total: Option<u64>,
}

impl<'a, T: Send> Pager<'a, T> {
    pub(super) fn new(client: &'a Client, list: List<T>) -> Self {
        Self { client, list, next: Some(Place::Start), visited: HashSet::new(), total: None }
    }

    /// Walks on from a place that [`Pager::place`] told.
    #[must_use]
    pub fn from(mut self, place: Place) -> Self {
        self.next = Some(place);
        self
    }

    /// Where the next page is; `None` after the last one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.next.clone()
    }

    /// The next page, or `None` after the last one.
    ///
    /// # Errors
    /// What the request ran into; [`Error::Cursor`] where the list leads back to a page that was read, or does
    /// not end.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        let Some(place) = self.next.take() else {
            return Ok(None);
        };
        let path: Vec<&str> = self.list.path.iter().map(String::as_str).collect();
        let url = self.client.url(&path, &self.query(&place));
        let Read { page, next, total } =
            self.client.get(self.list.endpoint, &url, &|body| self.list.read(body, &place)).await?;
        self.total = total;
        if page.bad_items > 0 {
            self.client.observer().failed(self.client.api(), Reason::Decode, page.bad_items as u64);
        }
        self.visited.insert(place);
        let endless = self.visited.len() >= MOST_PAGES;
        if next.as_ref().is_some_and(|next| endless || self.visited.contains(next)) {
            self.client.observer().failed(self.client.api(), Reason::Cursor, 1);
            return Err(Error::Cursor { endpoint: self.list.endpoint });
        }
        self.next = next;
        Ok(Some(page))
    }

    /// Reads to the end, and hands over each page; `None` if there was none.
    ///
    /// # Errors
    /// As [`Pager::next`].
    pub async fn read(mut self, mut take: impl FnMut(&Page<T>)) -> Result<Option<Reading>, Error> {
        let mut reading: Option<Reading> = None;
        while let Some(page) = self.next().await? {
            let (asked_at, as_of, is_clean) = (page.asked_at, page.as_of, page.is_clean());
            reading.get_or_insert(Reading { asked_at, as_of, is_clean }).is_clean &= is_clean;
            take(&page);
        }
        Ok(reading)
    }

    /// How many items the whole list has, where the last page that was read says so.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    fn query(&self, place: &Place) -> Vec<(&'static str, String)> {
        let mut query = self.list.query.clone();
        match (place, self.list.style) {
            (Place::Start, Style::Cursor) => query.push(("limit", PAGE_SIZE.to_string())),
            (Place::After(cursor), _) => {
                query.extend([("limit", PAGE_SIZE.to_string()), ("after", cursor.clone())]);
            }
            (Place::Start, Style::Number) => {
                query.extend([("page", "1".into()), ("per_page", PAGE_SIZE.to_string())]);
            }
            (Place::Page(page), _) => {
                query.extend([("page", page.to_string()), ("per_page", PAGE_SIZE.to_string())]);
            }
        }
        query
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    paging: Option<Paging>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    page: Option<Number>,
    total_pages: Option<Number>,
    total_count: Option<Number>,
}

impl Envelope<'_> {
    /// `paging` where it is there, else `meta`; with neither, the list is complete.
    fn next(&self, place: &Place) -> Option<Place> {
        if let Some(paging) = &self.paging {
            let next = paging.next.as_ref().filter(|next| !next.is_empty())?;
            return Some(Place::After(next.clone()));
        }
        let meta = self.meta.as_ref().filter(|_| !self.data.is_empty())?;
        let asked = if let Place::Page(page) = place { *page } else { 1 };
        let page = meta.page.as_ref().and_then(Number::whole).unwrap_or(asked);
        (page < meta.total_pages.as_ref()?.whole()?).then(|| Place::Page(page + 1))
    }

    fn total(&self) -> Option<u64> {
        self.meta.as_ref()?.total_count.as_ref()?.whole()
    }
}
