//! Serving: binds everything, starts the projects, and runs until it is stopped.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    sync::{SetOnce, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    clock::Clock,
    config::{Config, WebConfig},
    inbox::{Inbox, Outlet},
    project::{Streams, Transports},
    publisher::Publisher,
    reload::{LoadConfig, Reloading},
    simulator::Simulator,
    supervisor::{OnRefusal, Supervisor},
    web::{self, Deliveries, Pages, Readiness},
};

/// The exposition is rendered anew at least this often: idle times grow by themselves. A stream's text may be ten
/// seconds old by then.
const RENDER_INTERVAL: Duration = Duration::from_secs(5);
/// While streams change it is rendered no more often than this, ...
const RENDER_PACE: Duration = Duration::from_millis(250);
/// ... and takes no more than a twentieth of one core.
const RENDER_SHARE: u32 = 20;
/// While deliveries come it is rendered no more often than this, ...
const HURRIED_PACE: Duration = Duration::from_millis(20);
/// ... and takes no more than a quarter of one core.
const HURRIED_SHARE: u32 = 4;
/// From a stop to the moment at which a disk that has not answered is given up. Less than the process may take.
const SAVED_WITHIN: Duration = Duration::from_millis(3500);

/// What serving works with.
pub struct Setup {
    /// What to do.
    pub config: Config,
    /// Where to serve.
    pub web: WebConfig,
    /// How Kapso is reached.
    pub transports: Arc<dyn Transports>,
    /// Our clock.
    pub clock: Clock,
    /// Ends everything.
    pub shutdown: CancellationToken,
    /// Reads the configuration file again, if it comes from one.
    pub load: Option<LoadConfig>,
    /// The embedded simulated Kapso, which delivers webhooks to what is served.
    pub demo: Option<Simulator>,
}

/// Serves until it is told to stop.
///
/// # Errors
/// If an address cannot be bound, or a part of the program ends before it is told to.
pub async fn serve(setup: Setup) -> anyhow::Result<()> {
    let Setup { config, web, transports, clock, shutdown, load, demo } = setup;
    let started = Instant::now();
    let mut listeners = Vec::new();
    for address in &web.listen_addresses {
        let bound = web::bind(address).await;
        listeners.push(bound.with_context(|| format!("cannot listen on {address} (--web.listen-address)"))?);
    }
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, path = web.telemetry_path, "listening");
    }
    if let (Some(demo), Some(listener)) = (demo, listeners.first()) {
        demo.set_webhook_url(webhook_url(listener.local_addr()?));
    }
    let mut tasks = JoinSet::new();
    let pages = Arc::new(SetOnce::new());
    tasks.spawn(web::serve(listeners, web::starting(pages.clone(), clock.clone()), shutdown.clone()));
    let given_up = async {
        shutdown.cancelled().await;
        sleep(SAVED_WITHIN).await;
    };
    let intervals = config.projects.iter().map(|project| project.interval);
    let grace = intervals.max().unwrap_or_default();
    let app = App::open(config.clone(), transports, clock.clone(), shutdown.clone());
    let mut serving = tokio::select! {
        opened = Serving::open(app, config, load, clock.clone()) => opened?,
        () = given_up => anyhow::bail!("stopped before the state file was open"),
    };
    pages.set(web::router(serving.pages(clock, started, web.telemetry_path))).ok();
    serving.spawn(&mut tasks, grace, &shutdown).await;
    let (stopped, unexpected) = ended(&mut tasks, &shutdown).await;
    let refusal = serving.supervisor.stopped().await;
    let saved = serving.publisher.close(stopped + SAVED_WITHIN).await;
    saved.context("state is not written")?;
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    unexpected.map_or(Ok(()), |why| Err(anyhow::anyhow!("a part of the exporter ended unexpectedly: {why}")))
}

