//! When it is rendered, saved and published.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::systemd;
use crate::{
    project::{Changed, Streams},
    publisher::Publisher,
    web::Readiness,
};

/// The exposition is rendered anew at least this often: idle times grow by themselves. A stream's text may be ten
/// seconds old by then.
const RENDER_INTERVAL: Duration = Duration::from_secs(5);
/// While streams change it is rendered no more often than this, ...
const RENDER_PACE: Duration = Duration::from_millis(250);
/// ... and takes no more than a twentieth of one core.
const RENDER_SHARE: u32 = 20;
/// While deliveries come, or streams are swept for the first time, it is rendered no more often than this, ...
const HURRIED_PACE: Duration = Duration::from_millis(20);
/// ... and takes no more than a quarter of one core.
const HURRIED_SHARE: u32 = 4;

/// When it may be rendered again: where nobody hurries, and where somebody does.
#[derive(Clone, Copy)]
struct Earliest {
    calm: Instant,
    hurried: Instant,
}

/// Publishes what changed, and at least every [`RENDER_INTERVAL`].
pub(super) struct Rendering {
    pub publisher: Arc<Publisher>,
    pub streams: Arc<Streams>,
    pub readiness: Arc<Readiness>,
    pub changed: Changed,
    /// A replica is ready without having anything to sweep.
    pub ready_once_swept: bool,
}

impl Rendering {
    /// Once all sources were swept and that is published, the exporter is ready. A supervisor that watches is told each
    /// time that it goes on.
    pub async fn run(self) {
        let mut news = self.changed.subscribe();
        // Something may have changed before.
        news.mark_changed();
        let watched = systemd::watches(RENDER_INTERVAL);
        let mut earliest = Earliest { calm: Instant::now(), hurried: Instant::now() };
        loop {
            self.wait(&mut news, earliest).await;
            let all_swept = self.streams.all().iter().all(|stream| stream.status.lock().is_swept());
            let begun = Instant::now();
            let published = self.publisher.publish().await;
            if watched {
                systemd::notify(NotifyState::Watchdog);
            }
            match published {
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
            if all_swept && self.ready_once_swept {
                self.readiness.set_ready();
            }
        }
    }

    /// Waits until there is something new, and it is not too early.
    async fn wait(&self, news: &mut watch::Receiver<u64>, earliest: Earliest) {
        let hurried = async {
            self.changed.hurried().await;
            sleep_until(earliest.hurried).await;
        };
        let changed = async {
            // The sender lives as long as the supervisor does.
            news.changed().await.ok();
            sleep_until(earliest.calm).await;
            news.mark_unchanged();
        };
        tokio::select! {
            () = changed => {}
            () = hurried => {}
            () = sleep(RENDER_INTERVAL) => {}
        }
    }
}
