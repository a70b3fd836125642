//! Publishing: what is counted is rendered, then saved, and only then served.
//!
//! So a restart never takes back a number that somebody has read, and what was counted twice by an exporter that
//! was killed before it saved was never seen.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    clock::Clock,
    metrics::{Exporter, Exposition},
    state::{Error, Kept},
};

/// The exposition, and the state behind it.
pub struct Publication {
    exposition: Arc<Exposition>,
    exporter: Arc<Exporter>,
    kept: Option<Mutex<Keeping>>,
    clock: Clock,
}

/// The state file, and whether the last thing said of it was that it cannot be written.
struct Keeping {
    kept: Kept,
    complained: bool,
}

impl Publication {
    /// Publishes this; `kept` is the state file, if there is one.
    #[must_use]
    pub fn new(
        exposition: Arc<Exposition>,
        exporter: Arc<Exporter>,
        kept: Option<Kept>,
        clock: Clock,
    ) -> Self {
        if let Some(kept) = &kept {
            exporter.announce_state(kept.size().unwrap_or_default());
        }
        let kept = kept.map(|kept| Mutex::new(Keeping { kept, complained: false }));
        Self { exposition, exporter, kept, clock }
    }

    /// What is published.
    #[must_use]
    pub fn exposition(&self) -> Arc<Exposition> {
        self.exposition.clone()
    }

    /// Whether every ledger goes on with what an earlier run kept.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.kept.as_ref().is_some_and(|keeping| keeping.lock().kept.is_restored())
    }

    /// Renders, saves and publishes. Blocks. State that cannot be written is said once and counted each time, and
    /// the numbers are published all the same.
    ///
    /// # Errors
    /// If a family cannot be written as text.
    pub fn publish(&self) -> anyhow::Result<()> {
        let snapshot = self.exposition.render()?;
        self.save(false).ok();
        self.exposition.publish(snapshot);
        Ok(())
    }

    /// Saves what is not saved yet; `last` if there will be no other try. Blocks.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, last: bool) -> Result<(), Error> {
        let Some(keeping) = &self.kept else { return Ok(()) };
        let mut keeping = keeping.lock();
        match keeping.kept.save(last) {
            Ok(None) => Ok(()),
            Ok(Some(size)) => {
                self.exporter.state_written(size, self.clock.wall());
                if std::mem::take(&mut keeping.complained) {
                    tracing::info!("state is written again");
                }
                Ok(())
            }
            Err(error) => {
                self.exporter.state_failed();
                if !std::mem::replace(&mut keeping.complained, true) {
                    tracing::error!(%error, "state is not written; counting goes on in memory");
                }
                Err(error)
            }
        }
    }
}
