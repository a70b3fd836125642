//! The leases that this replica holds.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, futures::Notified};

use super::{BootTime, reservation::Reservation};

/// Which API key it is: a hash of it, with the salt of the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// That of `key`.
    #[must_use]
    pub fn of(key: &SecretString, salt: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(salt).chain_update(key.expose_secret()).finalize().into())
    }
}

/// Its beginning, which tells keys apart in a log.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How many times a lease was granted anew.
pub type Epoch = i64;

/// What the holder before told of the use of the key.
#[derive(Debug, Clone)]
pub struct Inherited {
    /// In its own words.
    pub usage: Vec<u8>,
    /// When that is learned.
    pub learned: BootTime,
    /// How long ago it was told then.
    pub told_ago: Duration,
    /// For how long after that it may have gone on to use the key.
    pub unseen: Duration,
}

/// A lease that is held, or was. Clones are the same one.
#[derive(Clone)]
pub struct Lease(Arc<Inner>);

struct Inner {
    key: KeyHash,
    inherited: Mutex<Option<Inherited>>,
    epoch: AtomicI64,
    /// Until when it is trusted, in nanoseconds of boot time; zero once it was lost.
    trusted_until: AtomicU64,
    reservation: Mutex<Reservation>,
    /// Told when more is granted: time, or requests.
    granted: Notify,
    /// A request was held up, since the reservation was used up.
    is_short: AtomicBool,
    /// Told of that.
    short: Arc<Notify>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, epoch {}", self.key(), self.epoch())
    }
}

impl Lease {
    /// One that is trusted until then. `short` is told when more requests are to be reserved.
    #[must_use]
    pub fn new(key: KeyHash, epoch: Epoch, trusted_until: BootTime, short: Arc<Notify>) -> Self {
        let (epoch, trusted_until) = (epoch.into(), trusted_until.nanos().into());
        let (inherited, reservation, granted, is_short) = Default::default();
        Self(Arc::new(Inner { key, inherited, epoch, trusted_until, reservation, granted, is_short, short }))
    }

    /// The same, of a key that was used before.
    #[must_use]
    pub fn inheriting(self, inherited: Inherited) -> Self {
        *self.0.inherited.lock() = Some(inherited);
        self
    }

    /// What the holder before told of its key; the first time it is asked for.
    #[must_use]
    pub fn take_inherited(&self) -> Option<Inherited> {
        self.0.inherited.lock().take()
    }

    /// Of which key it is.
    #[must_use]
    pub fn key(&self) -> KeyHash {
        self.0.key
    }

    /// What everything carries that is written under it.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Whether it is trusted now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        BootTime::now() < BootTime::of_nanos(self.0.trusted_until.load(Ordering::Acquire))
    }

    /// Whether it was lost: it is not trusted again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.trusted_until.load(Ordering::Acquire) == 0
    }

    /// It was renewed, or granted anew in this epoch. A lease that was lost stays lost.
    pub fn extend(&self, epoch: Epoch, until: BootTime) {
        self.0.epoch.store(epoch, Ordering::Release);
        let later = |now: u64| (now != 0).then(|| now.max(until.nanos()));
        self.0.trusted_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, later).ok();
        self.0.granted.notify_waiters();
    }

    /// Waits until more time or more requests are granted than when this was called.
    pub fn granted(&self) -> Notified<'_> {
        self.0.granted.notified()
    }

    /// The database is told that at most so many requests are made with the key from now on, until it is told again.
    pub fn reserve(&self, requests: u32) {
        self.0.reservation.lock().tell(requests);
    }

    /// The database has what was reserved last.
    pub fn confirm_reserved(&self) {
        self.0.reservation.lock().confirm();
        self.0.granted.notify_waiters();
    }

    /// Takes one of the requests that are reserved. If there is none, returns `false`, and more are to be reserved.
    #[must_use]
    pub fn spend(&self) -> bool {
        let spent = self.0.reservation.lock().spend();
        if !spent && !self.0.is_short.swap(true, Ordering::AcqRel) {
            self.0.short.notify_one();
        }
        spent
    }

    /// Whether a request was held up since this was last asked.
    #[must_use]
    pub fn was_short(&self) -> bool {
        self.0.is_short.swap(false, Ordering::AcqRel)
    }

    /// Another replica has it, or may have it. Returns whether that is news.
    #[allow(clippy::must_use_candidate, reason = "most callers know")]
    pub fn lose(&self) -> bool {
        self.0.trusted_until.swap(0, Ordering::AcqRel) != 0
    }

    /// Whether both are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The leases under which projects are watched, by the name of the project. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<Arc<str>, Entry>>>);

