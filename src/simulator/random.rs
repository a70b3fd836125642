//! Reproducible variety: stable hashes and ids, and draws from a seeded generator.

use std::{ops::Range, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;

/// A hash of `parts` that is the same in every run and on every machine.
pub fn hash(parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(state)
}

/// A bijection that spreads every bit of `value` over the result.
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// One of `options`, chosen by the hash of `parts`.
pub fn choose<'a, T>(options: &'a [T], parts: &[&str]) -> &'a T {
    let count = u64::try_from(options.len()).unwrap_or(1).max(1);
    &options[usize::try_from(hash(parts) % count).unwrap_or(0)]
}

/// The id number `serial` of its `kind`, in the form of a random UUID.
pub fn uuid(seed: u64, kind: &str, serial: usize) -> String {
    let high = mix(hash(&[kind, &serial.to_string()]) ^ mix(seed));
    let low = mix(high);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

/// A duration of whole milliseconds within `range`, at least one.
pub fn within(rng: &mut Rng, range: &Range<Duration>) -> Duration {
    let low = millis(range.start).max(1);
    Duration::from_millis(rng.u64(low..=millis(range.end).max(low)))
}

/// The wait for the next of events that come independently of each other, `per_minute` on average.
pub fn gap(rng: &mut Rng, per_minute: f64) -> Duration {
    let seconds = -(1.0 - rng.f64()).ln() * 60.0 / per_minute;
    let gap = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Duration::from_millis(millis(gap).max(1))
}

/// `at` plus `wait`.
pub fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// `at` minus `back`.
pub fn earlier(at: Timestamp, back: Duration) -> Timestamp {
    at.saturating_sub(back).unwrap_or(Timestamp::MIN)
}

/// `at` without what is below the millisecond.
pub fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Whole milliseconds, bounded to ten years so that sums stay within the calendar.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(315_576_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_uuids_and_differ_by_kind_serial_and_seed() {
        let id = uuid(1, "execution", 7);
        assert_eq!(id.len(), 36);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(id, uuid(2, "execution", 7));
        assert_ne!(id, uuid(1, "conversation", 7));
        assert_ne!(id, uuid(1, "execution", 8));
    }

    #[test]
    fn draws_stay_within_their_range_and_are_never_zero() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..100 {
            let drawn = within(&mut rng, &(Duration::from_millis(5)..Duration::from_millis(9)));
            assert!((5..=9).contains(&drawn.as_millis()));
        }
        assert_eq!(within(&mut rng, &(Duration::ZERO..Duration::ZERO)), Duration::from_millis(1));
        assert!(gap(&mut rng, 1e6) >= Duration::from_millis(1));
        assert!(gap(&mut rng, 1e-300) <= Duration::from_hours(87_660));
    }
}
