//! What is around the items of a list: the platform's cursors, or page numbers.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    page_token::{Cursor, PageToken},
    paging::PAGE_SIZE,
    wire::Number,
};

#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub data: Vec<&'a RawValue>,
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
    per_page: Option<Number>,
    total_pages: Option<Number>,
    total_count: Option<Number>,
}

fn whole(number: Option<&Number>) -> Option<u64> {
    number.and_then(Number::whole)
}

impl Envelope<'_> {
    /// Where the next page is: `paging` tells where it is there, else `meta`; with neither, the list is complete.
    /// `reached` is the time of the last item here.
    pub fn next(&self, token: &PageToken, reached: Option<Timestamp>) -> Option<PageToken> {
        if let Some(paging) = &self.paging {
            let text = paging.next.clone().filter(|next| !next.is_empty())?;
            let reached = if self.data.is_empty() { token.reached() } else { reached };
            return Some(PageToken::After(Cursor { text, bound: token.bound(), reached }));
        }
        let meta = self.meta.as_ref().filter(|_| !self.data.is_empty())?;
        let asked = if let PageToken::Page(page) = token { *page } else { 1 };
        let page = whole(meta.page.as_ref()).unwrap_or(asked);
        meta.goes_on_after(page, self.data.len() as u64).then_some(PageToken::Page(page + 1))
    }

    /// How many items the list has, where it says so.
    pub fn total(&self) -> Option<u64> {
        whole(self.meta.as_ref()?.total_count.as_ref())
    }

    /// Whether the list may have been cut: it is as long as a page can be, and says nothing of others.
    pub fn may_be_cut(&self) -> bool {
        self.paging.is_none() && self.meta.is_none() && self.data.len() >= PAGE_SIZE as usize
    }

    /// Tells one page from another.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for item in &self.data {
            item.get().hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Meta {
    /// Without a number of pages, the number of items tells; without that, a page that is full is not the last one.
    fn goes_on_after(&self, page: u64, items: u64) -> bool {
        let size = whole(self.per_page.as_ref()).filter(|&size| size > 0).unwrap_or(PAGE_SIZE.into());
        match (whole(self.total_pages.as_ref()), whole(self.total_count.as_ref())) {
            (Some(pages), _) => page < pages,
            (None, Some(count)) => page.saturating_mul(size) < count,
            (None, None) => items >= size,
        }
    }
}
