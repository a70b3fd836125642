//! The exporter without its process: sources, ledgers and metrics against the simulated Kapso in the same
//! process, in simulated time. A test that pauses tokio's clock runs an hour of it in a second.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use kapso_exporter::{
    account::{Saved, Settings, Treatment},
    app::{App, Store},
    clock::Clock,
    config::{Config, KeyFrom, MetricsConfig, ProjectConfig, RawProject, StateConfig},
    kapso::webhook::Headers,
    kapso::{Answer, Transport},
    ledger::{Buckets, Totals},
    metrics::{Encoding, Format},
    model::{Api, ReasonRule, Source, WorkflowFilter},
    project::{Stream, Streams, Transports},
    simulator::{self, Attempt, DEFAULT_KEY, Scenario, Simulator},
    sweep::SweepEvent,
};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use url::Url;

use super::Exposition;

/// Signs deliveries.
pub const SECRET: &str = "s3cret";
/// From the simulated Kapso's start to the exporter's.
const HEAD_START: Duration = Duration::from_secs(5);

/// A simulated Kapso and an exporter that watches it.
pub struct Simulated {
    pub simulator: Simulator,
    /// The exporter's own clock.
    clock: Clock,
    /// By how many milliseconds that was set forward.
    steps: Arc<AtomicI64>,
    exporter: Running,
}

/// An exporter at work, until it is dropped.
struct Running {
    app: App,
    /// The loops of its sources.
    tasks: JoinSet<()>,
    /// How many sweeps were done, of all sources together.
    swept: watch::Sender<usize>,
    /// What was kept when a delivery was last acknowledged, unless something newer was kept since.
    acknowledged: Arc<Mutex<Option<SavedState>>>,
    _shutdown: DropGuard,
}

/// How the exporter is set up.
#[derive(Clone)]
pub struct Setup {
    pub sources: Vec<Source>,
    pub interval: Duration,
    pub timeout: Duration,
    pub requests_per_minute: Option<u32>,
    /// How long finished executions stay in the gauges.
    pub lookback: Duration,
    /// How long they are remembered at least.
    pub remembered: Duration,
    /// How long a conversation without activity is watched.
    pub max_age: SignedDuration,
    /// How far the exporter's clock is ahead of Kapso's.
    pub skew: SignedDuration,
    pub buckets: Buckets,
    /// Patterns of workflows to watch, and of those not to.
    pub include: Vec<&'static str>,
    pub exclude: Vec<&'static str>,
    pub phone_number_ids: Vec<&'static str>,
    /// Names of agents.
    pub agents: Vec<(&'static str, &'static str)>,
    /// Classes of reasons, with their patterns.
    pub handoff_reasons: Vec<(&'static str, &'static str)>,
    /// Deliveries are taken.
    pub has_webhook: bool,
    /// Whether open executions are told apart.
    pub treatment: Treatment,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sources: vec![Source::Agents, Source::Conversations],
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            requests_per_minute: Some(100_000),
            lookback: Duration::from_hours(24),
            remembered: Duration::from_hours(2),
            // Every simulated conversation is younger.
            max_age: SignedDuration::from_hours(24 * 3650),
            skew: SignedDuration::ZERO,
            buckets: Buckets::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            phone_number_ids: Vec::new(),
            agents: Vec::new(),
            handoff_reasons: Vec::new(),
            has_webhook: false,
            treatment: Treatment::default(),
        }
    }
}

/// The rows of each stream's account.
pub type SavedState = BTreeMap<String, Saved>;

/// Hands requests to the simulator without a socket.
#[derive(Clone)]
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

impl Transports for InProcess {
    fn open(&self, _: Api, _: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        Ok(Box::new(self.clone()))
    }
}

/// A clock that shows a morning and goes on in tokio's time.
pub fn a_morning() -> Clock {
    Clock::following_tokio("2026-11-22T10:00:00.5Z".parse().unwrap())
}

impl Simulated {
    /// Starts both, the exporter a little later. Tokio's clock has to be paused.
    pub async fn start(scenario: Scenario, setup: &Setup) -> Self {
        Self::start_after(scenario, setup, |_| {}).await
    }

    /// The same, with something done to the simulated Kapso before the exporter asks it for the first time.
    pub async fn start_after(scenario: Scenario, setup: &Setup, prepare: impl FnOnce(&Simulator)) -> Self {
        let clock = a_morning();
        let simulator = Simulator::new(scenario, clock.clone());
        prepare(&simulator);
        // What happened before the watch is over by then: nothing lies on its very edge, however it tells the time.
        tokio::time::sleep(HEAD_START).await;
        Self::watch(simulator, &clock, setup)
    }

    /// Starts an exporter now, which watches a simulator that goes by this clock.
    pub fn watch(simulator: Simulator, clock: &Clock, setup: &Setup) -> Self {
        let steps = Arc::new(AtomicI64::new(0));
        let clock = settable(clock.skewed(setup.skew), steps.clone());
        let exporter = Running::start(&simulator, setup, &clock, &SavedState::new());
        Self { simulator, clock, steps, exporter }
    }

