//! Serving: binds everything, starts the loops, and runs until it is stopped.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, SetOnce},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Web,
    model::Source,
    publisher::Publisher,
    state,
    sweep::SweepEvent,
    verification::Verification,
    web::{self, App, Status},
    wiring::{Project, Wiring},
};

/// The exposition is rendered anew at least this often: idle times grow by themselves.
const RENDER_INTERVAL: Duration = Duration::from_secs(15);
/// While a sweep is under way it is rendered no more often than this, ...
const RENDER_PACE: Duration = Duration::from_secs(1);
/// ... and takes no more than a twentieth of one core.
const RENDER_SHARE: u32 = 20;
/// From a stop to the moment at which a disk that has not answered is given up. Less than the process may take.
const SAVED_WITHIN: Duration = Duration::from_millis(3500);

/// Serves until it is told to stop.
///
/// # Errors
/// If an address cannot be bound, or a part of the program ends before it is told to.
pub async fn serve(project: Project, web: Web) -> anyhow::Result<()> {
    let shutdown = project.shutdown.clone();
    let mut listeners = Vec::new();
    for address in &web.listen_address {
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
        opened = Serving::open(project) => opened?,
        () = given_up => anyhow::bail!("stopped before the state file was open"),
    };
    pages.set(web::router(exporter.app(web.telemetry_path))).ok();
    exporter.spawn(&mut tasks);
    let (stopped, unexpected) = ended(&mut tasks, &shutdown).await;
    let saved = exporter.wiring.publisher.close(stopped + SAVED_WITHIN).await;
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
    wiring: Wiring,
    status: Arc<Status>,
    changes: Changes,
    /// The state file is of another project.
    refusal: Arc<Mutex<Option<state::Error>>>,
}

impl Serving {
    async fn open(project: Project) -> anyhow::Result<Self> {
        let wiring = Wiring::open(project).await?;
        let status = Arc::new(Status::default());
        for (source, stream) in &wiring.streams {
            status.announce(&stream.project, *source);
        }
        wiring.publisher.publish().await?;
        if wiring.publisher.is_restored() {
            status.set_ready();
        }
        let changes = Changes { swept: Arc::default(), requested: wiring.requested.clone() };
        Ok(Self { wiring, status, changes, refusal: Arc::default() })
    }

    fn app(&self, telemetry_path: String) -> App {
        App {
            renderer: self.wiring.publisher.renderer(),
            status: self.status.clone(),
            clock: self.wiring.project.clock.clone(),
            telemetry_path,
        }
    }

    fn spawn(&self, tasks: &mut JoinSet<()>) {
        let verifications = self.wiring.verifications();
        for (source, stream) in &self.wiring.streams {
            let sweep = self.wiring.sweeper(*source, stream).run(self.on_event());
            let verification = verifications.get(&source.api()).cloned();
            tasks.spawn(self.once_verified(verification, sweep));
        }
        let Project { config, shutdown, .. } = &self.wiring.project;
        let (publisher, status) = (self.wiring.publisher.clone(), self.status.clone());
        tasks.spawn(render_loop(publisher, status, self.changes.clone(), shutdown.clone()));
        tasks.spawn(grace_period(self.status.clone(), config.interval, shutdown.clone()));
    }

    /// Sweeps once it is known that the state is that of the project; stops the exporter if it is not.
    fn once_verified<S: Future<Output = ()> + Send>(
        &self,
        verification: Option<Arc<Verification>>,
        sweep: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (refusal, shutdown) = (self.refusal.clone(), self.wiring.project.shutdown.clone());
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

    /// What is done with a loop's news.
    fn on_event(&self) -> impl FnMut(Source, SweepEvent<'_>) + Send + 'static {
        let exporter = self.wiring.exporter.clone();
        let (status, swept) = (self.status.clone(), self.changes.swept.clone());
        let project = self.wiring.project.config.project.clone();
        move |source, event| {
            exporter.record(&project, source, &event);
            if let SweepEvent::Swept(report) = event {
                status.swept(&project, report);
                swept.notify_one();
            }
        }
    }
}

/// Publishes after each sweep, while one is under way as news come in, and at least every [`RENDER_INTERVAL`].
/// Once all sources were swept and that is published, the exporter is ready.
async fn render_loop(
    publisher: Arc<Publisher>,
    status: Arc<Status>,
    changes: Changes,
    shutdown: CancellationToken,
) {
    let mut pace = RENDER_PACE;
    while shutdown.run_until_cancelled(changes.wait(pace)).await.is_some() {
        let all_swept = status.all_swept();
        match shutdown.run_until_cancelled(publisher.publish()).await {
            Some(Ok(rendered)) => pace = RENDER_PACE.max(rendered * RENDER_SHARE),
            Some(Err(error)) => {
                tracing::error!(%error, "cannot render the metrics");
                continue;
            }
            None => return,
        }
        if all_swept {
            status.set_ready();
        }
    }
}

/// Why to render anew.
#[derive(Clone)]
struct Changes {
    /// A sweep was done.
    swept: Arc<Notify>,
    /// A request was made.
    requested: Arc<Notify>,
}

impl Changes {
    /// Waits for one: for the end of a sweep no time at all, for requests until `pace` has passed too.
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
