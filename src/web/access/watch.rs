//! Reading the web configuration file again, when it or a file that it names has changed.
//!
//! Files change one after the other: a new certificate is there before its key. So a change is taken over once all files
//! have stood as they are from one look to the next, and one that is refused is told only when it has lasted. What was
//! in force stays so, and nothing that was closed is opened: TLS, passwords and certificates of clients are taken
//! away by a restart alone. A file that is cut off while it is written would take them away, too.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Access, Rules};
use crate::{
    clock::Clock,
    config::{
        Problems,
        web::{Contents, WebFile},
    },
};

/// From one look at the files to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change that is refused is told after so long.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// A web configuration file that is looked at again and again.
pub struct Watch {
    path: PathBuf,
    access: Arc<Access>,
    clock: Clock,
    /// What is in force was read of these.
    in_force: Contents,
    change: Option<Change>,
}

/// A change that was seen.
struct Change {
    since: Instant,
    contents: Contents,
    /// Whether it was told that it is refused.
    is_told: bool,
}

/// A web configuration file that was read: what it was read of, and what it comes to.
struct Loaded {
    contents: Contents,
    rules: Result<Rules, Problems>,
}

impl Loaded {
    /// Blocks.
    fn of(path: &Path) -> Self {
        let read = WebFile::read(path);
        let refused = |problem| Problems { file: path.into(), problems: vec![problem] };
        let rules = read.said.and_then(|said| Rules::new(said).map_err(refused));
        Self { contents: read.contents, rules }
    }
}

impl Watch {
    /// Reads a file, with which access begins. Blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<(Rules, Opened), Problems> {
        let Loaded { contents, rules } = Loaded::of(path);
        Ok((rules?, Opened { path: path.into(), contents }))
    }

    /// Keeps `access` to what the file says.
    #[must_use]
    pub fn new(opened: Opened, access: Arc<Access>, clock: Clock) -> Self {
        let Opened { path, contents: in_force } = opened;
        let watch = Self { path, access, clock, in_force, change: None };
        watch.loaded();
        watch
    }

    /// Looks at the files until it is stopped.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let looking = async {
            loop {
                sleep(LOOK_EVERY).await;
                let (path, in_force) = (self.path.clone(), self.in_force.clone());
                let read = move || (!in_force.are_as_they_were()).then(|| Loaded::of(&path));
                match spawn_blocking(read).await {
                    Ok(Some(loaded)) => self.changed(loaded),
                    Ok(None) => self.unchanged(),
                    Err(_) => {}
                }
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    fn unchanged(&mut self) {
        if self.change.take().is_some_and(|change| change.is_told) {
            self.loaded();
        }
    }

    fn changed(&mut self, loaded: Loaded) {
        let Loaded { contents, rules } = loaded;
        let Some(change) = &mut self.change else {
            self.change = Some(Change { since: Instant::now(), contents, is_told: false });
            return;
        };
        if change.contents != contents {
            change.contents = contents;
            return;
        }
        let rules = rules.map_err(|problems| problems.to_string());
        let in_force = self.access.rules();
        match rules.and_then(|rules| if_as_strict(rules, &in_force)) {
            Ok(rules) => {
                self.access.rules.store(Arc::new(rules));
                (self.in_force, self.change) = (contents, None);
                self.loaded();
                tracing::info!("the web configuration was read again");
            }
            Err(error) if !change.is_told && change.since.elapsed() >= TOLD_AFTER => {
                change.is_told = true;
                self.access.metrics.change_refused();
                tracing::error!(
                    "the web configuration is refused, and the one before stays in force: {error}"
                );
            }
            Err(_) => {}
        }
    }

    fn loaded(&self) {
        let expires = self.access.rules().tls().map(|tls| tls.expires);
        self.access.metrics.loaded(expires, self.clock.wall());
    }
}

/// A file that was read.
pub struct Opened {
    path: PathBuf,
    contents: Contents,
}

fn if_as_strict(rules: Rules, before: &Rules) -> Result<Rules, String> {
    let gone = |is: fn(&Rules) -> bool| is(before) && !is(&rules);
    let lost = if gone(|rules| rules.tls.is_some()) {
        "TLS"
    } else if gone(|rules| !rules.file.users.is_empty()) {
        "passwords"
    } else if gone(|rules| rules.file.tls.as_ref().is_some_and(|tls| tls.client_auth.is_verified())) {
        "the verification of clients"
    } else {
        return Ok(rules);
    };
    Err(format!("it would end {lost}, which takes a restart"))
}
