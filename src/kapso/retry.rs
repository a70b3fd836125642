//! Whether and when a request is tried again at once. Whatever takes longer is for the next sweep.

use std::time::Duration;

use backon::ExponentialBuilder;

use super::{Error, Reason};

/// A `Retry-After` longer than this is not waited for: the request fails, and the sweep with it, so that the
/// exporter says it is blind. The budget stays paused all the same.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// The waits between attempts: three at most.
pub(super) const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(LONGEST_BACKOFF)
    .with_max_times(3)
    .with_jitter();

/// The longest of these waits, jitter included.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// How long a call may take at most, all its attempts and waits included, if no attempt takes longer than
/// `timeout`: a pause comes before the first attempt, and one before the last, which begins within `timeout`.
#[must_use]
pub fn longest_call(timeout: Duration) -> Duration {
    2 * (LONGEST_WAIT + timeout) + LONGEST_BACKOFF
}

/// How long to wait before trying again, if that may help at once: not after a deadline, which took long. After a 429
/// the budget itself waits.
pub(super) fn delay_before_retry(
    error: &Error,
    delays: &mut impl Iterator<Item = Duration>,
) -> Option<Duration> {
    let delay = delays.next().filter(|_| error.is_transient() && error.reason() != Some(Reason::Timeout))?;
    match error.retry_after() {
        Some(wait) if error.reason() == Some(Reason::RateLimited) => {
            (wait <= LONGEST_WAIT).then_some(Duration::ZERO)
        }
        _ => Some(delay),
    }
}
