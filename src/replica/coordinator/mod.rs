//! The coordinator of a replica: takes leases that are free and its share, hands over those that others are to have, and
//! has the supervisor watch what is held.

mod leaving;
mod sharing;
mod taking;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Fleet,
    fleet::{Keys, keys_of},
    registry::Registry,
};
use crate::{
    config::Config,
    lease::{KeyHash, Lease},
    publisher::Publisher,
    state::postgres::Error,
    supervisor::Supervisor,
};

/// From one look for leases that are free to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// From one time that the keys are announced to the next.
const ANNOUNCED_EVERY: Duration = Duration::from_hours(1);

/// Divides the keys with the other replicas.
pub struct Coordinator {
    registry: Registry,
    fleet: Arc<Fleet>,
    supervisor: Arc<Supervisor>,
    publisher: Arc<Publisher>,
    /// Told of leases that were lost.
    lost: Arc<Notify>,
    salt: Vec<u8>,
    known: Keys,
    /// The configuration that they are of, and when they were announced.
    announced: Option<(Arc<Config>, Instant)>,
    /// When the shares are computed again.
    shared: Option<Instant>,
    /// Since when leases are seen free.
    free_since: HashMap<KeyHash, Instant>,
    left_alone: HashMap<KeyHash, Instant>,
    is_away: bool,
    /// The projects that are watched are not those of the leases.
    is_behind: bool,
}

impl Coordinator {
    /// With a database whose keys are hashed with this salt. `lost` is told of leases that were lost.
    #[must_use]
    pub fn new(
        registry: Registry,
        salt: Vec<u8>,
        fleet: Arc<Fleet>,
        supervisor: Arc<Supervisor>,
        publisher: Arc<Publisher>,
        lost: Arc<Notify>,
    ) -> Self {
        Self {
            registry,
            fleet,
            supervisor,
            publisher,
            lost,
            salt,
            known: Keys::new(),
            announced: None,
            shared: None,
            free_since: HashMap::new(),
            left_alone: HashMap::new(),
            is_away: false,
            is_behind: false,
        }
    }

    /// Takes and hands over leases until `shutdown`.
    pub async fn run(&mut self, shutdown: &CancellationToken) {
        let lost = self.lost.clone();
        while !shutdown.is_cancelled() {
            self.turn(shutdown).await;
            tokio::select! {
                () = lost.notified() => {}
                () = sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    async fn turn(&mut self, shutdown: &CancellationToken) {
        self.drop_lost();
        if self.is_behind {
            self.follow().await.ok();
        }
        let looked = shutdown.run_until_cancelled(self.look()).await;
        self.fleet.publish_held();
        match looked {
            Some(Err(error)) if !std::mem::replace(&mut self.is_away, true) => {
                tracing::error!("no lease is taken or handed over: {error}");
            }
            Some(Ok(())) if std::mem::take(&mut self.is_away) => {
                tracing::info!("the database answers again");
                self.fleet.was_away();
            }
            _ => {}
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        if self.fleet.take_gap() {
            self.announced = None;
        }
        self.announce().await?;
        let (free, is_alive) = self.registry.free().await?;
        self.fleet.compare(is_alive);
        let is_mine = |key: &KeyHash| self.known.contains_key(key) && self.fleet.lease(*key).is_none();
        let free: Vec<_> = free.into_iter().filter(is_mine).collect();
        let now = Instant::now();
        self.free_since.retain(|key, _| free.contains(key));
        for key in free {
            self.free_since.entry(key).or_insert(now);
        }
        let is_due = self.shared.is_none_or(|at| at.elapsed() >= self.fleet.terms.renew_every());
        if is_due || (!self.free_since.is_empty() && self.may_change_hands()) {
            self.share().await?;
        }
        Ok(())
    }

    /// Whether leases may change hands. Not in the very look that finds the database again: its leases are over, and those
    /// who hold them know what it may have forgotten.
    fn may_change_hands(&self) -> bool {
        !self.is_away && self.fleet.is_quiet_over()
    }

    /// Makes the keys of the configuration known, and gives up those that are no longer in it.
    async fn announce(&mut self) -> Result<(), Error> {
        let config = self.supervisor.configured();
        let is_done = |(known, at): &(Arc<Config>, Instant)| {
            Arc::ptr_eq(known, &config) && at.elapsed() < ANNOUNCED_EVERY
        };
        if self.announced.as_ref().is_some_and(is_done) {
            return Ok(());
        }
        let keys = keys_of(&config, &self.salt);
        let announced: Vec<_> = keys.iter().map(|(key, projects)| (*key, projects.join(","))).collect();
        self.registry.announce(&announced).await?;
        self.known = keys;
        self.fleet.metrics.configured(self.known.values().flatten().cloned().collect());
        for lease in self.fleet.held() {
            // A project may have been given another key.
            self.watch_under(&lease);
        }
        self.follow().await.ok();
        let is_unknown = |lease: &Lease| !self.known.contains_key(&lease.key());
        let gone: Vec<_> =
            self.fleet.held().into_iter().filter(is_unknown).map(|lease| (lease, None)).collect();
        self.hand_over(&gone).await?;
        self.announced = Some((config, Instant::now()));
        Ok(())
    }

    /// The projects of its key are watched under this lease.
    fn watch_under(&self, lease: &Lease) {
        self.fleet.leases.set(lease, self.known.get(&lease.key()).map_or(&[], Vec::as_slice));
    }

    /// Gives up what another replica has.
    fn drop_lost(&mut self) {
        let lost: Vec<_> = self.fleet.held().into_iter().filter(Lease::is_lost).collect();
        if lost.is_empty() {
            return;
        }
        tracing::warn!(leases = lost.len(), "other replicas have these leases now");
        for lease in &lost {
            self.fleet.leases.remove(lease);
            self.fleet.remove(lease);
        }
        self.is_behind = true;
    }

    /// Watches the projects of the leases that are held, and no others. If that fails, the next turn tries it again.
    async fn follow(&mut self) -> anyhow::Result<()> {
        let followed = self.supervisor.follow_leases().await;
        self.is_behind = followed.is_err();
        if let Err(error) = &followed {
            tracing::error!("the leases that are held cannot be followed: {error:#}");
        }
        followed.map(drop)
    }
}
