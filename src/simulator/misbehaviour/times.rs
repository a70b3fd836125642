//! Times that can't be, in the items of any list.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::is_among;

/// Some items have a time that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OddTimes {
    /// Which one.
    pub what: OddTime,
    /// How many of the items that have it, by their ids.
    pub percent: u32,
}

/// A time that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OddTime {
    /// `ended_at` in the year 2200.
    EndIn2200,
    /// `ended_at` at the very end of the year 9999.
    EndIn9999,
    /// `ended_at` at the epoch.
    EndAtEpoch,
    /// `ended_at` an hour before `started_at`.
    EndBeforeStart,
    /// `last_active_at` of a conversation a year from now.
    ActiveNextYear,
}

impl OddTimes {
    /// Alters the items of a page, or a single one.
    pub(super) fn alter(self, body: &mut Value, now: Timestamp) {
        match &mut body["data"] {
            Value::Array(items) => items.iter_mut().for_each(|item| self.alter_item(item, now)),
            item => self.alter_item(item, now),
        }
    }

    fn alter_item(self, item: &mut Value, now: Timestamp) {
        let item = match item {
            Value::Object(fields) if fields.contains_key("agent_execution") => &mut item["agent_execution"],
            item => item,
        };
        let Some(fields) = item.as_object_mut() else {
            return;
        };
        let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
        let field = if self.what == OddTime::ActiveNextYear { "last_active_at" } else { "ended_at" };
        let has_it = fields.get(field).is_some_and(Value::is_string);
        if has_it && is_among(id, "odd time", self.percent) {
            let time = self.time(fields, now);
            fields.insert(field.to_owned(), time.into());
        }
    }

    fn time(self, fields: &Map<String, Value>, now: Timestamp) -> String {
        match self.what {
            OddTime::EndIn2200 => "2200-01-01T00:00:00Z".to_owned(),
            OddTime::EndIn9999 => "9999-12-31T23:59:59Z".to_owned(),
            OddTime::EndAtEpoch => "1970-01-01T00:00:00Z".to_owned(),
            OddTime::EndBeforeStart => {
                let start = fields.get("started_at").and_then(Value::as_str);
                let start: Timestamp = start.and_then(|text| text.parse().ok()).unwrap_or(now);
                (start - SignedDuration::from_hours(1)).to_string()
            }
            OddTime::ActiveNextYear => (now + SignedDuration::from_hours(24 * 365)).to_string(),
        }
    }
}
