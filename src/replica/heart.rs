//! The heart of a replica: tells the database that it is alive, renews its leases, and tells how many requests it will make
//! with their keys. Nothing else that the replica does holds it up.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Fleet,
    registry::{Registry, Renewal, Renewed},
};
use crate::{
    kapso::{Budget, Usage},
    lease::{BootTime, KeyHash, Lease},
    project::{Stream, Streams},
    state::postgres::Error,
};

/// After a failure the database is asked again so soon.
const RETRY: Duration = Duration::from_secs(1);
/// Leases that need more requests reserved are gathered for so long.
const GATHERED: Duration = Duration::from_millis(20);
/// So many executions that are remembered cost as much as one request a minute.
const EXECUTIONS_PER_COST: f32 = 1000.0;

/// Beats as long as the replica lives.
pub struct Heart {
    registry: Registry,
    fleet: Arc<Fleet>,
    streams: Arc<Streams>,
    /// Told when a lease was lost.
    lost: Arc<Notify>,
}

impl Heart {
    /// Over a connection of its own; `lost` is told of leases that were lost.
    #[must_use]
    pub fn new(registry: &Registry, fleet: Arc<Fleet>, streams: Arc<Streams>, lost: Arc<Notify>) -> Self {
        Self { registry: registry.apart(), fleet, streams, lost }
    }

    /// Beats until `shutdown`; `on_beat` is called each time that the database has answered.
    pub async fn run(self, on_beat: impl Fn(), shutdown: CancellationToken) {
        let beating = async {
            loop {
                let begun = Instant::now();
                let beaten = self.beat().await;
                self.fleet.note_expired();
                match beaten {
                    Ok(()) => {
                        on_beat();
                        self.reserve_more(begun + self.fleet.terms.renew_every()).await;
                    }
                    Err(_) => sleep(RETRY.min(self.fleet.terms.renew_every())).await,
                }
            }
        };
        shutdown.run_until_cancelled(beating).await;
    }

    /// Until then, reserves more requests for those who wait for it; for less long if the database does not answer.
    async fn reserve_more(&self, until: Instant) {
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.fleet.short.notified() => sleep(GATHERED).await,
            }
            let mut short = self.fleet.held();
            short.retain(Lease::was_short);
            let budgets = budgets_of(&self.streams, &short);
            let told = short.into_iter().filter_map(|lease| {
                let usage = budgets.get(&lease.key())?.reserve();
                Some((lease, encoded(&usage)))
            });
            let told: Vec<_> = told.collect();
            if told.is_empty() {
                continue;
            }
            let Ok(reserved) = self.registry.reserve(&told).await else { return };
            for (lease, _) in reserved.into_iter().filter_map(|place| told.get(place)) {
                lease.confirm_reserved();
            }
        }
    }

    /// Tells that the replica is alive, and renews its leases.
    async fn beat(&self) -> Result<(), Error> {
        let (asked, leases) = (BootTime::now(), self.fleet.held());
        let (budgets, executions) = (budgets_of(&self.streams, &leases), self.executions());
        let renewal = |lease: &Lease| {
            let usage = budgets.get(&lease.key()).map(|budget| budget.reserve());
            renewal(lease, usage.as_ref(), executions.get(&lease.key()).copied().unwrap_or_default())
        };
        let renewals: Vec<_> = leases.iter().map(renewal).collect();
        let until = self.fleet.terms.trusted_until(asked);
        let beat = self.registry.beat(&renewals).await?;
        self.fleet.has_beaten(beat.was_alive);
        for (lease, renewed) in leases.iter().zip(beat.renewed) {
            match renewed {
                Renewed::Granted => {
                    lease.extend(lease.epoch(), until);
                    lease.confirm_reserved();
                }
                // Unless it was handed over meanwhile.
                Renewed::Lost if self.fleet.lease(lease.key()).is_some_and(|known| known.is(lease)) => {
                    self.fleet.fenced(lease);
                    self.lost.notify_one();
                }
                Renewed::Lost => {}
                Renewed::Older => self.take_again(lease).await?,
            }
        }
        Ok(())
    }

    /// How many executions are remembered of the projects of each key.
    fn executions(&self) -> HashMap<KeyHash, usize> {
        let mut executions = HashMap::new();
        for stream in self.streams.all().iter() {
            let Some(lease) = &stream.lease else { continue };
            *executions.entry(lease.key()).or_default() += stream.account.lock().ledger.remembered();
        }
        executions
    }

    /// The database forgot that the lease was granted, as after a failover or with a backup: nobody else can go on from
    /// what is known here.
    async fn take_again(&self, lease: &Lease) -> Result<(), Error> {
        let asked = BootTime::now();
        if let Some(epoch) = self.registry.take_again(lease).await? {
            tracing::warn!(
                ?lease,
                "the database knows an earlier state than this replica: its lease is taken again"
            );
            lease.extend(epoch, self.fleet.terms.trusted_until(asked));
            // What was reserved is forgotten as well.
            lease.reserve(0);
            lease.confirm_reserved();
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "a measure")]
fn renewal(lease: &Lease, usage: Option<&Usage>, executions: usize) -> Renewal {
    let requests = usage.map_or(0, Usage::requests);
    let cost = 1.0 + requests as f32 + executions as f32 / EXECUTIONS_PER_COST;
    Renewal { lease: lease.clone(), cost, usage: usage.map(encoded) }
}

/// The budgets of the keys of these leases; none of a lease whose projects were not opened yet.
pub(super) fn budgets_of(streams: &Streams, leases: &[Lease]) -> HashMap<KeyHash, Arc<Budget>> {
    let keys: HashSet<_> = leases.iter().map(Lease::key).collect();
    let budget = |stream: &Arc<Stream>| {
        let key = stream.lease.as_ref()?.key();
        keys.contains(&key).then(|| (key, stream.budget.clone()))
    };
    streams.all().iter().filter_map(budget).collect()
}

/// Serialisation into memory fails for no type of ours.
pub(super) fn encoded(usage: &Usage) -> Vec<u8> {
    postcard::to_stdvec(usage).unwrap_or_default()
}
