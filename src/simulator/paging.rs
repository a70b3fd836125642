//! Pages of a list: opaque keyset cursors, or page numbers where they are not asked for.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    query::{Params, invalid},
    random::{hash, mix},
    world::{Key, Row},
};

const DEFAULT_SIZE: usize = 20;
const MASK: u64 = 0x5bd1_e995_9d2c_5680;

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    First { limit: usize },
    After { key: Key, limit: usize },
    Before { key: Key, limit: usize },
    Numbered { page: usize, size: usize },
}

/// A list, of which the greatest key comes first.
pub struct List<'a> {
    /// Part of its cursors, so that they don't fit other lists.
    pub name: &'static str,
    pub keys: &'a BTreeSet<Key>,
    /// Whether a row passes the request's filters.
    pub matches: &'a dyn Fn(Row) -> bool,
    /// The list item of a row.
    pub render: &'a dyn Fn(Row) -> Value,
}

/// The window of a list with cursors, by page number if neither a limit nor a cursor is given.
///
/// # Errors
/// 400 for an invalid cursor or number.
pub fn cursor_window(list: &str, params: &Params) -> Result<Window, Answer> {
    let limit = params.size("limit", params.largest_page)?;
    let cursor =
        |name| params.get(name).map(|text| decode(list, text).ok_or_else(|| invalid(name, "is invalid")));
    let (after, before) = (cursor("after").transpose()?, cursor("before").transpose()?);
    let asked = limit.unwrap_or(DEFAULT_SIZE.min(params.largest_page));
    let size = params.cut_to.map_or(asked, |most| asked.min(most));
    match (after, before) {
        (Some(_), Some(_)) => Err(invalid("after", "cannot be combined with before")),
        (Some(key), None) => Ok(Window::After { key, limit: size }),
        (None, Some(key)) => Ok(Window::Before { key, limit: size }),
        (None, None) if limit.is_some() => Ok(Window::First { limit: size }),
        (None, None) => numbered_window(params),
    }
}

/// The window of a list with page numbers.
///
/// # Errors
/// 400 for an invalid number.
pub fn numbered_window(params: &Params) -> Result<Window, Answer> {
    let page = params.size("page", usize::MAX)?.unwrap_or(1);
    let most = params.largest_page;
    let size = params.size("per_page", most)?.unwrap_or(DEFAULT_SIZE.min(most));
    Ok(Window::Numbered { page, size })
}

impl List<'_> {
    /// The body that shows `window` of the list.
    pub fn page(&self, window: Window) -> Value {
        match window {
            Window::Numbered { page, size } => self.numbered(page, size),
            Window::First { limit } => self.downwards(self.keys.iter().rev().copied(), limit, false),
            Window::After { key, limit } => {
                self.downwards(self.keys.range(..key).rev().copied(), limit, true)
            }
            Window::Before { key, limit } => self.upwards(key, limit),
        }
    }

    fn downwards(&self, keys: impl Iterator<Item = Key>, limit: usize, previous: bool) -> Value {
        let mut found: Vec<Key> = keys.filter(|&(_, row)| (self.matches)(row)).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        self.body(&found, more, previous)
    }

    fn upwards(&self, key: Key, limit: usize) -> Value {
        let keys = self.keys.range((Excluded(key), Unbounded)).copied();
        let mut found: Vec<Key> = keys.filter(|&(_, row)| (self.matches)(row)).take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        found.reverse();
        self.body(&found, true, more)
    }

    fn body(&self, keys: &[Key], next: bool, previous: bool) -> Value {
        let before = keys.first().map(|&key| encode(self.name, key));
        let after = keys.last().map(|&key| encode(self.name, key));
        let (next, previous) = (after.clone().filter(|_| next), before.clone().filter(|_| previous));
        json!({
            "data": keys.iter().map(|&(_, row)| (self.render)(row)).collect::<Vec<_>>(),
            "paging": {"cursors": {"before": before, "after": after}, "next": next, "previous": previous},
        })
    }

    fn numbered(&self, page: usize, size: usize) -> Value {
        let all: Vec<Row> =
            self.keys.iter().rev().map(|&(_, row)| row).filter(|&row| (self.matches)(row)).collect();
        let shown = all.iter().skip((page - 1).saturating_mul(size)).take(size);
        json!({
            "data": shown.map(|&row| (self.render)(row)).collect::<Vec<_>>(),
            "meta": meta(page, size, all.len()),
        })
    }
}

/// The `meta` object of a numbered page.
pub fn meta(page: usize, size: usize, total: usize) -> Value {
    json!({"page": page, "per_page": size, "total_pages": total.div_ceil(size), "total_count": total})
}

fn encode(list: &str, (at, row): Key) -> String {
    let row = u64::try_from(row).unwrap_or(0);
    let masked = at.as_millisecond().cast_unsigned() ^ MASK;
    let low = row ^ mix(masked);
    // Like Base64, with characters that a client must escape.
    format!("{:08x}+{low:016x}/{masked:016x}==", checksum(list, masked, low))
}

fn decode(list: &str, text: &str) -> Option<Key> {
    let (check, rest) = text.strip_suffix("==")?.split_once('+')?;
    let (low, masked) = rest.split_once('/')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let (check, low, masked) = (number(check)?, number(low)?, number(masked)?);
    if check != checksum(list, masked, low) {
        return None;
    }
    let at = Timestamp::from_millisecond((masked ^ MASK).cast_signed()).ok()?;
    Some((at, usize::try_from(low ^ mix(masked)).ok()?))
}

fn checksum(list: &str, masked: u64, low: u64) -> u64 {
    mix(hash(&[list]) ^ masked ^ low.rotate_left(17)) >> 32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_key_in_its_own_list_only() {
        let key = (Timestamp::from_millisecond(1_790_000_000_123).unwrap(), 42);
        let cursor = encode("executions", key);
        assert_eq!(decode("executions", &cursor), Some(key));
        assert_eq!(decode("conversations", &cursor), None);
        assert_eq!(decode("executions", &cursor.replace(&cursor[30..33], "~")), None);
        for nonsense in ["", "abc", "1", "1+2/3==", "http://example.com/?after=1", "ä"] {
            assert_eq!(decode("executions", nonsense), None, "{nonsense}");
        }
    }
}
