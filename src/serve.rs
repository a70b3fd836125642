//! Serving: binds everything, wires sources, ledgers, metrics and pages together, and runs until it is stopped.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use jiff::Timestamp;
use prometheus::Registry;
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    clock::Clock,
    config::Config,
    execution::Api,
    kapso::{self, Budget, Client, Http},
    ledger::Ledger,
    metrics::{Book, Exporter, Exposition, Limits, RequestObserver},
    simulator::{Scenario, Simulator},
    source::{Conversations, Scope, Source},
    sweep::{self, Sweeper},
    web::{self, App, Status},
};

/// The exposition is rendered anew at least this often: idle times grow by themselves.
const RENDER_INTERVAL: Duration = Duration::from_secs(15);
/// While a sweep is under way it is rendered no more often than this, ...
const RENDER_PACE: Duration = Duration::from_secs(1);
/// ... and takes no more than a twentieth of one core.
const RENDER_SHARE: u32 = 20;

/// Starts the simulated Kapso on a free loopback port and points the configuration at it.
///
/// # Errors
/// If no port can be bound.
pub async fn embed_simulator(
    config: &mut Config,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.context("cannot bind a port for the simulated Kapso")?;
    let base = format!("http://{}", listener.local_addr()?);
    config.platform_url = Url::parse(&format!("{base}/platform/v1"))?;
    config.legacy_url = Url::parse(&format!("{base}/api/v1"))?;
    let simulator = Simulator::new(Scenario::demo(1), clock.clone());
    tokio::spawn(simulator.serve(listener, shutdown.clone()));
    Ok(())
}

/// Serves until `shutdown`.
///
/// # Errors
/// If an address cannot be bound, or a part of the program ends before it is told to.
pub async fn serve(config: Config, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for address in &config.listen_addresses {
        let bound = web::bind(address).await;
        listeners.push(bound.with_context(|| format!("cannot listen on {address} (--web.listen-address)"))?);
    }
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, path = config.telemetry_path, "listening");
    }
    let exporter = Wiring::new(config, clock, shutdown.clone())?;
    let mut tasks = JoinSet::new();
    let router = web::router(exporter.app());
    tasks.spawn(web::serve(listeners, router, shutdown.clone()));
    exporter.spawn(&mut tasks);
    let mut unexpected = None;
    while let Some(ended) = tasks.join_next().await {
        if !shutdown.is_cancelled() {
            unexpected = Some(ended.err().map_or_else(|| "it returned".into(), |error| error.to_string()));
            shutdown.cancel();
        }
    }
    unexpected.map_or(Ok(()), |why| Err(anyhow::anyhow!("a part of the exporter ended unexpectedly: {why}")))
}

/// Everything that runs, put together.
struct Wiring {
    config: Config,
    clock: Clock,
    shutdown: CancellationToken,
    exporter: Arc<Exporter>,
    exposition: Arc<Exposition>,
    status: Arc<Status>,
    news: News,
    budget: Arc<Budget>,
    books: Vec<(Source, Book)>,
    started: Timestamp,
}

impl Wiring {
    fn new(config: Config, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = Arc::new(Exporter::register(&registry)?);
        let budget = Arc::new(Budget::new(config.requests_per_minute));
        let (status, news) = (Arc::new(Status::default()), News::default());
        let mut books = Vec::new();
        for &source in &config.sources {
            exporter.announce(&config.project, source, config.interval);
            status.announce(&config.project, source);
            let observer = RequestObserver {
                exporter: exporter.clone(),
                project: config.project.clone(),
                changed: news.requested.clone(),
            };
            let client = client(&config, source.api(), &clock, observer, &budget, &shutdown)?;
            books.push((source, book(&config, client, &budget)));
        }
        let published = books.iter().map(|(_, book)| book.clone()).collect();
        let exposition = Arc::new(Exposition::new(registry, exporter.clone(), published)?);
        exposition.render()?;
        let started = clock.now();
        Ok(Self { config, clock, shutdown, exporter, exposition, status, news, budget, books, started })
    }

    fn app(&self) -> App {
        App {
            exposition: self.exposition.clone(),
            status: self.status.clone(),
            clock: self.clock.clone(),
            telemetry_path: self.config.telemetry_path.clone(),
        }
    }