/// Where the one project of the demo takes its deliveries.
fn webhook_url(mut served_at: SocketAddr) -> String {
    if served_at.ip().is_unspecified() {
        served_at.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{served_at}/webhooks/kapso/default")
}

/// Waits until all tasks have ended. Returns when the first one did, which is when they were told to stop, and why
/// it did if they were not told to.
async fn ended(tasks: &mut JoinSet<()>, shutdown: &CancellationToken) -> (Instant, Option<String>) {
    let (mut stopped, mut unexpected) = (None, None);
    while let Some(ended) = tasks.join_next().await {
        stopped.get_or_insert_with(Instant::now);
        if !shutdown.is_cancelled() {
            unexpected = Some(ended.err().map_or_else(|| "it returned".into(), |error| error.to_string()));
            shutdown.cancel();
        }
    }
    (stopped.unwrap_or_else(Instant::now), unexpected)
}

/// Everything that runs.
struct Serving {
    supervisor: Arc<Supervisor>,
    publisher: Arc<Publisher>,
    readiness: Arc<Readiness>,
    changed: watch::Receiver<u64>,
    reloading: Option<Arc<Reloading>>,
    deliveries: Deliveries,
    outlet: Option<Outlet>,
}

impl Serving {
    async fn open(
        app: impl Future<Output = anyhow::Result<App>>,
        config: Config,
        load: Option<LoadConfig>,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (app, readiness) = (app.await?, Arc::new(Readiness::default()));
        let (publisher, changed) = (app.publisher.clone(), app.changed.subscribe());
        let on_refusal = if config.file.is_some() { OnRefusal::WatchOthers } else { OnRefusal::Stop };
        let supervisor = Arc::new(Supervisor::new(app, on_refusal));
        let reloading = load.map(|load| Reloading::new(load, &config, &supervisor, &publisher, clock));
        publisher.publish().await?;
        if publisher.is_restored() {
            readiness.set_ready();
        }
        let reloading = reloading.map(Arc::new);
        let (inbox, outlet) = Inbox::new();
        let (deliveries, outlet) = (Deliveries::new(inbox), Some(outlet));
        Ok(Self { supervisor, publisher, readiness, changed, reloading, deliveries, outlet })
    }

    fn pages(&self, clock: Clock, started: Instant, telemetry_path: String) -> Pages {
        Pages {
            renderer: self.publisher.renderer(),
            readiness: self.readiness.clone(),
            clock,
            started,
            telemetry_path,
            reloading: self.reloading.clone(),
            deliveries: self.deliveries.clone(),
        }
    }

    async fn spawn(&mut self, tasks: &mut JoinSet<()>, grace: Duration, shutdown: &CancellationToken) {
        self.supervisor.start().await;
        let rendering = Rendering {
            publisher: self.publisher.clone(),
            streams: self.publisher.renderer().streams().clone(),
            readiness: self.readiness.clone(),
            changed: self.changed.clone(),
        };
        let ends = shutdown.clone();
        tasks.spawn(async move {
            ends.run_until_cancelled(rendering.run()).await;
        });
        if let Some(outlet) = self.outlet.take() {
            tasks.spawn(outlet.run(self.publisher.clone(), shutdown.clone()));
        }
        if let Some(reloading) = self.reloading.clone() {
            tasks.spawn(reloading.run(shutdown.clone()));
        }
        tasks.spawn(grace_period(self.readiness.clone(), grace, shutdown.clone()));
    }
}

/// When it may be rendered again: where nobody hurries, and where somebody does.
#[derive(Clone, Copy)]
struct Earliest {
    calm: Instant,
    hurried: Instant,
}

/// Publishes what changed, and at least every [`RENDER_INTERVAL`].
struct Rendering {
    publisher: Arc<Publisher>,
    streams: Arc<Streams>,
    readiness: Arc<Readiness>,
    changed: watch::Receiver<u64>,
}

impl Rendering {
    /// Once all sources were swept and that is published, the exporter is ready.
    async fn run(mut self) {
        let mut earliest = Earliest { calm: Instant::now(), hurried: Instant::now() };
        loop {
            self.wait(earliest).await;
            let all_swept = self.streams.all().iter().all(|stream| stream.status.lock().is_swept());
            let begun = Instant::now();
            match self.publisher.publish().await {
                Ok(rendered) => {
                    earliest = Earliest {
                        calm: begun + RENDER_PACE.max(rendered * RENDER_SHARE),
                        hurried: begun + HURRIED_PACE.max(rendered * HURRIED_SHARE),
                    };
                }
                Err(error) => {
                    tracing::error!(%error, "cannot render the metrics");
                    continue;
                }
            }
            if all_swept {
                self.readiness.set_ready();
            }
        }
    }

    /// Waits until there is something new, and it is not too early.
    async fn wait(&mut self, earliest: Earliest) {
        let hurried = async {
            self.publisher.hurried().await;
            sleep_until(earliest.hurried).await;
        };
        let changed = async {
            // The sender lives as long as the supervisor does.
            self.changed.changed().await.ok();
            sleep_until(earliest.calm).await;
            self.changed.mark_unchanged();
        };
        tokio::select! {
            () = changed => {}
            () = hurried => {}
            () = sleep(RENDER_INTERVAL) => {}
        }
    }
}

/// After one interval the exporter is ready whatever Kapso answers: that it is blind shows in its metrics.
async fn grace_period(readiness: Arc<Readiness>, interval: Duration, shutdown: CancellationToken) {
    if shutdown.run_until_cancelled(sleep(interval)).await.is_some() {
        readiness.set_ready();
    }
    shutdown.cancelled().await;
}
