//! The exporter put together: what serving, `once`, tests and benches have in common.
//!
//! [`App`] holds the projects that are watched. Another configuration takes effect in two steps: [`Opening::open`] opens
//! all that is new and changes nothing, so that it may fail, and [`App::switch`] takes it over, which cannot fail. A
//! project of the same name goes on with its accounts, whatever else is new about it.

mod opened;
mod opening;
mod store;
mod watched;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::{
    opened::{Changes, Opened, bounds},
    opening::Opening,
    store::{SharedStore, Store},
    watched::WatchedProject,
};
use crate::{
    clock::Clock,
    config::Config,
    metrics::{InstanceMetrics, Renderer},
    project::{Changed, Stream, Streams, Transports},
    publisher::{Publisher, Unsaved},
};

/// What opens a state file that is not large on a disk that works.
const OPENED_SOON: Duration = Duration::from_secs(5);

/// The projects that are watched, by name.
pub type Projects = BTreeMap<Arc<str>, Arc<WatchedProject>>;

/// Projects with their streams, and all that is published of them.
pub struct App {
    /// What is watched.
    pub projects: Projects,
    /// What is published; nothing yet.
    pub publisher: Arc<Publisher>,
    /// Told of every change of a stream.
    pub changed: Changed,
    /// Our clock.
    pub clock: Clock,
    /// Ends everything.
    pub shutdown: CancellationToken,
    /// The streams of all projects.
    streams: Arc<Streams>,
    /// Opens further projects.
    opening: Opening,
}

impl App {
    /// Opens the store that is configured, or the one that is shared, and puts everything together, without holding up anybody else: that takes
    /// a while if a state file is large, and for ever if the disk hangs. That is said.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the store cannot be used.
    pub async fn open(
        config: Config,
        shared: Option<SharedStore>,
        transports: Arc<dyn Transports>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let open = move || {
            let store = match shared {
                Some(shared) => Store::shared(shared, &config.state, &clock),
                None => Store::open(&config.state, &clock)?,
            };
            Self::build(config, transports, clock, store, shutdown)
        };
        let mut opening = spawn_blocking(open);
        if let Ok(opened) = timeout(OPENED_SOON, &mut opening).await {
            return opened?;
        }
        tracing::warn!(
            "the state file is not open after 5s: a large one takes a while, a disk that hangs for ever"
        );
        opening.await?
    }

    /// Puts everything together and asks nothing. Blocks while accounts are read.
    ///
    /// # Errors
    /// If there is no way to an API, or what is kept cannot be understood or is another project's.
    pub fn build(
        config: Config,
        transports: Arc<dyn Transports>,
        clock: Clock,
        store: Store,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let (changed, streams, instance) = (Changed::default(), Arc::default(), Arc::default());
        let opening = Opening::new(transports, clock.clone(), store, changed.clone(), shutdown.clone());
        let opened = opening.open(config, &Projects::new())?;
        let publisher = publisher(&opened, &opening, instance, &streams, &clock);
        let mut app = Self {
            projects: Projects::new(),
            publisher: Arc::new(publisher),
            changed,
            clock,
            shutdown,
            streams,
            opening,
        };
        app.switch(opened);
        Ok(app)
    }

    /// Opens the projects of another configuration.
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Takes over what was opened. By then nothing may sweep those that it changes or removes.
    pub fn switch(&mut self, opened: Opened) {
        let limits = opened.bounds();
        self.projects = self.opening.take_over(opened, &self.projects);
        self.streams.set(self.projects.values().flat_map(|watched| watched.streams.values().cloned()));
        self.publisher.renderer().set_limits(limits);
        self.changed.notify();
        self.changed.hurry();
    }

    /// The streams of all projects.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.projects.values().flat_map(|watched| watched.streams.values())
    }
}

fn publisher(
    opened: &Opened,
    opening: &Opening,
    instance: Arc<InstanceMetrics>,
    streams: &Arc<Streams>,
    clock: &Clock,
) -> Publisher {
    let renderer = Renderer::new(instance.clone(), streams.clone(), opened.bounds(), clock.clone());
    let store = opening.store();
    let kept = store.keeper().cloned();
    let restored = kept.is_some() && opened.is_restored();
    let unsaved = if store.leases().is_some() { Unsaved::Withheld } else { Unsaved::Published };
    Publisher::new(Arc::new(renderer), instance, kept, unsaved, restored, clock.clone())
}