    fn spawn(&self, tasks: &mut JoinSet<()>) {
        for (source, book) in &self.books {
            let tell = self.tell();
            let sweeper = self.sweeper(*source, book);
            tasks.spawn(sweeper.run(tell));
        }
        let (exposition, status) = (self.exposition.clone(), self.status.clone());
        tasks.spawn(render_loop(exposition, status, self.news.clone(), self.shutdown.clone()));
        tasks.spawn(grace_period(self.status.clone(), self.config.interval, self.shutdown.clone()));
    }

    fn sweeper(&self, source: Source, book: &Book) -> Sweeper {
        let scope = Scope {
            only: self.config.conversations.clone(),
            max_age: self.config.ledger.conversation_max_age,
            interval: self.config.interval,
        };
        Sweeper {
            source,
            walk: Conversations::new(
                book.client.clone(),
                book.ledger.clone(),
                self.budget.clone(),
                scope,
                self.started,
            ),
            interval: self.config.interval,
            clock: self.clock.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// What is done with a loop's news.
    fn tell(&self) -> impl FnMut(Source, sweep::News<'_>) + Send + 'static {
        let (exporter, status, news) = (self.exporter.clone(), self.status.clone(), self.news.swept.clone());
        let project = self.config.project.clone();
        move |source, told| match told {
            sweep::News::Load(load) => exporter.load(&project, source, load),
            sweep::News::Swept(report) => {
                exporter.swept(&project, report);
                status.swept(&project, report);
                news.notify_one();
            }
        }
    }
}

fn client(
    config: &Config,
    api: Api,
    clock: &Clock,
    observer: RequestObserver,
    budget: &Arc<Budget>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Arc<Client>> {
    let base = config.base_url(api).clone();
    let transport = Http::new(&base, config.key.clone())?;
    let settings = kapso::Settings {
        api,
        base,
        timeout: config.timeout,
        budget: budget.clone(),
        clock: clock.clone(),
        observer: Arc::new(observer),
        shutdown: shutdown.clone(),
    };
    Ok(Arc::new(Client::new(settings, transport)))
}

fn book(config: &Config, client: Arc<Client>, budget: &Arc<Budget>) -> Book {
    Book {
        project: config.project.clone(),
        ledger: Arc::new(Mutex::new(Ledger::new(config.ledger.clone()))),
        client,
        budget: budget.clone(),
        limits: Limits::within(config.max_series / config.sources.len(), config.max_conversations),
    }
}

/// Renders after each sweep, while one is under way as news come in, and at least every [`RENDER_INTERVAL`].
/// Once all sources were swept and that is published, the exporter is ready.
async fn render_loop(
    exposition: Arc<Exposition>,
    status: Arc<Status>,
    news: News,
    shutdown: CancellationToken,
) {
    let mut pace = RENDER_PACE;
    while shutdown.run_until_cancelled(news.wait(pace)).await.is_some() {
        let all_swept = status.all_swept();
        let (exposition, begun) = (exposition.clone(), Instant::now());
        match tokio::task::spawn_blocking(move || exposition.render()).await {
            Ok(Ok(())) if all_swept => status.set_ready(),
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot render the metrics"),
            Err(error) => tracing::error!(%error, "cannot render the metrics"),
        }
        pace = RENDER_PACE.max(begun.elapsed() * RENDER_SHARE);
    }
}

/// What there is to render anew.
#[derive(Clone, Default)]
struct News {
    /// A sweep was done.
    swept: Arc<Notify>,
    /// A request was made.
    requested: Arc<Notify>,
}

impl News {
    /// Waits for news: for the end of a sweep no time at all, for requests until `pace` has passed too.
    async fn wait(&self, pace: Duration) {
        let requested = async { tokio::join!(self.requested.notified(), sleep(pace)) };
        tokio::select! {
            () = self.swept.notified() => {}
            _ = requested => {}
            () = sleep(RENDER_INTERVAL) => {}
        }
    }
}

/// After one interval the exporter is ready whatever Kapso answers: that it is blind shows in its metrics.
async fn grace_period(status: Arc<Status>, interval: Duration, shutdown: CancellationToken) {
    if shutdown.run_until_cancelled(sleep(interval)).await.is_some() {
        status.set_ready();
    }
    shutdown.cancelled().await;
}
