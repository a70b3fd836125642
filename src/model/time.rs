//! Moments and times as numbers.

use jiff::{SignedDuration, Timestamp};

/// Seconds from `earlier` to `later`, zero where the order is the other way round: durations and delays
/// are never negative, however two clocks disagree.
#[must_use]
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).max(SignedDuration::ZERO).as_secs_f64()
}

/// A moment as seconds since the Unix epoch, to the microsecond: the value of a `_timestamp_seconds` metric.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "microseconds since 1970 fit 53 bits until the year 2255")]
pub fn unix_seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}
