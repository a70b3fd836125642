//! How a stream is doing: what came of its requests, and of the sweeps of its sources. This is the only copy: what is
//! published and shown is read from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
use strum::VariantArray;

use super::{DeliveryResult, History};
use crate::{
    crawl::Backlog,
    kapso::{Endpoint, Observer, Reason},
    ledger::Histogram,
    model::{Api, Source, WebhookEvent},
    sweep::{Outcome, Report, SweepEvent},
};

/// So many unknown statuses are counted by their names, …
const MOST_NAMES: usize = 8;
/// … and all others under this one.
const OTHER: &str = "other";

/// Bounds of the times that requests take, in seconds.
static REQUEST_BOUNDS: LazyLock<Arc<[f64]>> =
    LazyLock::new(|| [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0].into());

/// How a stream is doing.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// Each source.
    pub sources: BTreeMap<Source, SourceStatus>,
    /// Requests by endpoint and status, `None` where no answer came.
    pub requests: BTreeMap<(Endpoint, Option<StatusCode>), u64>,
    /// How long they took, in seconds.
    pub request_durations: BTreeMap<Endpoint, Histogram>,
    /// What failed.
    pub errors: BTreeMap<Reason, u64>,
    /// Items in a status that this program does not know, by its name.
    pub unknown_statuses: BTreeMap<String, u64>,
    /// Webhook deliveries by event and what came of them; empty where none are taken.
    pub deliveries: BTreeMap<(WebhookEvent, DeliveryResult), u64>,
    /// Why it is not watched: what is known is another project's.
    pub refusal: Option<Refusal>,
    /// How many changes there were.
    pub(crate) changes: u64,
}

/// Why a stream is not watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub why: String,
    /// Since when, in our clock.
    pub at: Timestamp,
}

/// How a source is doing.
#[derive(Debug, Clone)]
pub struct SourceStatus {
    /// From one sweep's start to the next.
    pub interval: Duration,
    /// What there was to do, when that was last looked at.
    pub backlog: Option<Backlog>,
    /// When the last complete sweep was done, in our clock.
    pub last_success: Option<Timestamp>,
    /// Sweeps by how they went.
    pub sweeps: BTreeMap<Outcome, u64>,
    /// Sweeps that were given up.
    pub restarts: u64,
    /// The last sweeps.
    pub history: History,
    /// Of its last sweep; incomplete as soon as something fails in the present one.
    outcome: Outcome,
    /// Its numbers are up to date, as far as the last pass tells.
    in_time: bool,
}

impl StreamStatus {
    /// Of these sources, before anything is known of them.
    #[must_use]
    pub fn new(sources: impl Iterator<Item = Source>, interval: Duration) -> Self {
        Self {
            sources: sources.map(|source| (source, SourceStatus::new(interval))).collect(),
            requests: BTreeMap::new(),
            request_durations: BTreeMap::new(),
            errors: Reason::ALL.map(|reason| (reason, 0)).into(),
            unknown_statuses: [(OTHER.to_owned(), 0)].into(),
            deliveries: BTreeMap::new(),
            refusal: None,
            changes: 0,
        }
    }

    /// Takes note of why it is not watched.
    pub fn refused(&mut self, why: &str, at: Timestamp) {
        self.changes += 1;
        self.refusal = Some(Refusal { why: why.into(), at });
    }

    /// Goes on with these sources.
    pub fn watch(&mut self, sources: BTreeSet<Source>, interval: Duration) {
        self.changes += 1;
        self.refusal = None;
        self.sources.retain(|source, _| sources.contains(source));
        for source in sources {
            self.sources.entry(source).or_insert_with(|| SourceStatus::new(interval)).interval = interval;
        }
    }

    /// Takes webhook deliveries from now on, or no longer. What was counted stays counted.
    pub fn take_deliveries(&mut self, takes: bool) {
        self.changes += 1;
        if !takes {
            return self.deliveries.clear();
        }
        for event in WebhookEvent::OUTCOMES {
            for &result in DeliveryResult::VARIANTS {
                self.deliveries.entry((event, result)).or_default();
            }
        }
    }

    /// Counts a delivery.
    pub fn delivered(&mut self, event: WebhookEvent, result: DeliveryResult) {
        self.changes += 1;
        *self.deliveries.entry((event, result)).or_default() += 1;
    }

    /// Takes note of what a source's loop tells.
    pub fn record(&mut self, source: Source, event: &SweepEvent<'_>) {
        self.changes += 1;
        let Some(status) = self.sources.get_mut(&source) else { return };
        match event {
            SweepEvent::Backlog { backlog, well } => status.planned(**backlog, *well),
            SweepEvent::Swept(report) => status.swept(report),
        }
    }

    /// Takes note that a source is not swept for now.
    pub fn interrupted(&mut self, source: Source) {
        self.changes += 1;
        if let Some(status) = self.sources.get_mut(&source) {
            // Of an API that is absent nothing was to be learned.
            if status.outcome != Outcome::Absent {
                status.outcome = Outcome::Incomplete;
            }
        }
    }

    /// Takes note that the API of a source is absent as far as is known.
    pub fn presume_absent(&mut self, source: Source) {
        self.changes += 1;
        if let Some(status) = self.sources.get_mut(&source) {
            status.outcome = Outcome::Absent;
        }
    }

