//! How often a page is asked for that does not come, and how long is waited meanwhile: nobody is there who would ask again
//! at the next interval.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Seconds at first, a minute at last; in all about two minutes.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_delay(Duration::from_mins(1))
    .with_factor(3.0)
    .with_max_times(5);

/// The waits between attempts, until there is no more of it.
#[derive(Debug)]
pub(super) struct Patience(ExponentialBackoff);

impl Default for Patience {
    fn default() -> Self {
        Self(WAITS.build())
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}
