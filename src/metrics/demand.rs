//! Which expositions are asked for again and again.

use std::time::Duration;

use parking_lot::Mutex;
use strum::{EnumCount, VariantArray};
use tokio::time::Instant;

use super::{Encoding, Format};

/// Longer than anybody waits from one scrape to the next: Prometheus takes a series for gone after five minutes.
const LATELY: Duration = Duration::from_mins(5);

/// When each exposition was last asked for.
#[derive(Debug, Default)]
pub struct Demand(Mutex<[[Option<Instant>; Encoding::COUNT]; Format::COUNT]>);

impl Demand {
    /// Takes note that one is asked for.
    pub fn note(&self, format: Format, encoding: Encoding) {
        self.0.lock()[format as usize][encoding as usize] = Some(Instant::now());
    }

    /// Those that were asked for lately.
    pub fn lately(&self) -> Vec<(Format, Encoding)> {
        let asked = *self.0.lock();
        let all = Format::VARIANTS
            .iter()
            .flat_map(|&format| Encoding::VARIANTS.iter().map(move |&encoding| (format, encoding)));
        let is_recent = |(format, encoding): &(Format, Encoding)| {
            asked[*format as usize][*encoding as usize].is_some_and(|at| at.elapsed() < LATELY)
        };
        all.filter(is_recent).collect()
    }
}
