//! A queue for what is costly to verify: short, and fair to whoever asks.
//!
//! One password is verified at a time, on a thread that serves nobody. Whoever asks has a few places; so has each network
//! and user name, so that a flood from one leaves the others theirs. What was wrong is followed by a rest of the same
//! length: a flood takes no more than half of one core.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep},
};

/// Places in the queue.
const PLACES: usize = 64;
/// Of those, for one that asks.
const PLACES_EACH: usize = 4;
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    /// An IPv4 address, or the network that an IPv6 address is in, as each client has a whole one; `None` = it came over a
    /// unix socket.
    network: Option<IpAddr>,
    /// The user, if there is one of this name.
    user: Option<String>,
}

impl Asker {
    /// One at this address, who gives the name of this user.
    pub fn new(address: Option<IpAddr>, user: Option<String>) -> Self {
        Self { network: address.map(network), user }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Attempts {
    turn: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
}

/// Places that are taken.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<Asker, usize>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), taken: Arc::default() }
    }
}

impl Attempts {
    /// Whether `verify` finds a password right, once it is its turn; `None` if there is no place. It is not called if
    /// nobody waits for it any more.
    pub async fn verify(&self, asker: Asker, verify: impl FnOnce() -> bool + Send + 'static) -> Option<bool> {
        let place = Place::take(&self.taken, asker)?;
        let (tell, told) = oneshot::channel();
        let turn = self.turn.clone();
        // It goes on, in its place, although the client is gone: the thread cannot be stopped.
        tokio::spawn(async move {
            let _place = place;
            let _turn = turn.acquire_owned().await;
            if tell.is_closed() {
                return;
            }
            let begun = Instant::now();
            let right = spawn_blocking(verify).await.unwrap_or(false);
            tell.send(right).ok();
            if !right {
                sleep(begun.elapsed().min(LONGEST_REST)).await;
            }
        });
        told.await.ok()
    }
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
struct Place {
    taken: Arc<Mutex<Taken>>,
    asker: Asker,
}

impl Place {
    fn take(all: &Arc<Mutex<Taken>>, asker: Asker) -> Option<Self> {
        let mut taken = all.lock();
        let own = taken.each.get(&asker).copied().unwrap_or_default();
        if taken.all >= PLACES || own >= PLACES_EACH {
            return None;
        }
        taken.all += 1;
        taken.each.insert(asker.clone(), own + 1);
        Some(Self { taken: all.clone(), asker })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.each.get_mut(&self.asker) {
            *own -= 1;
            if *own == 0 {
                taken.each.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    fn at(address: &str) -> Asker {
        Asker::new(Some(address.parse().unwrap()), None)
    }

    #[tokio::test]
    async fn one_that_floods_leaves_the_others_their_places() {
        let attempts = Attempts::default();
        let _held = attempts.turn.clone().acquire_owned().await;
        let mut flood: Vec<_> =
            (0..100).map(|_| Box::pin(attempts.verify(at("192.0.2.1"), || false))).collect();
        let refused = flood.iter_mut().filter_map(FutureExt::now_or_never).filter(Option::is_none).count();
        assert_eq!(refused, 100 - PLACES_EACH);
        assert!(
            attempts.verify(at("192.0.2.2"), || true).now_or_never().is_none(),
            "it has a place, and waits"
        );
    }

    #[tokio::test]
    async fn one_network_is_one_asker() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[tokio::test]
    async fn there_are_so_many_places_and_no_more() {
        let attempts = Attempts::default();
        let held = attempts.turn.clone().acquire_owned().await;
        let mut askers: Vec<_> = (0..=PLACES)
            .map(|number| Box::pin(attempts.verify(at(&format!("192.0.2.{number}")), || true)))
            .collect();
        let refused: Vec<_> = askers.iter_mut().map(FutureExt::now_or_never).collect();
        assert_eq!(refused.iter().filter(|verdict| **verdict == Some(None)).count(), 1);
        drop(held);
        let all = join_all(askers.into_iter().take(PLACES)).await;
        assert!(all.iter().all(|verdict| *verdict == Some(true)));
        assert_eq!(attempts.taken.lock().each, HashMap::new());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_verified_for_one_that_is_gone() {
        let attempts = Attempts::default();
        let held = attempts.turn.clone().acquire_owned().await;
        let (seen, saw) = std::sync::mpsc::channel();
        let gone = Box::pin(attempts.verify(at("192.0.2.1"), move || seen.send(()).is_ok())).now_or_never();
        assert_eq!(gone, None);
        drop(held);
        assert_eq!(attempts.verify(at("192.0.2.1"), || true).await, Some(true));
        assert!(saw.recv().is_err());
    }
}
