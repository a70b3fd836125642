//! Pieces that both APIs' answers share, read as leniently as can be without guessing: every field but the id
//! may be missing or null, numbers may be strings, and fields that are not needed may be anything.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

/// A number, or a string that holds one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Number(f64),
    Text(String),
}

impl Number {
    /// The value, where it is finite.
    pub fn value(&self) -> Option<f64> {
        let value = match self {
            Self::Number(value) => *value,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        value.is_finite().then_some(value)
    }

    /// The value as a count.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    pub fn whole(&self) -> Option<u64> {
        self.value().filter(|value| (0.0..9e15).contains(value)).map(|value| value as u64)
    }
}

/// An id: a string that is not empty, or a number.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_id(deserializer)?.ok_or_else(|| D::Error::custom("an empty id"))
}

/// An id that may be missing, null or empty.
pub(super) fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Option::<Id>::deserialize(deserializer)? {
        Some(Id::Text(text)) => Some(text).filter(|text| !text.is_empty()),
        Some(Id::Number(number)) => Some(number.to_string()),
        None => None,
    })
}

/// A time in RFC 3339; without an offset it is taken as UTC; missing, null and empty are `None`. Anything
/// else is an error, since a wrong time would be counted wrongly.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(time) = text.parse() {
        return Ok(Some(time));
    }
    let civil: DateTime =
        text.trim_end_matches(['Z', 'z']).parse().map_err(|_| D::Error::custom("not a timestamp"))?;
    // The last days of the year 9999 are a time, and one that cannot be.
    Ok(Some(civil.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())))
}

/// A value of no consequence for any count: whatever is not of the expected form is `None`.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(serde_json::Value::deserialize(deserializer)?).ok())
}

/// The name of a status as it may be shown, where it is of the form of one. Anything else may be private: a number, a
/// key, a text.
pub(super) fn status_name(status: Option<&str>) -> String {
    let Some(name) = status else { return "missing".into() };
    let is_of_form = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        && name.bytes().filter(u8::is_ascii_digit).count() <= 2;
    if is_of_form { name.into() } else { "other".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_the_name_of_a_status_is_shown() {
        for name in ["cancelled", "timed_out", "retry_2", "a"] {
            assert_eq!(status_name(Some(name)), name);
        }
        for text in [
            "",
            "Cancelled",
            "15550000001",
            "k15550000001",
            "3f9c0a7b1d",
            "sk_live_0a1b2c3d",
            "my name is ada",
            "+1555",
            "ended\n",
            "ñ",
            &"x".repeat(33),
        ] {
            assert_eq!(status_name(Some(text)), "other", "{text}");
        }
        assert_eq!(status_name(None), "missing");
    }
}
