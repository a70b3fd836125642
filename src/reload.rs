//! Reading the configuration file again: after SIGHUP, when it is asked for over HTTP, and when the file or a file with
//! a secret has changed. A file that is refused changes nothing: the reason is in the log, in the metrics and in the
//! answer.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
    task::spawn_blocking,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{app::Changes, clock::Clock, config::Config, publisher::Publisher, supervisor::Supervisor};

/// From one look at the files to the next. A file system tells of no change across containers and networks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reads the configuration file. Blocks.
pub type LoadConfig = Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// Applies the configuration file again and again.
pub struct Reloading {
    load: LoadConfig,
    supervisor: Arc<Supervisor>,
    publisher: Arc<Publisher>,
    clock: Clock,
    /// The files as they were when they were last read; one reload at a time.
    files: Mutex<Files>,
}

/// Files that a configuration was read from, with what tells that one has changed; `None` for one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// When a file was changed, how large it is, and its number.
type Stamp = (SystemTime, u64, u64);

impl Files {
    /// As they are now. Blocks.
    fn of(config: &Config) -> Self {
        let files = config.file.iter().chain(&config.secret_files);
        Self(files.map(|path| (path.clone(), stamp(path))).collect())
    }

    /// The same files as they are now. Blocks.
    fn now(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), stamp(path))).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

impl Reloading {
    /// Reads with `load` from now on; `config` is in force.
    #[must_use]
    pub fn new(
        load: LoadConfig,
        config: &Config,
        supervisor: &Arc<Supervisor>,
        publisher: &Arc<Publisher>,
        clock: Clock,
    ) -> Self {
        publisher.instance().config_loaded(&hash(config), clock.wall());
        let files = Mutex::new(Files::of(config));
        Self { load, supervisor: supervisor.clone(), publisher: publisher.clone(), clock, files }
    }

    /// Reads the file and applies it. Returns what is new.
    ///
    /// # Errors
    /// Why it was refused; then everything is as before.
    pub async fn reload(&self) -> anyhow::Result<Changes> {
        let mut files = self.files.lock().await;
        self.reload_from(&mut files).await
    }

    async fn reload_from(&self, files: &mut Files) -> anyhow::Result<Changes> {
        let applied = self.apply(files).await;
        match &applied {
            Ok(Changes { added, changed, removed }) => tracing::info!(
                added = added.len(),
                changed = changed.len(),
                removed = removed.len(),
                "the configuration was read again"
            ),
            Err(error) => {
                self.publisher.instance().config_refused();
                tracing::error!("the configuration is refused, and the one before stays in force: {error:#}");
            }
        }
        applied
    }

    async fn apply(&self, files: &mut Files) -> anyhow::Result<Changes> {
        let (load, before) = (self.load.clone(), files.clone());
        let (loaded, seen) = spawn_blocking(move || {
            // What changes while it is read is read again.
            let before = before.now();
            let loaded = load();
            let seen = loaded.as_ref().map_or(before, Files::of);
            (loaded, seen)
        })
        .await?;
        *files = seen;
        let config = loaded?;
        let hash = hash(&config);
        let changes = self.supervisor.apply(config).await?;
        self.publisher.instance().config_loaded(&hash, self.clock.wall());
        // Whoever is told that it is done finds it so.
        if let Err(error) = self.publisher.publish().await {
            tracing::error!(%error, "cannot render the metrics");
        }
        Ok(changes)
    }

    /// Reloads after each SIGHUP and each change of a file, until it is stopped.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let reloading = async {
            // Without the signal, files and HTTP are left.
            let mut hangup = signal(SignalKind::hangup()).ok();
            loop {
                let asked = tokio::select! {
                    () = received(&mut hangup) => true,
                    () = sleep(LOOK_EVERY) => false,
                };
                let mut files = self.files.lock().await;
                if asked || changed(&files).await {
                    self.reload_from(&mut files).await.ok();
                }
            }
        };
        shutdown.run_until_cancelled(reloading).await;
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn changed(files: &Files) -> bool {
    let before = files.clone();
    spawn_blocking(move || before.now() != before).await.unwrap_or(false)
}

/// Tells whether two processes have the same configuration, and nothing of what it is.
fn hash(config: &Config) -> String {
    let digest: [u8; 32] = Sha256::digest(&config.text).into();
    let (first, _) = digest.split_at(size_of::<u64>());
    format!("{:016x}", first.iter().fold(0, |hash, &byte| hash << 8 | u64::from(byte)))
}
