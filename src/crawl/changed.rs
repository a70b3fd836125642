//! Word that something changed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{Notify, watch};

/// Tells whoever listens that something changed. Clones tell the same listeners, of the same thing.
#[derive(Debug, Clone, Default)]
pub struct Changed {
    all: watch::Sender<u64>,
    newest: Arc<AtomicU64>,
    hurry: Arc<Notify>,
}

impl Changed {
    /// For a thing of its own, with the same listeners. It has changed just now.
    #[must_use]
    pub fn of_another(&self) -> Self {
        let another = Self { newest: Arc::default(), ..self.clone() };
        another.notify();
        another
    }

    /// Something has changed: call it after the change.
    pub fn notify(&self) {
        self.all.send_modify(|changes| {
            *changes += 1;
            self.newest.store(*changes, Ordering::Release);
        });
    }

    /// Somebody waits for what has changed: whoever publishes it is to do so soon.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits until something is to be published soon. One listener hears of it.
    pub async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// The number of this thing's newest change. No two things share a number.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Hears of every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.all.subscribe()
    }
}
