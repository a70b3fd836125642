//! Word that something changed.

use tokio::sync::watch;

/// Tells whoever listens that something changed. Clones tell the same listeners.
#[derive(Debug, Clone, Default)]
pub struct Changed(watch::Sender<u64>);

impl Changed {
    /// Something has changed: call it after the change.
    pub fn notify(&self) {
        self.0.send_modify(|changes| *changes += 1);
    }

    /// Hears of every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
