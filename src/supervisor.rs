//! Runs the projects that are watched, each with tasks of its own: what becomes of one touches no other.
//!
//! Another configuration is taken over while they run ([`Supervisor::apply`]), all or nothing: what can fail is done
//! first, then the projects that changed are stopped, switched and started, and all others never notice. A sweep that
//! panics is begun anew after an interval.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    app::{App, Changes, WatchedProject},
    config::Config,
    model::Source,
    project::Stream,
    state,
    verification::Verification,
};

/// From the start of one project to that of the next at most: thousands do not all ask at once, and all have within
/// their interval.
const START_PACE: Duration = Duration::from_millis(20);
/// How long a project that changes may take to stop. All its waits end at once, so it takes no time.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// What to do if the state of a project is another project's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// Stop everything: nothing else is watched.
    Stop,
    /// Say so, and watch the others.
    WatchOthers,
}

/// Runs the projects of an [`App`].
pub struct Supervisor {
    app: tokio::sync::Mutex<App>,
    configured: ArcSwap<Config>,
    running: Mutex<BTreeMap<Arc<str>, JoinSet<()>>>,
    on_refusal: OnRefusal,
    refusal: Arc<Mutex<Option<state::Error>>>,
    shutdown: CancellationToken,
}

impl Supervisor {
    /// Nothing runs yet; `config` is what the app was opened with.
    #[must_use]
    pub fn new(app: App, config: Config, on_refusal: OnRefusal) -> Self {
        let shutdown = app.shutdown.clone();
        Self {
            app: tokio::sync::Mutex::new(app),
            configured: ArcSwap::from_pointee(config),
            running: Mutex::default(),
            on_refusal,
            refusal: Arc::default(),
            shutdown,
        }
    }

    /// Begins to sweep every project.
    pub async fn start(&self) {
        let app = self.app.lock().await;
        self.start_projects(&app, &app.projects.keys().cloned().collect());
    }

    /// Goes on with another configuration. All or nothing: after an error everything is as before.
    ///
    /// # Errors
    /// If there is no way to an API of a project, or its state cannot be used.
    pub async fn apply(&self, config: Config) -> anyhow::Result<Changes> {
        let mut app = self.app.lock().await;
        let changes = self.take_over(&mut app, config.clone()).await?;
        self.configured.store(Arc::new(config));
        Ok(changes)
    }

    /// Goes on with the same configuration and the leases that are held now. All or nothing.
    ///
    /// # Errors
    /// As for another configuration.
    pub async fn follow_leases(&self) -> anyhow::Result<Changes> {
        let mut app = self.app.lock().await;
        let config = Config::clone(&self.configured.load());
        self.take_over(&mut app, config).await
    }

    /// The configuration in force, with all its projects, whether they are watched here or not.
    #[must_use]
    pub fn configured(&self) -> Arc<Config> {
        self.configured.load_full()
    }

    async fn take_over(&self, app: &mut App, config: Config) -> anyhow::Result<Changes> {
        let (opening, present) = (app.opening().clone(), app.projects.clone());
        let opened = spawn_blocking(move || opening.open(config, &present)).await??;
        let changes = opened.changes().clone();
        self.stop_projects(app, changes.changed.union(&changes.removed)).await;
        app.switch(opened);
        self.start_projects(app, &changes.changed.union(&changes.added).cloned().collect());
        Ok(changes)
    }

    /// Waits until everything has stopped, after it was told to. Returns why the state of a project was refused, if that
    /// was the reason.
    pub async fn stopped(&self) -> Option<state::Error> {
        self.shutdown.cancelled().await;
        let running = std::mem::take(&mut *self.running.lock());
        for (_, mut tasks) in running {
            while tasks.join_next().await.is_some() {}
        }
        self.refusal.lock().take()
    }

    fn start_projects(&self, app: &App, names: &BTreeSet<Arc<str>>) {
        let mut running = self.running.lock();
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        for (name, number) in names.iter().zip(0..) {
            let Some(watched) = app.projects.get(name) else { continue };
            let delay = START_PACE.min(watched.project.config.interval / count) * number;
            self.start_project(running.entry(name.clone()).or_default(), watched, delay);
        }
    }

    fn start_project(&self, tasks: &mut JoinSet<()>, watched: &Arc<WatchedProject>, delay: Duration) {
        let verifications = watched.verifications();
        let span = || tracing::error_span!("project", project = watched.project.config.name);
        for (source, stream) in watched.sources() {
            let verification = verifications.get(&source.api()).cloned();
            let task = Task { watched: watched.clone(), stream: stream.clone(), source };
            let (on_refusal, shutdown) =
                (self.refused(task.stream.clone()), watched.project.shutdown.clone());
            let run = async move {
                if shutdown.run_until_cancelled(sleep(delay)).await.is_some() {
                    task.run(verification, on_refusal).await;
                }
            };
            tasks.spawn(run.instrument(span()));
        }
        for (api, follow_up) in watched.follow_ups() {
            let verification = verifications.get(&api).cloned();
            let shutdown = watched.project.shutdown.clone();
            let run = async move {
                let is_ours = match verification {
                    Some(verification) => verification.wait().await.is_ok(),
                    None => true,
                };
                if is_ours {
                    shutdown.run_until_cancelled(follow_up.run()).await;
                }
            };
            tasks.spawn(run.instrument(span()));
        }
    }

    /// What is done once the state of a stream is known to be another project's.
    fn refused(&self, stream: Arc<Stream>) -> impl FnOnce(state::Error) + Send + use<> {
        let (on_refusal, refusal, shutdown) = (self.on_refusal, self.refusal.clone(), self.shutdown.clone());
        move |error| match on_refusal {
            OnRefusal::Stop => {
                refusal.lock().get_or_insert(error);
                shutdown.cancel();
            }
            OnRefusal::WatchOthers => {
                tracing::error!(api = %stream.key.api, "this project is not watched: {error}");
                stream.refused(&error.to_string());
            }
        }
    }

    async fn stop_projects(&self, app: &App, names: impl Iterator<Item = &Arc<str>>) {
        for name in names {
            let Some(watched) = app.projects.get(name) else { continue };
            watched.project.shutdown.cancel();
            let Some(mut tasks) = self.running.lock().remove(name) else { continue };
            let stopped = async { while tasks.join_next().await.is_some() {} };
            if timeout(STOPS_WITHIN, stopped).await.is_err() {
                tasks.shutdown().await;
            }
        }
    }
}

/// The loop of one source of a project.
struct Task {
    watched: Arc<WatchedProject>,
    stream: Arc<Stream>,
    source: Source,
}

impl Task {
    /// Sweeps once it is known that the state is that of the project, and begins anew after a panic.
    async fn run(
        self,
        verification: Option<Arc<Verification>>,
        on_refusal: impl FnOnce(state::Error) + Send,
    ) {
        if let Some(verification) = verification {
            if verification.is_pending() {
                self.stream.interrupted(self.source);
            }
            if let Err(error) = verification.wait().await {
                return on_refusal(error);
            }
        }
        let project = &self.watched.project;
        while AssertUnwindSafe(self.sweep()).catch_unwind().await.is_err() {
            tracing::error!(source = %self.source, "the sweep panicked: it begins anew");
            self.stream.panicked(self.source);
            project.shutdown.run_until_cancelled(sleep(project.config.interval)).await;
        }
    }

    async fn sweep(&self) {
        let stream = self.stream.clone();
        let sweeper = self.watched.sweeper(self.source, &self.stream);
        sweeper.run(move |source, event| stream.record(source, &event)).await;
    }
}
