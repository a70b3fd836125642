//! The heart of a replica: tells the database that it is alive, and renews its leases. Nothing else that the replica does
//! holds it up.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Fleet,
    registry::{Registry, Renewal, Renewed},
};
use crate::{
    kapso::Usage,
    lease::{BootTime, KeyHash, Lease},
    project::Streams,
    state::postgres::Error,
};

/// After a failure the database is asked again so soon.
const RETRY: Duration = Duration::from_secs(1);
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
                let asked = BootTime::now();
                let pause = match self.beat().await {
                    Ok(()) => {
                        on_beat();
                        self.fleet.terms.renew_every().saturating_sub(BootTime::now().since(asked))
                    }
                    Err(_) => RETRY.min(self.fleet.terms.renew_every()),
                };
                self.fleet.note_expired();
                sleep(pause).await;
            }
        };
        shutdown.run_until_cancelled(beating).await;
    }

    /// Beats once.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn beat(&self) -> Result<(), Error> {
        let (asked, held) = (BootTime::now(), self.fleet.held());
        let (mut usages, executions) = (usages(&self.streams), self.executions());
        let renewal = |lease: &Lease| {
            let usage = usages.remove(&lease.key()).unwrap_or_default();
            renewal(lease, &usage, executions.get(&lease.key()).copied().unwrap_or_default())
        };
        let renewals: Vec<_> = held.iter().map(renewal).collect();
        let until = self.fleet.terms.trusted_until(asked);
        let beat = self.registry.beat(&renewals).await?;
        self.fleet.has_beaten(beat.was_alive);
        for (lease, renewed) in held.iter().zip(beat.renewed) {
            match renewed {
                Renewed::Granted => lease.extend(lease.epoch(), until),
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
}

/// What each key was used for lately.
pub(super) fn usages(streams: &Streams) -> HashMap<KeyHash, Usage> {
    let mut usages = HashMap::new();
    for stream in streams.all().iter() {
        let Some(lease) = &stream.lease else { continue };
        usages.entry(lease.key()).or_insert_with(|| stream.budget.usage());
    }
    usages
}

#[allow(clippy::cast_precision_loss, reason = "a measure")]
fn renewal(lease: &Lease, usage: &Usage, executions: usize) -> Renewal {
    let cost = 1.0 + usage.requests() as f32 + executions as f32 / EXECUTIONS_PER_COST;
    Renewal { lease: lease.clone(), cost, usage: encoded(usage) }
}

/// Serialisation into memory fails for no type of ours.
pub(super) fn encoded(usage: &Usage) -> Vec<u8> {
    postcard::to_stdvec(usage).unwrap_or_default()
}
