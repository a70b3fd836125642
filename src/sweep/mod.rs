//! The loop: one for each source, from one sweep's start to the next, until it is stopped.
//!
//! A source that fails disturbs no other. A sweep that takes longer than the interval goes on until it is done,
//! and is followed by the next one at once.

mod watchdog;

use std::time::Duration;

use jiff::Timestamp;
use strum::IntoStaticStr;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    crawl::{Backlog, Progress, Sweep},
    kapso::Reason,
    model::Source,
};

/// An API that is absent is asked again after this time, …
const ABSENT_RECHECK: Duration = Duration::from_mins(10);
/// … once it was absent so many times in a row: until then every interval, since one answer may be an accident.
const ABSENT_LOOKS: u32 = 5;

/// How a sweep went; the `result` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The API does not exist; nothing was to be learned, nothing failed.
    Absent,
    /// Everything that was due was learned.
    Complete,
    /// Something failed; what was learned is kept.
    Incomplete,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Absent, Self::Complete, Self::Incomplete];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One sweep, done.
#[derive(Debug)]
pub struct Report {
    /// Which source was swept.
    pub source: Source,
    /// How it went.
    pub outcome: Outcome,
    /// When it was done, in our clock.
    pub finished: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Its figures.
    pub progress: Progress,
    /// It showed no sign of life and was given up.
    pub stuck: bool,
}

/// What a loop tells.
#[derive(Debug)]
pub enum SweepEvent<'a> {
    /// How much there is to do, at the beginning and at the end of each pass.
    Backlog {
        /// How much.
        backlog: &'a Backlog,
        /// Whether everything so far could be learned, and in time.
        well: bool,
    },
    /// A sweep was done.
    Swept(&'a Report),
}

/// The loop of one source.
pub struct Sweeper {
    /// Which source it is.
    pub source: Source,
    /// Nobody asked for it: that its API is absent is as good as that it is there.
    pub is_optional: bool,
    /// The crawl.
    pub crawler: Box<dyn Sweep>,
    /// From one sweep's start to the next.
    pub interval: Duration,
    /// A sweep without a sign of life for so long is given up.
    pub patience: Duration,
    /// Our clock.
    pub clock: Clock,
    /// Ends the loop.
    pub shutdown: CancellationToken,
}

impl Sweeper {
    /// Sweeps until it is stopped, and tells the news.
    pub async fn run(mut self, mut on_event: impl FnMut(Source, SweepEvent<'_>) + Send) {
        let (mut complained_of, mut absent) = (None, 0);
        let mut next = Instant::now();
        while self.shutdown.run_until_cancelled(sleep_until(next)).await.is_some() {
            let begun = Instant::now();
            let report = self.sweep(&mut on_event).await;
            if self.shutdown.is_cancelled() {
                return;
            }
            log(&report);
            complain(&report, self.is_optional, &mut complained_of);
            on_event(self.source, SweepEvent::Swept(&report));
            absent = if report.outcome == Outcome::Absent { absent + 1 } else { 0 };
            let is_away = absent > ABSENT_LOOKS;
            let interval = if is_away { self.interval.max(ABSENT_RECHECK) } else { self.interval };
            next = (begun + interval).max(Instant::now());
        }
    }

    /// Sweeps one time, and tells the news.
    pub async fn once(mut self, mut on_event: impl FnMut(Source, SweepEvent<'_>) + Send) -> Report {
        let report = self.sweep(&mut on_event).await;
        log(&report);
        on_event(self.source, SweepEvent::Swept(&report));
        report
    }

    async fn sweep(&mut self, on_event: &mut (impl FnMut(Source, SweepEvent<'_>) + Send)) -> Report {
        let begun = Instant::now();
        let source = self.source;
        let heartbeat = self.crawler.heartbeat();
        let mut on_backlog =
            |backlog: &Backlog, well| on_event(source, SweepEvent::Backlog { backlog, well });
        let sweep = self.crawler.sweep(&mut on_backlog);
        let progress = watchdog::guarded(sweep, &heartbeat, self.patience).await;
        let stuck = progress.is_none();
        if stuck {
            self.crawler.reset();
        }
        let progress = progress.unwrap_or_default();
        let outcome = match &progress {
            _ if stuck => Outcome::Incomplete,
            progress if progress.absent => Outcome::Absent,
            progress if progress.is_complete() => Outcome::Complete,
            _ => Outcome::Incomplete,
        };
        Report { source, outcome, finished: self.clock.wall(), duration: begun.elapsed(), progress, stuck }
    }
}

fn log(report: &Report) {
    if report.stuck {
        let minutes = report.duration.as_secs() / 60;
        tracing::error!(source = %report.source, minutes, "the sweep is stuck: it is given up, and the next one begins");
        return;
    }
    let Progress { watched, open, due, listed, failed, failing, error, .. } = &report.progress;
    tracing::info!(
        source = %report.source,
        result = report.outcome.as_str(),
        seconds = format!("{:.3}", report.duration.as_secs_f64()),
        watched,
        open,
        due,
        listed,
        failed,
        failing,
        error = error.as_ref().map(tracing::field::display),
        "sweep"
    );
}

/// Says once what an operator can do something about, and says it again only after it was mended.
fn complain(report: &Report, is_optional: bool, complained_of: &mut Option<Reason>) {
    let reason = report.progress.error.as_ref().and_then(crate::kapso::Error::reason);
    if *complained_of == reason {
        return;
    }
    *complained_of = reason;
    let source = report.source;
    match reason {
        Some(_) if report.outcome == Outcome::Absent && is_optional => {
            tracing::info!(%source, "the legacy API does not answer: agents are watched once it shows any");
        }
        Some(_) if report.outcome == Outcome::Absent => {
            tracing::warn!(%source, "the legacy API is not there: this source has nothing to show");
        }
        Some(Reason::Unauthorized) => {
            tracing::error!(%source, "Kapso refused the API key: check KAPSO_API_KEY, --kapso.api-key-file, or api_key in the configuration file");
        }
        Some(Reason::Forbidden) => {
            tracing::error!(%source, "the API key is not allowed to list this: check its project and rights");
        }
        Some(Reason::Disappeared) => {
            tracing::error!(
                %source,
                "half of the open executions are no longer in the lists: they are shown until that is confirmed"
            );
        }
        Some(Reason::NotFound) => {
            tracing::error!(%source, "there is no such API: check platform_url and legacy_url, or --kapso.platform-url and --kapso.legacy-url");
        }
        _ => {}
    }
}
