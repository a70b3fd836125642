//! Giving leases away: to another replica whose share they are, or to whoever takes them when this one stops.
//!
//! The projects are no longer swept, saved once more, no longer shown; then the leases are released.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    super::{
        heart::{budgets_of, encoded},
        registry::Release,
    },
    Coordinator,
    sharing::HandOver,
};
use crate::{
    kapso::Budget,
    lease::{KeyHash, Lease},
    metrics::LeaseLoss,
    state::postgres::Error,
};

/// How long the release of leases may take at the end, however late it is.
const RELEASED_WITHIN: Duration = Duration::from_millis(400);

impl Coordinator {
    /// Hands these over, each to this replica if one is named: saves their projects once more, shows them no longer, and
    /// releases the leases.
    pub(super) async fn hand_over(&mut self, leases: &[HandOver]) -> Result<(), Error> {
        // While something cannot be saved, whoever took over would go on from less than was shown: it is tried again.
        if leases.is_empty() || !self.publisher.save().await {
            return Ok(());
        }
        let keys: Vec<_> = leases.iter().map(|(lease, _)| lease.clone()).collect();
        let budgets = budgets_of(self.publisher.renderer().streams(), &keys);
        for lease in &keys {
            self.fleet.leases.leave(lease);
        }
        let followed = self.follow().await;
        if followed.is_ok() {
            self.publisher.save().await;
        }
        tracing::info!(leases = leases.len(), "leases are handed over");
        for lease in &keys {
            self.fleet.remove(lease);
            self.fleet.leases.remove(lease);
            if lease.lose() {
                self.fleet.metrics.lost(LeaseLoss::HandedOver);
            }
        }
        let released: Vec<_> =
            leases.iter().map(|(lease, successor)| released(lease, &budgets, successor.clone())).collect();
        self.registry.release(&released).await
    }

    /// Releases everything at the end, when all is saved and nothing is served any more; `until` then.
    pub async fn leave(&self, until: Instant) {
        let held = self.fleet.held();
        for lease in &held {
            lease.lose();
        }
        let budgets = budgets_of(self.publisher.renderer().streams(), &held);
        let released: Vec<_> = held.iter().map(|lease| released(lease, &budgets, None)).collect();
        let left = async {
            // First, so that nobody takes it for one that could have a share.
            self.registry.leave().await?;
            self.registry.release(&released).await
        };
        let within = until.saturating_duration_since(Instant::now()).max(RELEASED_WITHIN);
        match timeout(within, left).await {
            Ok(Ok(())) => tracing::info!(leases = released.len(), "leases are released"),
            Ok(Err(error)) => {
                tracing::warn!("leases are not released, others wait until their time is over: {error}");
            }
            Err(_) => tracing::warn!("leases are not released in time: others wait until their time is over"),
        }
    }
}

/// Of a lease that is lost: nothing is asked any more.
fn released(lease: &Lease, budgets: &HashMap<KeyHash, Arc<Budget>>, successor: Option<String>) -> Release {
    let usage = budgets.get(&lease.key()).map(|budget| encoded(&budget.usage()));
    Release { lease: lease.clone(), usage, successor }
}
