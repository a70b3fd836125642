//! What runs beside everything else where replicas share the state.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, Notify},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::SharedStore,
    config::SharedState,
    inbox::Inbox,
    lease::{Leases, Terms},
    metrics::ReplicaMetrics,
    publisher::Publisher,
    replica::{Coordinator, Drain, Elsewhere, Fleet, Heart, Registry},
    state::postgres::{Database, Error},
    supervisor::Supervisor,
    web::{Readiness, Replicas},
};

/// From one try to reach the database to the next.
const RETRY: Duration = Duration::from_secs(1);

/// A replica that knows its database.
pub(super) struct Joined {
    pub store: SharedStore,
    registry: Registry,
    salt: Vec<u8>,
    fleet: Arc<Fleet>,
}

/// A replica, and what it runs.
pub(super) struct Replica {
    /// What the handlers see.
    pub pages: Replicas,
    coordinator: Arc<Mutex<Coordinator>>,
    heart: Option<Heart>,
    drain: Option<Drain>,
}

impl Joined {
    /// Waits until the database answers, and has the tables of this version.
    ///
    /// # Errors
    /// If it has not, or does not let us in.
    pub async fn new(shared: &SharedState) -> anyhow::Result<Self> {
        let metrics = Arc::<ReplicaMetrics>::default();
        let database = Database::new(shared.url.clone(), metrics.clone())?;
        let salt = opened(&database, shared.migrate).await?;
        let id = format!("{:016x}", getrandom::u64()?);
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let terms = Terms { ttl: shared.lease_ttl };
        let leases = Leases::default();
        let registry = Registry::new(database.clone(), id.clone(), name, terms);
        let fleet = Arc::new(Fleet::new(terms, leases.clone(), metrics));
        let store = SharedStore { database, leases, replica: id };
        Ok(Self { store, registry, salt, fleet })
    }

    /// What is to run, with these parts.
    pub fn runs(self, supervisor: &Arc<Supervisor>, publisher: &Arc<Publisher>, inbox: &Inbox) -> Replica {
        let Self { store, registry, salt, fleet } = self;
        let (lost, streams) = (Arc::new(Notify::new()), publisher.renderer().streams().clone());
        publisher.instance().shares(fleet.metrics.clone());
        let heart = Heart::new(&registry, fleet.clone(), streams.clone(), lost.clone());
        let elsewhere = Arc::new(Elsewhere::new(&store.database, supervisor.clone()));
        let drain = Drain::new(&store.database, streams, inbox.clone());
        let (supervisor, publisher) = (supervisor.clone(), publisher.clone());
        let coordinator = Coordinator::new(registry, salt, fleet.clone(), supervisor, publisher, lost);
        Replica {
            pages: Replicas { fleet, elsewhere },
            coordinator: Arc::new(Mutex::new(coordinator)),
            heart: Some(heart),
            drain: Some(drain),
        }
    }
}

/// The salt of the keys' hashes, once the database answers.
async fn opened(database: &Database, migrate: bool) -> Result<Vec<u8>, Error> {
    let mut said = false;
    loop {
        let migrated = if migrate { database.migrate().await.map(drop) } else { Ok(()) };
        let opened = match migrated {
            Ok(()) => database.salt().await,
            Err(error) => Err(error),
        };
        match opened {
            Err(error) if error.is_temporary() => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!("nothing is watched until the database answers: {error}");
                }
                sleep(RETRY).await;
            }
            opened => return opened,
        }
    }
}

impl Replica {
    /// Runs it until `shutdown`. It is ready once the database knows that it is alive.
    pub fn spawn(
        &mut self,
        tasks: &mut JoinSet<()>,
        readiness: &Arc<Readiness>,
        shutdown: &CancellationToken,
    ) {
        if let Some(heart) = self.heart.take() {
            let readiness = readiness.clone();
            tasks.spawn(heart.run(move || readiness.set_ready(), shutdown.clone()));
        }
        if let Some(drain) = self.drain.take() {
            tasks.spawn(drain.run(shutdown.clone()));
        }
        let (coordinator, ends) = (self.coordinator.clone(), shutdown.clone());
        tasks.spawn(async move { coordinator.lock().await.run(&ends).await });
    }

    /// Releases its leases, when all is saved and nothing is served any more; until then.
    pub async fn leave(&self, until: Instant) {
        self.coordinator.lock().await.leave(until).await;
    }
}
