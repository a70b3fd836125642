//! A moment in half the space: there may be a million executions to remember, with three moments each.

use std::num::{NonZeroI64, NonZeroU8};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment to the microsecond, which is as precise as Kapso writes. `Option<Micros>` takes eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Micros(NonZeroI64);

impl From<Timestamp> for Micros {
    /// The very first microsecond of 1970 becomes the second one.
    fn from(at: Timestamp) -> Self {
        Self(NonZeroI64::new(at.as_microsecond()).unwrap_or(NonZeroU8::MIN.into()))
    }
}

impl Micros {
    /// Whether it has no fraction and `other` is within the same second: it may be the same moment, less precisely.
    pub(crate) fn is_whole_second_of(self, other: Self) -> bool {
        const SECOND: i64 = 1_000_000;
        let (Self(own), Self(other)) = (self, other);
        own.get() % SECOND == 0 && own.get() == other.get().div_euclid(SECOND) * SECOND
    }
}

impl From<Micros> for Timestamp {
    fn from(Micros(microsecond): Micros) -> Self {
        Self::from_microsecond(microsecond.get()).unwrap_or(Self::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_small_and_exact_to_the_microsecond() {
        assert_eq!(size_of::<Option<Micros>>(), 8);
        for text in ["2026-11-22T10:00:00.123456Z", "1969-12-31T23:59:59.9Z", "9999-12-30T22:00:00Z"] {
            let at: Timestamp = text.parse().unwrap();
            assert_eq!(Timestamp::from(Micros::from(at)), at);
        }
    }
}
