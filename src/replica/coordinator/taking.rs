//! Taking leases that are free, and watching their projects.

use std::time::Instant;

use super::{
    super::registry::{Release, Taken},
    Coordinator,
    sharing::Free,
};
use crate::{
    lease::{BootTime, Inherited, Lease},
    state::{self, postgres::Error},
};

impl Coordinator {
    /// Takes those of these that are still free, and watches their projects.
    pub(super) async fn take(&mut self, keys: &[Free]) -> Result<(), Error> {
        let asked = BootTime::now();
        let taken = self.registry.take(keys).await?;
        if taken.is_empty() {
            return Ok(());
        }
        let leases: Vec<_> = taken.into_iter().map(|taken| self.lease(taken, asked)).collect();
        for lease in &leases {
            self.fleet.add(lease);
            self.watch_under(lease);
        }
        tracing::info!(leases = leases.len(), "leases were taken");
        self.fleet.metrics.acquired(leases.len() as u64);
        match self.follow().await {
            Ok(()) => {}
            Err(error) if is_temporary(&error) => self.give_back(&leases).await?,
            // One that cannot be watched is not to keep the others from it.
            Err(_) => self.take_one_by_one(&leases).await?,
        }
        self.fleet.publish_held();
        Ok(())
    }

    fn lease(&self, taken: Taken, asked: BootTime) -> Lease {
        let Taken { key, epoch, usage, told_ago } = taken;
        let lease = Lease::new(key, epoch, self.fleet.terms.trusted_until(asked), self.fleet.short.clone());
        let Some(usage) = usage else { return lease };
        let unseen = told_ago.min(self.fleet.terms.trusted());
        lease.inheriting(Inherited { usage, learned: asked, told_ago, unseen })
    }

    async fn take_one_by_one(&mut self, leases: &[Lease]) -> Result<(), Error> {
        for lease in leases {
            self.fleet.leases.remove(lease);
        }
        for lease in leases {
            self.watch_under(lease);
            if let Err(error) = self.follow().await {
                tracing::error!(projects = ?self.known.get(&lease.key()), "cannot be watched: {error:#}");
                self.left_alone.insert(lease.key(), Instant::now());
                self.give_back(std::slice::from_ref(lease)).await?;
            }
        }
        Ok(())
    }

    /// Releases leases of projects that are not watched.
    async fn give_back(&mut self, leases: &[Lease]) -> Result<(), Error> {
        for lease in leases {
            self.fleet.leases.remove(lease);
            self.fleet.remove(lease);
            lease.lose();
        }
        let released = |lease: &Lease| Release { lease: lease.clone(), usage: None, successor: None };
        self.registry.release(&leases.iter().map(released).collect::<Vec<_>>()).await
    }
}

/// Whether the accounts could not be read because the database did not answer.
fn is_temporary(error: &anyhow::Error) -> bool {
    error.downcast_ref::<state::Error>().is_some_and(state::Error::is_temporary)
}
