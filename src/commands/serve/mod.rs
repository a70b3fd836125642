//! Serving: binds everything, starts the projects, and runs until it is stopped.

mod listening;
mod rendering;
mod replica;
mod systemd;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::{
    sync::SetOnce,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    listening::{deliver, listen},
    rendering::Rendering,
    replica::{Joined, Replica},
};
use crate::{
    app::App,
    clock::Clock,
    config::{Config, WebConfig},
    inbox::{Inbox, Outlet},
    metrics::WebMetrics,
    project::{Changed, Transports},
    publisher::Publisher,
    reload::{LoadConfig, Reloading},
    simulator::Simulator,
    supervisor::{OnRefusal, Supervisor},
    web::{self, Access, Deliveries, Opened, Pages, Readiness, Rules, Watch},
};

/// From a stop to the moment at which a disk that has not answered is given up. Less than the process may take.
const SAVED_WITHIN: Duration = Duration::from_millis(3500);

/// What serving works with.
pub struct Setup {
    /// What to do.
    pub config: Config,
    /// Where to serve.
    pub web: WebConfig,
    /// To whom, and the file that says so, if there is one.
    pub access: (Rules, Option<Opened>),
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
    let Setup { config, web, access, transports, clock, shutdown, load, demo } = setup;
    let started = Instant::now();
    let listeners = listen(&web).await?;
    let (rules, opened) = access;
    if let Some(demo) = demo {
        deliver(&demo, &listeners, &rules);
    }
    let mut tasks = JoinSet::new();
    let (pages, figures) = (Arc::new(SetOnce::new()), Arc::<WebMetrics>::default());
    let access = Arc::new(Access::new(rules, figures.clone())?);
    let router = web::starting(pages.clone(), clock.clone());
    tasks.spawn(web::serve(listeners, access.clone(), router, shutdown.clone()));
    if let Some(opened) = opened {
        tasks.spawn(Watch::new(opened, access, clock.clone()).run(shutdown.clone()));
    }
    let given_up = async {
        shutdown.cancelled().await;
        sleep(SAVED_WITHIN).await;
    };
    let intervals = config.projects.iter().map(|project| project.interval);
    let grace = intervals.max().unwrap_or_default();
    let parts = (transports, clock.clone(), shutdown.clone());
    let mut serving = tokio::select! {
        opened = Serving::open(config, parts, load, figures) => opened?,
        () = given_up => anyhow::bail!("stopped before the state was open"),
    };
    pages.set(web::router(serving.pages(clock, started, web.telemetry_path))).ok();
    systemd::notify(NotifyState::Ready);
    serving.spawn(&mut tasks, grace, &shutdown).await;
    let (stopped, unexpected) = ended(&mut tasks, &shutdown).await;
    systemd::notify(NotifyState::Stopping);
    let refusal = serving.supervisor.stopped().await;
    let saved = serving.publisher.close(stopped + SAVED_WITHIN).await;
    if let Some(replica) = &serving.replica {
        replica.leave(stopped + SAVED_WITHIN).await;
    }
    saved.context("state is not written")?;
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    unexpected.map_or(Ok(()), |why| Err(anyhow::anyhow!("a part of the exporter ended unexpectedly: {why}")))
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
    changed: Changed,
    reloading: Option<Arc<Reloading>>,
    deliveries: Deliveries,
    outlet: Option<Outlet>,
    replica: Option<Replica>,
}

impl Serving {
    async fn open(
        config: Config,
        (transports, clock, shutdown): (Arc<dyn Transports>, Clock, CancellationToken),
        load: Option<LoadConfig>,
        figures: Arc<WebMetrics>,
    ) -> anyhow::Result<Self> {
        let joined = match &config.state.shared {
            Some(shared) => Some(Joined::new(shared).await?),
            None => None,
        };
        let shared = joined.as_ref().map(|joined| joined.store.clone());
        let app = App::open(config.clone(), shared, transports, clock.clone(), shutdown).await?;
        let readiness = Arc::new(Readiness::default());
        let (publisher, changed) = (app.publisher.clone(), app.changed.clone());
        let on_refusal = if config.file.is_some() { OnRefusal::WatchOthers } else { OnRefusal::Stop };
        let supervisor = Arc::new(Supervisor::new(app, config.clone(), on_refusal));
        let reloading = load.map(|load| Reloading::new(load, &config, &supervisor, &publisher, clock));
        publisher.instance().serves(figures);
        publisher.publish().await?;
        if publisher.is_restored() && joined.is_none() {
            readiness.set_ready();
        }
        let reloading = reloading.map(Arc::new);
        let (inbox, outlet) = Inbox::new();
        let replica = joined.map(|joined| joined.runs(&supervisor, &publisher, &inbox));
        let (deliveries, outlet) = (Deliveries::new(inbox), Some(outlet));
        Ok(Self { supervisor, publisher, readiness, changed, reloading, deliveries, outlet, replica })
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
            replicas: self.replica.as_ref().map(|replica| replica.pages.clone()),
        }
    }

    async fn spawn(&mut self, tasks: &mut JoinSet<()>, grace: Duration, shutdown: &CancellationToken) {
        self.supervisor.start().await;
        let rendering = Rendering {
            publisher: self.publisher.clone(),
            streams: self.publisher.renderer().streams().clone(),
            readiness: self.readiness.clone(),
            changed: self.changed.clone(),
            ready_once_swept: self.replica.is_none(),
        };
        let ends = shutdown.clone();
        tasks.spawn(async move {
            ends.run_until_cancelled(rendering.run()).await;
        });
        if let Some(outlet) = self.outlet.take() {
            tasks.spawn(outlet.run(self.publisher.clone(), shutdown.clone()));
        }
        if let Some(replica) = &mut self.replica {
            replica.spawn(tasks, &self.readiness, shutdown);
        }
        if let Some(reloading) = self.reloading.clone() {
            tasks.spawn(reloading.run(shutdown.clone()));
        }
        tasks.spawn(grace_period(self.readiness.clone(), grace, shutdown.clone()));
    }
}

/// After one interval the exporter is ready whatever Kapso answers: that it is blind shows in its metrics.
async fn grace_period(readiness: Arc<Readiness>, interval: Duration, shutdown: CancellationToken) {
    if shutdown.run_until_cancelled(sleep(interval)).await.is_some() {
        readiness.set_ready();
    }
    shutdown.cancelled().await;
}