    /// Takes note that a source's loop panicked: what it was about to do is not done.
    pub fn panicked(&mut self, source: Source) {
        self.interrupted(source);
        if let Some(status) = self.sources.get_mut(&source) {
            status.restarts += 1;
        }
    }

    /// Whether everything is learned, and in time. `None` while the API does not exist: it is neither up nor down.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        let present: Vec<_> = self.sources.values().filter_map(SourceStatus::is_up).collect();
        (!present.is_empty()).then(|| present.into_iter().all(|is_up| is_up))
    }

    /// Whether every source had a sweep to which nothing was missing.
    #[must_use]
    pub fn is_swept(&self) -> bool {
        let whole = |source: &SourceStatus| {
            source.history.last().is_some_and(|last| last.outcome != Outcome::Incomplete)
        };
        self.sources.values().all(whole)
    }

    /// Whether every source whose API exists had a complete sweep since the process opened the stream.
    pub(super) fn is_learned(&self) -> bool {
        let is_learned = |source: &SourceStatus| source.last_success.is_some() || source.is_up().is_none();
        self.sources.values().all(is_learned)
    }

    /// The name to count a status under, and whether that is new.
    fn name<'a>(&self, status: &'a str) -> (&'a str, bool) {
        if self.unknown_statuses.get(status).is_some_and(|&count| count > 0) {
            return (status, false);
        }
        let own = self.unknown_statuses.keys().filter(|name| *name != OTHER).count();
        let name = if own < MOST_NAMES { status } else { OTHER };
        (name, self.unknown_statuses.get(name).is_none_or(|&count| count == 0))
    }
}

impl SourceStatus {
    /// Whether everything is learned, and in time. `None` while its API does not exist.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        (self.outcome != Outcome::Absent).then(|| self.outcome == Outcome::Complete && self.in_time)
    }

    fn new(interval: Duration) -> Self {
        Self {
            interval,
            backlog: None,
            last_success: None,
            sweeps: Outcome::ALL.map(|outcome| (outcome, 0)).into(),
            restarts: 0,
            history: History::default(),
            outcome: Outcome::Incomplete,
            in_time: true,
        }
    }

    fn planned(&mut self, backlog: Backlog, well: bool) {
        self.backlog = Some(backlog);
        self.in_time = well;
        if !well && self.outcome == Outcome::Complete {
            self.outcome = Outcome::Incomplete;
        }
    }

    fn swept(&mut self, report: &Report) {
        self.outcome = report.outcome;
        *self.sweeps.entry(report.outcome).or_default() += 1;
        self.restarts += u64::from(report.stuck);
        if report.outcome == Outcome::Complete {
            self.last_success = Some(report.finished);
        }
        self.history.push(report.into());
    }
}

impl Observer for Mutex<StreamStatus> {
    fn requested(&self, _: Api, endpoint: Endpoint, status: Option<StatusCode>, elapsed: Duration) {
        let mut stream = self.lock();
        stream.changes += 1;
        *stream.requests.entry((endpoint, status)).or_default() += 1;
        let durations = stream.request_durations.entry(endpoint);
        durations.or_insert_with(|| Histogram::new(&REQUEST_BOUNDS)).observe(elapsed.as_secs_f64());
    }

    fn failed(&self, _: Api, reason: Reason, count: u64) {
        let mut stream = self.lock();
        stream.changes += 1;
        *stream.errors.entry(reason).or_default() += count;
    }

    /// Says so the first time.
    fn unknown_status(&self, api: Api, status: &str) {
        let mut stream = self.lock();
        stream.changes += 1;
        let (name, is_new) = stream.name(status);
        *stream.unknown_statuses.entry(name.to_owned()).or_default() += 1;
        drop(stream);
        if is_new {
            tracing::warn!(
                %api,
                status = name,
                "Kapso tells of a status that this version does not know: what has an end is over, neither ended nor failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(status: &Mutex<StreamStatus>) -> BTreeMap<String, u64> {
        status.lock().unknown_statuses.clone()
    }

    #[test]
    fn eight_names_of_statuses_are_counted_and_the_rest_together() {
        let status = Mutex::new(StreamStatus::new([].into_iter(), Duration::ZERO));
        assert_eq!(counts(&status), [("other".to_owned(), 0)].into());
        let names: Vec<_> = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).collect();
        for name in names.iter().chain(&names) {
            status.unknown_status(Api::Platform, name);
        }
        let counts = counts(&status);
        assert_eq!(names[..8].iter().map(|name| counts[name]).collect::<Vec<_>>(), [2; 8]);
        assert_eq!((counts.len(), counts["other"]), (9, 36));
    }

    #[test]
    fn each_name_is_new_once() {
        let status = Mutex::new(StreamStatus::new([].into_iter(), Duration::ZERO));
        let is_new = |name: &str| {
            let is_new = status.lock().name(name).1;
            status.unknown_status(Api::Platform, name);
            is_new
        };
        let names: Vec<_> = (0..9).map(|number| format!("name_{number}")).collect();
        assert!(names.iter().all(|name| is_new(name)));
        assert!(!names.iter().any(|name| is_new(name)));
        assert!(!is_new("yet_another"), "the others are one");
    }
}
