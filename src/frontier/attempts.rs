//! Attempts to read a list that failed.

use jiff::SignedDuration;

use crate::clock::Steady;

/// Attempts to read a list that failed, since one succeeded. A list that keeps failing is asked less often, and
/// holds up no other one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// When the last attempt ended.
    pub last: Option<Steady>,
    /// Failures in a row, while other lists could be read.
    pub failures: u8,
}

/// Whether others were well when a list failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Others were well: the list itself fails.
    Alone,
    /// All failed.
    WithAll,
}

impl Attempts {
    /// The pause after a failure doubles so often, up to four intervals: that a list is well again is known soon.
    const MOST_DOUBLINGS: u32 = 2;

    /// None failed since this one, which said that there is no such list.
    pub(crate) fn answered(at: Steady) -> Self {
        Self { last: Some(at), failures: 0 }
    }

    /// Takes note of a failure.
    pub fn failed(&mut self, at: Steady, how: Failed) {
        let failures = self.failures.saturating_add(u8::from(how == Failed::Alone));
        *self = Self { last: Some(at), failures };
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(self) -> bool {
        self.failures > 0
    }

    /// When to ask again for what is due at `due`: not before the pause after the last attempt is over.
    #[must_use]
    pub fn postpone(self, due: Steady, interval: SignedDuration) -> Steady {
        let Some(last) = self.last else { return due };
        let doublings = u32::from(self.failures.saturating_sub(1)).min(Self::MOST_DOUBLINGS);
        due.max(last.plus(interval.saturating_mul(1 << doublings)))
    }
}
