//! The exporter without its process: sources, ledgers and metrics against the simulated Kapso in the same
//! process, in simulated time. A test that pauses tokio's clock runs an hour of it in a second.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    clock::Clock,
    kapso::{self, Answer, Budget, Client, Transport},
    ledger::{Buckets, Ledger, Settings, Totals},
    metrics::{Book, Exporter, Exposition as Metrics, Limits, RequestObserver},
    simulator::{DEFAULT_KEY, Scenario, Simulator},
    source::{Means, Scope, Source, Walk},
    sweep::{News, Sweeper},
};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use url::Url;

use super::Exposition;

/// Every simulated conversation is younger.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24 * 3650);

/// A simulated Kapso and an exporter that watches it.
pub struct Simulated {
    pub simulator: Simulator,
    metrics: Metrics,
    books: Vec<Book>,
    /// How many sweeps were done, of all sources together.
    swept: watch::Receiver<usize>,
    _running: DropGuard,
}

/// How the exporter is set up.
#[derive(Clone)]
pub struct Setup {
    pub sources: Vec<Source>,
    pub interval: Duration,
    pub timeout: Duration,
    pub requests_per_minute: Option<u32>,
    pub buckets: Buckets,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sources: vec![Source::Agents, Source::Conversations],
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            requests_per_minute: Some(100_000),
            buckets: Buckets::default(),
        }
    }
}

/// Hands requests to the simulator without a socket.
struct InProcess(Router);

impl Transport for InProcess {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let request =
                Request::get(url.as_str()).header("X-API-Key", DEFAULT_KEY).body(Body::empty()).unwrap();
            let (head, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
    }
}

/// A clock that shows a morning and goes on in tokio's time.
pub fn a_morning() -> Clock {
    Clock::following_tokio("2026-11-22T10:00:00.5Z".parse().unwrap())
}

impl Simulated {
    /// Starts both, the exporter a second later. Tokio's clock has to be paused.
    pub async fn start(scenario: Scenario, setup: &Setup) -> Self {
        let clock = a_morning();
        let simulator = Simulator::new(scenario, clock.clone());
        // What happened before the watch is over by then: nothing lies on its very edge.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Self::watch(simulator, &clock, setup)
    }

    /// Starts an exporter now, which watches a simulator that goes by the same clock.
    pub fn watch(simulator: Simulator, clock: &Clock, setup: &Setup) -> Self {
        let shutdown = CancellationToken::new();
        let registry = Registry::new();
        let exporter = Arc::new(Exporter::register(&registry).unwrap());
        let budget = Arc::new(Budget::new(setup.requests_per_minute));
        let started = clock.now();
        let (sweeps, swept) = watch::channel(0);
        let sweeps = Arc::new(sweeps);
        let mut books = BTreeMap::new();
        for &source in &setup.sources {
            exporter.announce("default", source, setup.interval);
            let client = || client(source, &simulator, setup, clock, &exporter, &budget, &shutdown);
            let book = books.entry(source.api()).or_insert_with(|| book(client(), &budget, setup));
            let sweeper = sweeper(source, book, setup, started, clock, &shutdown);
            tokio::spawn(sweeper.run(tell(exporter.clone(), sweeps.clone())));
        }
        let books: Vec<_> = books.into_values().collect();
        let metrics = Metrics::new(registry, exporter, books.clone()).unwrap();
        Self { simulator, metrics, books, swept, _running: shutdown.drop_guard() }
    }

    /// Waits until so many more sweeps are done.
    #[allow(dead_code, reason = "a benchmark counts sweeps")]
    pub async fn sweeps(&mut self, count: usize) {
        let until = self.sweeps_so_far() + count;
        self.swept.wait_for(|&done| done >= until).await.unwrap();
    }

    /// How many sweeps were done.
    #[allow(dead_code, reason = "a benchmark counts sweeps")]
    pub fn sweeps_so_far(&self) -> usize {
        *self.swept.borrow()
    }

    /// What was counted of all workflows together.
    #[allow(dead_code, reason = "a benchmark wants finer buckets than are published")]
    pub fn totals(&self, buckets: &Buckets) -> Totals {
        let mut totals = Totals::new(buckets);
        for book in &self.books {
            book.ledger.lock().accounts().iter().for_each(|account| totals.merge(&account.totals));
        }
        totals
    }

    /// Asks the Platform API for something with the same key, as the production bot would; the status.
    pub async fn get(&self, path: &str) -> u16 {
        let url = Url::parse(&format!("http://kapso.invalid/platform/v1{path}")).unwrap();
        InProcess(self.simulator.router()).get(&url).await.unwrap().status.as_u16()
    }

    /// What it would publish now.
    pub fn scrape(&self) -> Exposition {
        self.metrics.render().unwrap();
        Exposition::parse(std::str::from_utf8(&self.metrics.newest().plain).unwrap())
    }
}

fn client(
    source: Source,
    simulator: &Simulator,
    setup: &Setup,
    clock: &Clock,
    exporter: &Arc<Exporter>,
    budget: &Arc<Budget>,
    shutdown: &CancellationToken,
) -> Arc<Client> {
    let path = match source.api() {
        kapso_exporter::execution::Api::Platform => "platform/v1",
        kapso_exporter::execution::Api::Legacy => "api/v1",
    };
    let observer =
        RequestObserver { exporter: exporter.clone(), project: "default".into(), changed: Arc::default() };
    let settings = kapso::Settings {
        api: source.api(),
        base: Url::parse(&format!("http://kapso.invalid/{path}")).unwrap(),
        timeout: setup.timeout,
        budget: budget.clone(),
        clock: clock.clone(),
        observer: Arc::new(observer),
        shutdown: shutdown.clone(),
    };
    Arc::new(Client::new(settings, InProcess(simulator.router())))
}

fn book(client: Arc<Client>, budget: &Arc<Budget>, setup: &Setup) -> Book {
    let buckets = setup.buckets.clone();
    let ledger = Ledger::new(Settings { conversation_max_age: MAX_AGE, buckets, ..Settings::default() });
    Book {
        project: "default".into(),
        ledger: Arc::new(Mutex::new(ledger)),
        client,
        budget: budget.clone(),
        limits: Limits::within(1_000_000, 0),
    }
}

fn sweeper(
    source: Source,
    book: &Book,
    setup: &Setup,
    started: Timestamp,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> Sweeper {
    let scope = Scope { only: Vec::new(), max_age: MAX_AGE, interval: setup.interval };
    let (client, ledger, budget) = (book.client.clone(), book.ledger.clone(), book.budget.clone());
    let means = Means { client, ledger, budget, started };
    Sweeper {
        source,
        walk: Walk::new(source, means, scope),
        interval: setup.interval,
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    }
}

fn tell(
    exporter: Arc<Exporter>,
    sweeps: Arc<watch::Sender<usize>>,
) -> impl FnMut(Source, News<'_>) + Send + 'static {
    move |source, news| {
        exporter.hear("default", source, &news);
        if matches!(news, News::Swept(_)) {
            sweeps.send_modify(|count| *count += 1);
        }
    }
}
