//! What a replica publishes of itself: its leases, and the state that it shares with the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use strum::{EnumCount, IntoStaticStr, VariantArray};

use crate::{
    ledger::Histogram,
    state::postgres::{Observer, Operation},
};

/// Bounds of the times that the shared state takes to answer, in seconds.
static STORE_BOUNDS: LazyLock<Arc<[f64]>> =
    LazyLock::new(|| [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0].into());

/// Kept up to date by a replica.
#[derive(Debug)]
pub struct ReplicaMetrics {
    leases: Mutex<Leases>,
    acquired: AtomicU64,
    lost: [AtomicU64; LeaseLoss::COUNT],
    store: Mutex<[StoreFigures; Operation::COUNT]>,
    older: AtomicU64,
}

/// What was last known of the leases.
#[derive(Debug, Default)]
struct Leases {
    projects: BTreeSet<Arc<str>>,
    count: usize,
    replicas: usize,
    store_up: bool,
}

/// Why a replica no longer has a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum LeaseLoss {
    /// It gave it back: it stops, or had more than its share.
    HandedOver,
    /// It could not renew it in time.
    Expired,
    /// Another had it already when it wanted to write.
    Fenced,
}

/// Requests of one kind to the shared state.
#[derive(Debug, Clone)]
pub struct StoreFigures {
    /// Those that failed.
    pub errors: u64,
    /// How long all of them took, in seconds.
    pub durations: Histogram,
}

/// A replica at one moment.
#[derive(Debug, Clone)]
pub struct ReplicaFigures {
    /// Every configured project, and whether this replica holds its lease: whether it is shown, which the publication
    /// knows that these are a part of.
    pub held: BTreeMap<Arc<str>, bool>,
    /// Leases that it holds.
    pub leases: usize,
    /// Leases that it got since it started.
    pub acquired: u64,
    /// Leases that it lost since, by reason.
    pub lost: [(&'static str, u64); LeaseLoss::COUNT],
    /// Replicas that are alive, itself included.
    pub replicas: usize,
    /// Whether the shared state answered when it was last asked.
    pub store_up: bool,
    /// Requests to it, by operation.
    pub store: [(&'static str, StoreFigures); Operation::COUNT],
    /// Accounts that were found older there than they had been written.
    pub older: u64,
}

impl Default for ReplicaMetrics {
    fn default() -> Self {
        Self {
            leases: Mutex::default(),
            acquired: AtomicU64::default(),
            lost: Default::default(),
            store: std::array::from_fn(|_| StoreFigures::default()).into(),
            older: AtomicU64::default(),
        }
    }
}

impl Default for StoreFigures {
    fn default() -> Self {
        Self { errors: 0, durations: Histogram::new(&STORE_BOUNDS) }
    }
}

impl ReplicaMetrics {
    /// Takes note of all projects that are configured, whoever watches them.
    pub fn configured(&self, projects: BTreeSet<Arc<str>>) {
        self.leases.lock().projects = projects;
    }

    /// Takes note of how many leases are held.
    pub fn holds(&self, leases: usize) {
        self.leases.lock().count = leases;
    }

    /// Takes note that so many leases were acquired.
    pub fn acquired(&self, leases: u64) {
        self.acquired.fetch_add(leases, Ordering::Relaxed);
    }

    /// Takes note that a lease was lost.
    pub fn lost(&self, why: LeaseLoss) {
        self.lost[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note that so many replicas are alive, this one included.
    pub fn alive(&self, replicas: usize) {
        self.leases.lock().replicas = replicas;
    }

    /// The figures now.
    #[must_use]
    pub fn now(&self) -> ReplicaFigures {
        let store = self.store.lock().clone();
        let leases = self.leases.lock();
        let mut lost = [("", 0); LeaseLoss::COUNT];
        for ((&why, count), figure) in LeaseLoss::VARIANTS.iter().zip(&self.lost).zip(&mut lost) {
            *figure = (why.into(), count.load(Ordering::Relaxed));
        }
        let mut operations = Operation::VARIANTS.iter().map(<&'static str>::from);
        ReplicaFigures {
            held: leases.projects.iter().map(|project| (project.clone(), false)).collect(),
            leases: leases.count,
            acquired: self.acquired.load(Ordering::Relaxed),
            lost,
            replicas: leases.replicas,
            store_up: leases.store_up,
            store: store.map(|figures| (operations.next().unwrap_or_default(), figures)),
            older: self.older.load(Ordering::Relaxed),
        }
    }
}

impl Observer for ReplicaMetrics {
    fn asked(&self, operation: Operation, took: Duration, succeeded: bool) {
        let figures = &mut self.store.lock()[operation as usize];
        figures.durations.observe(took.as_secs_f64());
        figures.errors += u64::from(!succeeded);
        self.leases.lock().store_up = succeeded;
    }

    fn found_older(&self) {
        self.older.fetch_add(1, Ordering::Relaxed);
    }
}
