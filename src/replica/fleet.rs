//! What the tasks of a replica share: the leases that it holds, and what it knows of the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use super::registry::{Known, Seen};
use crate::{
    config::Config,
    lease::{KeyHash, Lease, Leases, Terms},
    metrics::{LeaseLoss, ReplicaMetrics},
};

/// What the tasks of a replica share.
pub struct Fleet {
    /// For how long leases are granted.
    pub terms: Terms,
    /// Under which projects are watched and saved.
    pub leases: Leases,
    /// All of them, by key.
    held: Mutex<BTreeMap<KeyHash, Lease>>,
    /// Those that were held and are not trusted for now.
    expired: Mutex<BTreeSet<KeyHash>>,
    overview: ArcSwap<Overview>,
    gap: Mutex<Gap>,
    /// Told when requests wait until more are reserved.
    pub(super) short: Arc<Notify>,
    /// What is published of it.
    pub metrics: Arc<ReplicaMetrics>,
}

/// What tells that the database was away for longer than a lease lasts, or is older than it was.
#[derive(Default)]
struct Gap {
    has_beaten: bool,
    /// Until then each replica gets its own leases back before anybody takes others.
    quiet_until: Option<Instant>,
    /// The coordinator has not heard of it.
    is_news: bool,
}

impl Gap {
    fn begin(&mut self, terms: Terms) {
        (self.quiet_until, self.is_news) = (Some(Instant::now() + terms.ttl), true);
    }
}

/// All replicas, as the database told it last.
#[derive(Debug, Default)]
pub struct Overview {
    /// Those that are alive.
    pub members: Vec<Member>,
}

/// A replica that is alive.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Its id, which another run of it does not have.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// Whether it is this one.
    pub is_self: bool,
    /// How many leases it holds.
    pub leases: usize,
    /// What it watches, by name.
    pub projects: Vec<Watched>,
}

/// A project that a replica watches.
#[derive(Debug, Clone, Serialize)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// How many times the lease of its key was granted anew.
    pub epoch: i64,
    /// Since when the replica has it.
    pub held_since: Timestamp,
}

/// The keys of a configuration, and the projects of each.
pub(super) type Keys = BTreeMap<KeyHash, Vec<Arc<str>>>;

/// The keys of this configuration.
pub(super) fn keys_of(config: &Config, salt: &[u8]) -> Keys {
    let mut keys = Keys::new();
    for project in &config.projects {
        keys.entry(KeyHash::of(&project.key, salt)).or_default().push(project.name.as_str().into());
    }
    keys
}

impl Fleet {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(terms: Terms, leases: Leases, metrics: Arc<ReplicaMetrics>) -> Self {
        let (held, expired, overview, gap, short) = Default::default();
        Self { terms, leases, held, expired, overview, gap, short, metrics }
    }

    /// The heart has beaten; `was_alive` as the database knew it before.
    pub(super) fn has_beaten(&self, was_alive: bool) {
        self.compare(was_alive);
        self.gap.lock().has_beaten = true;
    }

    /// Compares what the database knows of this replica with what it was told. If it does not know that the replica is
    /// alive, nobody's leases are there as they were, and whoever holds one knows what the database may have forgotten.
    pub(super) fn compare(&self, is_alive: bool) {
        let mut gap = self.gap.lock();
        if gap.has_beaten && !is_alive {
            gap.begin(self.terms);
        }
    }

    /// Whether there was such a gap since this was last asked.
    pub(super) fn take_gap(&self) -> bool {
        std::mem::take(&mut self.gap.lock().is_news)
    }

    /// Whether leases may change hands.
    pub(super) fn is_quiet_over(&self) -> bool {
        let gap = self.gap.lock();
        gap.has_beaten && gap.quiet_until.is_none_or(|until| until <= Instant::now())
    }

    /// The database was away.
    pub(super) fn was_away(&self) {
        self.gap.lock().begin(self.terms);
    }

    /// What the database told last.
    #[must_use]
    pub fn overview(&self) -> Arc<Overview> {
        self.overview.load_full()
    }

    /// The leases that are held, or were until lately.
    pub(super) fn held(&self) -> Vec<Lease> {
        self.held.lock().values().cloned().collect()
    }

    /// The lease of a key, if it is held.
    pub(super) fn lease(&self, key: KeyHash) -> Option<Lease> {
        self.held.lock().get(&key).cloned()
    }

    /// A lease was taken.
    pub(super) fn add(&self, lease: &Lease) {
        self.held.lock().insert(lease.key(), lease.clone());
    }

    /// It is given up: nobody renews it any more.
    pub(super) fn remove(&self, lease: &Lease) {
        let mut held = self.held.lock();
        if held.get(&lease.key()).is_some_and(|known| known.is(lease)) {
            held.remove(&lease.key());
        }
        self.expired.lock().remove(&lease.key());
    }

    /// Another replica has it: nothing of it is shown or saved from now on.
    pub(super) fn fenced(&self, lease: &Lease) {
        if lease.lose() {
            self.metrics.lost(LeaseLoss::Fenced);
        }
    }

    /// Counts the leases that are not trusted any more, since the database did not renew them in time.
    pub(super) fn note_expired(&self) {
        let mut expired = self.expired.lock();
        for lease in self.held() {
            if lease.is_held() || lease.is_lost() {
                expired.remove(&lease.key());
            } else if expired.insert(lease.key()) {
                self.metrics.lost(LeaseLoss::Expired);
            }
        }
    }

    /// Publishes how many leases are held.
    pub(super) fn publish_held(&self) {
        self.metrics.holds(self.held.lock().values().filter(|lease| lease.is_held()).count());
    }

    /// Takes note of what the database tells.
    pub(super) fn learn(&self, own_id: &str, replicas: &[Seen], leases: &[Known]) {
        self.metrics.alive(replicas.len());
        let members = replicas.iter().map(|seen| Member::of(seen, seen.id == own_id, leases)).collect();
        self.overview.store(Arc::new(Overview { members }));
    }
}

impl Member {
    fn of(seen: &Seen, is_self: bool, leases: &[Known]) -> Self {
        let held: Vec<_> = leases.iter().filter(|lease| lease.owner == seen.id && !lease.is_free).collect();
        let watched = |lease: &&Known| {
            let (epoch, held_since) = (lease.epoch, lease.held_since);
            let watched = |name: &String| Watched { name: name.clone(), epoch, held_since };
            lease.projects.iter().map(watched).collect::<Vec<_>>()
        };
        let mut projects: Vec<_> = held.iter().flat_map(watched).collect();
        projects.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            id: seen.id.clone(),
            name: seen.name.clone(),
            version: seen.version.clone(),
            started: seen.started,
            last_seen: seen.beaten,
            is_self,
            leases: held.len(),
            projects,
        }
    }
}
