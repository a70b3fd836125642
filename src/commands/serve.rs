//! Serving: binds everything, starts the loops, and runs until it is stopped.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::{
    sync::{SetOnce, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, WatchedProject},
    clock::Clock,
    config::{Config, WebConfig},
    project::{Stream, Transports},
    publisher::Publisher,
    state,
    verification::Verification,
    web::{self, Pages, Readiness},
};

/// The exposition is rendered anew at least this often: idle times grow by themselves.
const RENDER_INTERVAL: Duration = Duration::from_secs(15);
/// While streams change it is rendered no more often than this, ...
const RENDER_PACE: Duration = Duration::from_millis(250);
/// ... and takes no more than a twentieth of one core.
const RENDER_SHARE: u32 = 20;
/// From a stop to the moment at which a disk that has not answered is given up. Less than the process may take.
const SAVED_WITHIN: Duration = Duration::from_millis(3500);

/// Serves until it is told to stop.
///
/// # Errors
/// If an address cannot be bound, or a part of the program ends before it is told to.
pub async fn serve(
    config: Config,
    web: WebConfig,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    for address in &web.listen_addresses {
        let bound = web::bind(address).await;
        listeners.push(bound.with_context(|| format!("cannot listen on {address} (--web.listen-address)"))?);
    }
    for listener in &listeners {
        tracing::info!(address = %listener.local_addr()?, path = web.telemetry_path, "listening");
    }
    let mut tasks = JoinSet::new();
    let pages = Arc::new(SetOnce::new());
    tasks.spawn(web::serve(listeners, web::starting(pages.clone()), shutdown.clone()));
    let given_up = async {
        shutdown.cancelled().await;
        sleep(SAVED_WITHIN).await;
    };
    let exporter = tokio::select! {
        opened = Serving::open(App::open(config, transports, clock, shutdown.clone())) => opened?,
        () = given_up => anyhow::bail!("stopped before the state file was open"),
    };
    pages.set(web::router(exporter.pages(web.telemetry_path))).ok();
    exporter.spawn(&mut tasks);
    let (stopped, unexpected) = ended(&mut tasks, &shutdown).await;
    let saved = exporter.app.publisher.close(stopped + SAVED_WITHIN).await;
    saved.context("state is not written")?;
    if let Some(refusal) = exporter.refusal.lock().take() {
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
    app: App,
    readiness: Arc<Readiness>,
    /// The state file is of another project.
    refusal: Arc<Mutex<Option<state::Error>>>,
}

impl Serving {
    async fn open(app: impl Future<Output = anyhow::Result<App>>) -> anyhow::Result<Self> {
        let (app, readiness) = (app.await?, Arc::new(Readiness::default()));
        app.publisher.publish().await?;
        if app.publisher.is_restored() {
            readiness.set_ready();
        }
        Ok(Self { app, readiness, refusal: Arc::default() })
    }

    fn pages(&self, telemetry_path: String) -> Pages {
        Pages {
            renderer: self.app.publisher.renderer(),
            streams: self.app.streams().cloned().collect(),
            readiness: self.readiness.clone(),
            clock: self.app.clock.clone(),
            telemetry_path,
        }
    }

    fn spawn(&self, tasks: &mut JoinSet<()>) {
        for watched in self.app.projects.values() {
            self.watch(watched, tasks);
        }
        let shutdown = &self.app.shutdown;
        let rendering = Rendering {
            publisher: self.app.publisher.clone(),
            streams: self.app.streams().cloned().collect(),
            readiness: self.readiness.clone(),
            changed: self.app.changed.subscribe(),
        };
        let ends = shutdown.clone();
        tasks.spawn(async move {
            ends.run_until_cancelled(rendering.run()).await;
        });
        let intervals = self.app.projects.values().map(|watched| watched.project.config.interval);
        let interval = intervals.max().unwrap_or_default();
        tasks.spawn(grace_period(self.readiness.clone(), interval, shutdown.clone()));
    }

    fn watch(&self, watched: &WatchedProject, tasks: &mut JoinSet<()>) {
        let verifications = watched.verifications();
        for (source, stream) in watched.sources() {
            let (sweeper, status) = (watched.sweeper(source, stream), stream.clone());
            let sweep = sweeper.run(move |source, event| status.record(source, &event));
            let verification = verifications.get(&source.api()).cloned();
            tasks.spawn(self.once_verified(verification, sweep));
        }
    }

    /// Sweeps once it is known that the state is that of the project; stops the exporter if it is not.
    fn once_verified<S: Future<Output = ()> + Send>(
        &self,
        verification: Option<Arc<Verification>>,
        sweep: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (refusal, shutdown) = (self.refusal.clone(), self.app.shutdown.clone());
        async move {
            let Some(verification) = verification else { return sweep.await };
            match verification.wait().await {
                Ok(()) => sweep.await,
                Err(error) => {
                    refusal.lock().get_or_insert(error);
                    shutdown.cancel();
                }
            }
        }
    }
}

/// Publishes what changed, and at least every [`RENDER_INTERVAL`].
struct Rendering {
    publisher: Arc<Publisher>,
    streams: Vec<Arc<Stream>>,
    readiness: Arc<Readiness>,
    changed: watch::Receiver<u64>,
}

impl Rendering {
    /// Once all sources were swept and that is published, the exporter is ready.
    async fn run(mut self) {
        let mut earliest = Instant::now();
        loop {
            self.wait(earliest).await;
            let all_swept = self.streams.iter().all(|stream| stream.status.lock().is_swept());
            let begun = Instant::now();
            match self.publisher.publish().await {
                Ok(rendered) => earliest = begun + RENDER_PACE.max(rendered * RENDER_SHARE),
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
    async fn wait(&mut self, earliest: Instant) {
        let changed = async {
            // The sender lives as long as the streams do.
            self.changed.changed().await.ok();
            sleep_until(earliest).await;
            self.changed.mark_unchanged();
        };
        tokio::select! {
            () = changed => {}
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
