//! Publishing: what is counted is collected, then saved, and only then served.
//!
//! So a restart never takes back a number that somebody has read, and what was counted twice by an exporter that
//! was killed before it saved was never seen. Only a disk that does not answer in time is not waited for.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};

use crate::{
    clock::Clock,
    metrics::{InstanceMetrics, Renderer},
    state::{Error, SharedKeeper, Writer, Written},
};

/// The exposition, and the state behind it.
pub struct Publisher {
    renderer: Arc<Renderer>,
    instance: Arc<InstanceMetrics>,
    state: Option<Mutex<State>>,
    unsaved: Unsaved,
    restored: bool,
    clock: Clock,
    /// One at a time: a rendering never takes the place of a newer one.
    turn: Mutex<()>,
}

/// What becomes of numbers that could not be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaved {
    /// They are published: nobody else knows better, and a restart that takes them back is less likely.
    Published,
    /// They are not published before they are saved: another replica may go on from what was saved at any moment.
    Withheld,
}

/// The state file, and whether the last thing said of it was that it cannot be written.
struct State {
    writer: Writer,
    complained: bool,
}

impl Publisher {
    /// Publishes this; `kept` is the state file, if there is one, and `restored` whether all goes on with what it holds.
    #[must_use]
    pub fn new(
        renderer: Arc<Renderer>,
        instance: Arc<InstanceMetrics>,
        kept: Option<SharedKeeper>,
        unsaved: Unsaved,
        restored: bool,
        clock: Clock,
    ) -> Self {
        if let Some(kept) = &kept {
            instance.announce_state(kept.size());
        }
        let state = kept.map(|kept| Mutex::new(State { writer: Writer::new(kept), complained: false }));
        Self { renderer, instance, state, unsaved, restored, clock, turn: Mutex::default() }
    }

    /// The process.
    #[must_use]
    pub fn instance(&self) -> Arc<InstanceMetrics> {
        self.instance.clone()
    }

    /// What is published.
    #[must_use]
    pub fn renderer(&self) -> Arc<Renderer> {
        self.renderer.clone()
    }

    /// Whether every ledger goes on with what an earlier run kept.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Collects, saves and publishes; returns how long it took. State that cannot be written, or not in time,
    /// is said once and counted, and the numbers are published all the same.
    ///
    /// # Errors
    /// If an exposition cannot be made.
    pub async fn publish(&self) -> anyhow::Result<Duration> {
        let _turn = self.turn.lock().await;
        let (begun, renderer) = (Instant::now(), self.renderer());
        let collect = move || {
            let publication = renderer.collect();
            renderer.prepare(&publication).map(|()| publication)
        };
        let publication = spawn_blocking(collect).await??;
        let took = begun.elapsed();
        let saved = self.save().await;
        match self.unsaved {
            Unsaved::Withheld if !saved => self.renderer.publish_instance(&publication),
            Unsaved::Withheld | Unsaved::Published => self.renderer.publish(publication),
        }
        Ok(took)
    }

    /// Saves what was counted, where there is a state file. Returns whether nothing is left to save.
    pub async fn save(&self) -> bool {
        let Some(state) = &self.state else { return true };
        let mut state = state.lock().await;
        let written = state.writer.write().await;
        self.note(&mut state, written).is_ok() && !state.writer.is_behind()
    }

    /// Saves what is not saved yet, and closes the file. Nothing is saved after that.
    ///
    /// # Errors
    /// If it cannot be written, or not until then.
    pub async fn close(&self, until: Instant) -> Result<(), Error> {
        let Some(state) = &self.state else { return Ok(()) };
        let mut state = state.lock().await;
        let written = state.writer.close(until).await;
        self.note(&mut state, written)
    }

    /// Counts how writing went, and says what is new about it.
    fn note(&self, state: &mut State, written: Result<Option<Written>, Error>) -> Result<(), Error> {
        match written {
            Ok(None) => Ok(()),
            Ok(Some(Written { size })) => {
                self.instance.state_written(size, self.clock.wall());
                if std::mem::take(&mut state.complained) {
                    tracing::info!("state is written again");
                }
                Ok(())
            }
            Err(error) => {
                self.instance.state_failed();
                if !std::mem::replace(&mut state.complained, true) {
                    tracing::error!("state is not written: {error}; counting goes on in memory");
                }
                Err(error)
            }
        }
    }
}