struct Entry {
    lease: Lease,
    /// The project is saved once more, and no longer watched.
    is_leaving: bool,
}

impl Leases {
    /// The lease under which a project is saved, if there is one.
    #[must_use]
    pub fn of(&self, project: &str) -> Option<Lease> {
        self.0.lock().get(project).map(|entry| entry.lease.clone())
    }

    /// The lease under which a project is watched, if it is to be.
    #[must_use]
    pub fn watched(&self, project: &str) -> Option<Lease> {
        self.0.lock().get(project).filter(|entry| !entry.is_leaving).map(|entry| entry.lease.clone())
    }

    /// From now on these projects are watched under this lease, and no others.
    pub fn set(&self, lease: &Lease, projects: &[Arc<str>]) {
        let mut leases = self.0.lock();
        leases.retain(|_, entry| !entry.lease.is(lease));
        let entry = |project: &Arc<str>| (project.clone(), Entry { lease: lease.clone(), is_leaving: false });
        leases.extend(projects.iter().map(entry));
    }

    /// What is watched under this lease is to be saved once more, and no longer watched.
    pub fn leave(&self, lease: &Lease) {
        let mut leases = self.0.lock();
        leases.values_mut().filter(|entry| entry.lease.is(lease)).for_each(|entry| entry.is_leaving = true);
    }

    /// No project is watched under this lease any more.
    pub fn remove(&self, lease: &Lease) {
        self.0.lock().retain(|_, entry| !entry.lease.is(lease));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(trusted_for: Duration) -> Lease {
        Lease::new(KeyHash([1; 32]), 1, BootTime::now().plus(trusted_for), Arc::default())
    }

    #[test]
    fn a_lease_is_trusted_until_its_time_and_no_longer() {
        assert!(lease(Duration::from_mins(1)).is_held());
        let over = lease(Duration::ZERO);
        assert!(!over.is_held() && !over.is_lost());
        over.extend(1, BootTime::now().plus(Duration::from_mins(1)));
        assert!(over.is_held(), "nobody else has taken it");
    }

    #[test]
    fn a_renewal_that_was_overtaken_shortens_nothing() {
        let lease = lease(Duration::from_mins(1));
        lease.extend(1, BootTime::now());
        assert!(lease.is_held());
    }

    #[test]
    fn what_was_lost_stays_lost() {
        let lease = lease(Duration::from_mins(1));
        assert!(lease.lose(), "news");
        lease.extend(2, BootTime::now().plus(Duration::from_mins(1)));
        assert!(!lease.is_held() && lease.is_lost() && !lease.lose());
    }

    #[test]
    fn whoever_reserves_is_told_once_that_more_requests_are_wanted() {
        let (lease, waker) = (lease(Duration::from_mins(1)), std::task::Waker::noop());
        let is_told = || {
            let mut told = std::pin::pin!(lease.0.short.notified());
            told.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready()
        };
        assert!(!lease.spend() && !lease.spend() && is_told() && !is_told());
        assert!(lease.was_short() && !lease.was_short());
        lease.reserve(1);
        lease.confirm_reserved();
        assert!(lease.spend() && !is_told() && !lease.spend() && is_told());
    }

    #[test]
    fn the_hash_of_a_key_depends_on_the_salt() {
        let hash = |key: &str, salt: &[u8]| KeyHash::of(&key.into(), salt);
        assert_eq!(hash("key", b"salt"), hash("key", b"salt"));
        assert!(
            hash("key", b"salt") != hash("key", b"other") && hash("key", b"salt") != hash("kez", b"salt")
        );
    }
}
