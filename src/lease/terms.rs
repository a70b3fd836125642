//! For how long leases are granted and trusted.

use std::time::Duration;

use super::BootTime;

/// For how long leases are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For how long a lease is granted, by the clock of the database.
    pub ttl: Duration,
}

impl Terms {
    /// The part of the time that is not trusted: clocks of two machines go at rates that differ by far less.
    const MARGIN_SHARE: u32 = 10;
    /// Renewals in the time of a lease: two may fail.
    const RENEWALS: u32 = 3;

    /// How much sooner the holder stops than the database lets others begin.
    #[must_use]
    pub fn margin(self) -> Duration {
        self.ttl / Self::MARGIN_SHARE
    }

    /// How long a lease is held before it may be given to a replica that has others: costs go up and down, and each
    /// hand-over costs a project a moment.
    #[must_use]
    pub fn settled(self) -> Duration {
        20 * self.ttl
    }

    /// How long its holder trusts a lease, from the moment before it is asked for.
    #[must_use]
    pub fn trusted(self) -> Duration {
        self.ttl.saturating_sub(self.margin())
    }

    /// From one renewal to the next.
    #[must_use]
    pub fn renew_every(self) -> Duration {
        self.ttl / Self::RENEWALS
    }

    /// How long a replica has to live before others give leases to it.
    #[must_use]
    pub fn patience(self) -> Duration {
        2 * self.ttl
    }

    /// Until when a lease is trusted that was asked for then.
    #[must_use]
    pub fn trusted_until(self, asked: BootTime) -> BootTime {
        asked.plus(self.trusted())
    }
}

impl Default for Terms {
    /// What the flags say unless they are given.
    fn default() -> Self {
        Self { ttl: Duration::from_secs(15) }
    }
}