    /// Sets the exporter's clock forward, or back where the time is negative.
    pub fn step_clock(&self, time: SignedDuration) {
        self.steps.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Waits until so many more sweeps are done.
    #[allow(dead_code, reason = "a benchmark counts sweeps")]
    pub async fn sweeps(&mut self, count: usize) {
        let until = self.sweeps_so_far() + count;
        self.exporter.swept.subscribe().wait_for(|&done| done >= until).await.unwrap();
    }

    /// How many sweeps were done.
    #[allow(dead_code, reason = "a benchmark counts sweeps")]
    pub fn sweeps_so_far(&self) -> usize {
        *self.exporter.swept.borrow()
    }

    /// What was counted of all workflows together.
    #[allow(dead_code, reason = "a benchmark wants finer buckets than are published")]
    pub fn totals(&self, buckets: &Buckets) -> Totals {
        self.totals_of(buckets, |_| true)
    }

    /// What was counted of these workflows.
    #[allow(dead_code, reason = "a benchmark tells workflows apart")]
    pub fn totals_of(&self, buckets: &Buckets, is_asked: impl Fn(&str) -> bool) -> Totals {
        let mut totals = Totals::new(buckets);
        for stream in self.exporter.app.streams() {
            let account = stream.account.lock();
            let asked = account.ledger.workflows().iter().filter(|workflow| is_asked(workflow.id.as_str()));
            asked.for_each(|workflow| totals.merge(&workflow.totals));
        }
        totals
    }

    /// For how many seconds each open execution of these workflows was not looked at.
    #[allow(dead_code, reason = "a benchmark tells workflows apart")]
    pub fn unseen_for(&self, is_asked: impl Fn(&str) -> bool) -> Vec<f64> {
        let mut seconds = Vec::new();
        for stream in self.exporter.app.streams() {
            let now = stream.client.clock().steady_now();
            let ledger = &stream.account.lock().ledger;
            let open = ledger.workflows().iter().zip(ledger.open_by_workflow());
            let asked = open.filter(|(workflow, _)| is_asked(workflow.id.as_str()));
            let looked_at = asked.flat_map(|(_, open)| open).filter_map(|execution| execution.looked_at);
            seconds.extend(looked_at.map(|at| now.since(at).as_secs_f64()));
        }
        seconds
    }

    /// Stops the exporter and starts another one, which knows nothing of what the first one learned.
    pub fn restart(&mut self, setup: &Setup) {
        self.exporter = Running::start(&self.simulator, setup, &self.clock, &SavedState::new());
    }

    /// Everything that the exporter knows, as its state file would hold it now.
    pub fn keep(&self) -> SavedState {
        self.exporter.acknowledged.lock().take();
        kept(self.exporter.app.streams())
    }

    /// Stops the exporter where it is and starts another one, which knows what was kept.
    pub fn restart_with(&mut self, kept: &SavedState, setup: &Setup) {
        // What was acknowledged was kept before.
        let acknowledged = self.exporter.acknowledged.lock().take();
        let kept = acknowledged.as_ref().unwrap_or(kept);
        self.exporter = Running::start(&self.simulator, setup, &self.clock, kept);
    }

    /// Goes on with another setup, without a restart.
    pub fn reconfigure(&mut self, setup: &Setup) {
        self.exporter.reconfigure(&self.simulator, setup);
    }

    /// Asks the Platform API for something with the same key, as the production bot would; the status.
    pub async fn get(&self, path: &str) -> u16 {
        let url = Url::parse(&format!("http://kapso.invalid/platform/v1{path}")).unwrap();
        InProcess(self.simulator.router()).get(&url).await.unwrap().status.as_u16()
    }

    /// The ids of what such a list of the Platform API has on its first page.
    pub async fn ids(&self, path: &str) -> Vec<String> {
        let url = Url::parse(&format!("http://kapso.invalid/platform/v1{path}")).unwrap();
        let body = InProcess(self.simulator.router()).get(&url).await.unwrap().body;
        let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = |item: &serde_json::Value| item["id"].as_str().unwrap().to_owned();
        list["data"].as_array().unwrap().iter().map(id).collect()
    }

    /// What it would publish now as `OpenMetrics`.
    pub fn open_metrics(&self) -> String {
        let renderer = self.exporter.app.publisher.renderer();
        let publication = renderer.collect();
        let text = renderer.exposition(&publication, Format::OpenMetrics, Encoding::Identity).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// What it would publish now.
    pub fn scrape(&self) -> Exposition {
        let text = self.exporter.app.publisher.renderer().text().unwrap();
        Exposition::parse(std::str::from_utf8(&text).unwrap())
    }
}

impl Running {
    fn start(simulator: &Simulator, setup: &Setup, clock: &Clock, kept: &SavedState) -> Self {
        let shutdown = CancellationToken::new();
        let transports = Arc::new(InProcess(simulator.router()));
        let store = Store::Memory(Arc::new(kept.clone()));
        let app = App::build(setup.config(), transports, clock.clone(), store, shutdown.clone()).unwrap();
        let (tasks, swept) = (JoinSet::new(), watch::Sender::new(0));
        let mut running =
            Self { app, tasks, swept, acknowledged: Arc::default(), _shutdown: shutdown.drop_guard() };
        running.sweep(simulator);
        running
    }

    fn sweep(&mut self, simulator: &Simulator) {
        let watched = &self.app.projects["default"];
        for (_, follow_up) in watched.follow_ups() {
            self.tasks.spawn(follow_up.run());
            let streams = self.app.publisher.renderer().streams().clone();
            self.tasks.spawn(deliver(simulator.clone(), streams, self.acknowledged.clone()));
        }
        for (source, stream) in watched.sources() {
            let (stream, sweeps) = (stream.clone(), self.swept.clone());
            self.tasks.spawn(watched.sweeper(source, &stream.clone()).run(move |source, event| {
                stream.record(source, &event);
                if matches!(event, SweepEvent::Swept(_)) {
                    sweeps.send_modify(|count| *count += 1);
                }
            }));
        }
    }

    fn reconfigure(&mut self, simulator: &Simulator, setup: &Setup) {
        let opened = self.app.opening().open(setup.config(), &self.app.projects).unwrap();
        assert_eq!(opened.changes().changed.len(), 1, "something is new");
        self.tasks.abort_all();
        self.app.switch(opened);
        self.sweep(simulator);
    }
}

/// Everything that these streams know, as a state file would hold it.
fn kept<'a>(streams: impl Iterator<Item = &'a Arc<Stream>>) -> SavedState {
    let rows = |stream: &Arc<Stream>| {
        let mut account = stream.account.lock();
        account.track();
        (stream.key.to_string(), account.take_changes().into())
    };
    streams.map(rows).collect()
}

/// Hands over what the simulated Kapso delivers, as soon as it is due.
async fn deliver(simulator: Simulator, streams: Arc<Streams>, acknowledged: Arc<Mutex<Option<SavedState>>>) {
    loop {
        for attempt in simulator.take_deliveries() {
            let answer = match take(&attempt, &streams) {
                Some(()) => {
                    *acknowledged.lock() = Some(kept(streams.all().iter()));
                    simulator::Answer::Ok
                }
                None => simulator::Answer::Failed,
            };
            simulator.answered(attempt.id, answer);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What the server and the inbox do with a delivery.
fn take(attempt: &Attempt, streams: &Streams) -> Option<()> {
    let stream = streams.with_webhook("default")?;
    let header = |name| attempt.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    let headers = Headers {
        event: header("X-Webhook-Event"),
        signature: header("X-Webhook-Signature"),
        key: header("X-Idempotency-Key"),
    };
    let told = stream.webhook.as_ref()?.open(headers, &attempt.body).unwrap();
    for delivery in told.iter().filter_map(|told| told.delivery.as_ref()) {
        stream.deliver(delivery)?;
    }
    Some(())
}

impl Setup {
    fn config(&self) -> Config {
        let url = |path| Url::parse(&format!("http://kapso.invalid/{path}")).unwrap();
        let signed = |time| SignedDuration::try_from(time).unwrap();
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let agents = self.agents.iter().map(|&(id, name)| (id.into(), name.into()));
        let reasons = self.handoff_reasons.iter();
        let reasons = reasons.map(|(class, pattern)| ReasonRule::new(class, pattern).unwrap());
        let raw = RawProject::new("default", KeyFrom::Value(DEFAULT_KEY.into()));
        Config {
            projects: vec![ProjectConfig {
                platform_url: url("platform/v1"),
                legacy_url: url("api/v1"),
                sources: self.sources.iter().copied().collect(),
                interval: self.interval,
                timeout: self.timeout,
                requests_per_minute: self.requests_per_minute,
                workflows: WorkflowFilter::new(&owned(&self.include), &owned(&self.exclude)),
                phone_number_ids: owned(&self.phone_number_ids),
                agents: agents.collect(),
                handoff_reasons: reasons.collect(),
                webhook_secrets: self.has_webhook.then(|| SECRET.into()).into_iter().collect(),
                account: Settings {
                    lookback: signed(self.lookback),
                    remembered: signed(self.remembered),
                    conversation_max_age: self.max_age,
                    treatment: self.treatment,
                    buckets: self.buckets.clone(),
                    ..Settings::default()
                },
                // Agents are added by nobody.
                tries_agents: false,
                ..ProjectConfig::resolve(raw).unwrap()
            }],
            metrics: MetricsConfig { max_series: 1_000_000, ..MetricsConfig::default() },
            state: StateConfig::default(),
            file: None,
            secret_files: Vec::new(),
            text: String::new(),
        }
    }
}

/// A clock that is ahead of `clock` by so many milliseconds.
fn settable(clock: Clock, steps: Arc<AtomicI64>) -> Clock {
    Clock::of(move || clock.wall() + SignedDuration::from_millis(steps.load(Ordering::Relaxed)))
}
