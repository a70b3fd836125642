//! The clock as an argument: the system's in production, tokio's (pausable) one in simulated time.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};

/// A source of wall-clock time. Cheap to clone; clones agree with each other.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that shows `start` now and advances with tokio's, so that a test which pauses tokio's time
    /// moves this one with it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn following_tokio(start: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        Self(Arc::new(move || {
            let elapsed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
            start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
        }))
    }

    /// A clock that is ahead of this one by `skew` (behind, where it is negative).
    #[must_use]
    pub fn skewed(&self, skew: SignedDuration) -> Self {
        let clock = self.clone();
        Self(Arc::new(move || clock.now().saturating_add(skew).unwrap_or(Timestamp::MAX)))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
