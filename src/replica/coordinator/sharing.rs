//! What is to be taken and what is to be handed over: the share of each replica, as [`shares`] says.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    super::{
        registry::{Known, Seen},
        shares::{self, Candidate},
    },
    Coordinator,
};
use crate::{
    lease::{Epoch, KeyHash, Lease},
    state::postgres::Error,
};

/// The most leases that are taken at once: the first of them are watched before the last are read.
const AT_ONCE: usize = 100;
/// A lease that is free for so long is taken by whoever knows its key: the one whose share it is may not.
const UNCLAIMED: Duration = Duration::from_secs(1);
/// A key whose projects could not be opened is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// A lease that is free, by its key, and how often it was granted.
pub(super) type Free = (KeyHash, Epoch);
/// A lease, and the replica that is to have it.
pub(super) type HandOver = (Lease, Option<String>);

impl Coordinator {
    /// Takes what is free and its own, and hands over what others are to have.
    pub(super) async fn share(&mut self) -> Result<(), Error> {
        let (replicas, mut leases) = self.registry.overview().await?;
        self.fleet.learn(self.registry.id(), &replicas, &leases);
        self.shared = Some(Instant::now());
        // Keys that are no longer configured are nobody's load.
        leases.retain(|known| !known.is_free || self.known.contains_key(&known.key));
        let (mut mine, others) = self.divide(&leases, self.shares(&replicas, &leases));
        if !self.may_change_hands() {
            return Ok(());
        }
        self.hand_over(&others).await?;
        mine.retain(|(key, _)| self.known.contains_key(key) && !self.is_left_alone(*key));
        for mine in mine.chunks(AT_ONCE) {
            self.take(mine).await?;
        }
        Ok(())
    }

    /// Of these leases and who is to hold each: what is to be taken here, and what is to be handed over.
    fn divide(&self, leases: &[Known], holders: Vec<Option<String>>) -> (Vec<Free>, Vec<HandOver>) {
        let owners: HashSet<_> = leases.iter().map(|known| &known.owner).collect();
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for (known, holder) in leases.iter().zip(holders) {
            let is_mine = holder.as_deref() == Some(self.registry.id());
            match self.fleet.lease(known.key) {
                Some(lease) if !is_mine && lease.is_held() => {
                    let is_newcomer = holder.as_ref().is_none_or(|holder| !owners.contains(holder));
                    if is_newcomer || known.held_for >= self.fleet.terms.settled() {
                        others.push((lease, holder));
                    }
                }
                None if known.is_free && (is_mine || self.is_unclaimed(known.key)) => {
                    mine.push((known.key, known.epoch));
                }
                _ => {}
            }
        }
        (mine, others)
    }

    /// For each lease the id of the replica that is to hold it.
    fn shares(&self, replicas: &[Seen], leases: &[Known]) -> Vec<Option<String>> {
        let candidates: Vec<_> =
            replicas.iter().map(|seen| Candidate { id: &seen.id, age: seen.age }).collect();
        let places: HashMap<_, _> = replicas.iter().map(|seen| seen.id.as_str()).zip(0..).collect();
        let owned = leases.iter().map(|known| shares::Lease {
            key: &known.key.0,
            cost: known.cost.into(),
            // One that is free and whose owner is alive was released to it, or was not renewed in time.
            owner: places.get(known.owner.as_str()).copied(),
        });
        let owned: Vec<_> = owned.collect();
        let assigned = shares::assign(&candidates, &owned, self.fleet.terms.patience());
        let id = |place: usize| replicas.get(place).map(|seen| seen.id.clone());
        if assigned.is_empty() {
            return leases.iter().map(|_| None).collect();
        }
        assigned.into_iter().map(id).collect()
    }

    fn is_unclaimed(&self, key: KeyHash) -> bool {
        self.free_since.get(&key).is_some_and(|since| since.elapsed() >= UNCLAIMED)
    }

    fn is_left_alone(&self, key: KeyHash) -> bool {
        self.left_alone.get(&key).is_some_and(|since| since.elapsed() < LEFT_ALONE)
    }
}
