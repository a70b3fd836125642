//! What the readiness probe answers.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the numbers are there.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// They are, from now on.
    pub fn set_ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether they are.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
