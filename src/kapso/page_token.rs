//! Where a page of a list is, and how a list is read on when a cursor is no longer good.

use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a page of a list is. It may be kept for a while: where the list allows, a cursor that has expired meanwhile
/// is replaced by the time of the last item in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageToken {
    /// The first page.
    Start,
    /// The items up to this time, by which the list is ordered, newest first.
    Before(Timestamp),
    /// The page behind this cursor.
    After(Cursor),
    /// The page with this number, from 1.
    Page(u64),
}

impl PageToken {
    /// The time up to which items are asked for here.
    pub(super) fn bound(&self) -> Option<Timestamp> {
        match self {
            Self::Before(time) => Some(*time),
            Self::After(cursor) => cursor.bound,
            Self::Start | Self::Page(_) => None,
        }
    }

    /// The time of the last item in front of it, where that is known.
    pub(super) fn reached(&self) -> Option<Timestamp> {
        match self {
            Self::Before(time) => Some(*time),
            Self::After(cursor) => cursor.reached,
            Self::Start | Self::Page(_) => None,
        }
    }
}

/// A cursor, and what helps when it has expired. Two are equal if their text is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cursor {
    pub(super) text: String,
    /// It continues a reading of the items up to then.
    pub(super) bound: Option<Timestamp>,
    /// The time of the last item in front of it, where the list is ordered by it.
    pub(super) reached: Option<Timestamp>,
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cursor {}

impl Hash for Cursor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// How a list is read on behind a cursor that has expired.
pub(super) enum Resume<T> {
    /// From the time of the last item that was read.
    ByTime {
        /// The parameter that asks for items up to a time, that time included.
        parameter: &'static str,
        /// The time by which the list is ordered.
        key: fn(&T) -> Option<Timestamp>,
    },
    /// From the first page, since nothing else can be asked for.
    FromStart,
}

impl<T> Resume<T> {
    /// The time of the last of these items; `None` where the list is not ordered by time, or these are not.
    pub fn reached(&self, items: &[T]) -> Option<Timestamp> {
        let Self::ByTime { key, .. } = self else { return None };
        let times: Vec<_> = items.iter().map(key).collect::<Option<_>>()?;
        times.last().copied().filter(|_| times.is_sorted_by(|newer, older| newer >= older))
    }
}
