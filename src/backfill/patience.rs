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

/// A page with items that cannot be read is asked for so many more times: they may have been spoilt on their way.
const READINGS: u32 = 2;

/// The waits between attempts, until there is no more of it.
#[derive(Debug)]
pub(super) struct Patience {
    waits: ExponentialBackoff,
    spent: u32,
}

impl Patience {
    /// Whether items that cannot be read may yet be readable.
    pub fn has_hope(&self) -> bool {
        self.spent < READINGS
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { waits: WAITS.build(), spent: 0 }
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.spent += 1;
        self.waits.next()
    }
}
