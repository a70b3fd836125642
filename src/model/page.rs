//! A page of a list, and what it does not show.

use jiff::Timestamp;

use crate::clock::Steady;

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items that could be read, in the API's order.
    pub items: Vec<T>,
    /// What it lacks.
    pub flaws: Flaws,
    /// The number of the request that brought it: what was asked later has a higher one.
    pub request_seq: u64,
    /// When it was asked for.
    pub requested_at: Steady,
    /// The same moment in Kapso's clock.
    pub as_of: Timestamp,
    /// Whether the list ends with it.
    pub last: bool,
}

impl<T> Page<T> {
    /// Whether it shows all that it could: a reading with a page that does not has to be repeated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.flaws == Flaws::default()
    }
}

#[cfg(test)]
impl<T> Page<T> {
    /// A list with these items alone, which was asked for then.
    pub(crate) fn whole(items: Vec<T>, request_seq: u64, as_of: Timestamp) -> Self {
        let requested_at = Steady::at(as_of);
        Self { items, flaws: Flaws::default(), request_seq, requested_at, as_of, last: true }
    }
}

/// A list that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When its first page was asked for.
    pub requested_at: Steady,
    /// The same moment in Kapso's clock.
    pub as_of: Timestamp,
    /// Whether everything in it could be read.
    pub is_clean: bool,
}

#[cfg(test)]
impl Reading {
    /// One that could be read to the last item.
    pub(crate) fn clean(as_of: Timestamp) -> Self {
        Self { requested_at: Steady::at(as_of), as_of, is_clean: true }
    }
}

/// What a page does not show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Items that could not be read.
    pub unreadable: usize,
    /// Items that were listed, within the last minutes, before there was anything in them.
    pub pending: usize,
    /// Whether the list is whole.
    pub extent: Extent,
}

/// Whether a list shows all that there is. Only the last page tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// As far as the API tells, it does.
    #[default]
    Whole,
    /// It has fewer items than the API counts, or as many as a single page can have and no sign of others, or nothing
    /// where the page before said that there is more.
    Truncated,
}
