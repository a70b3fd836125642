//! The API's rate limit: so many requests in each minute of the clock, for everything that uses the key.

use jiff::Timestamp;

/// Requests of the current minute against the limit.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Requests per minute; `None` is unlimited.
    pub per_minute: Option<u32>,
    /// Whether answers tell how much is left.
    pub headers: bool,
    minute: i64,
    used: u32,
}

/// What one request found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Whether it is within the limit.
    pub allowed: bool,
    /// Limit and requests left, where answers show them.
    pub shown: Option<(u32, u32)>,
}

impl Limit {
    /// A limit of which nothing is used.
    pub fn new(per_minute: Option<u32>, headers: bool) -> Self {
        Self { per_minute, headers, minute: i64::MIN, used: 0 }
    }

    /// Counts a request at `now`.
    pub fn take(&mut self, now: Timestamp) -> Usage {
        let minute = now.as_second().div_euclid(60);
        if minute != self.minute {
            (self.minute, self.used) = (minute, 0);
        }
        let Some(limit) = self.per_minute else {
            return Usage { allowed: true, shown: None };
        };
        let allowed = self.used < limit;
        self.used = self.used.saturating_add(u32::from(allowed));
        let shown = self.headers.then_some((limit, limit.saturating_sub(self.used)));
        Usage { allowed, shown }
    }
}
