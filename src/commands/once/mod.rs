//! `kapso-exporter once`: one sweep of every source, and the metrics on stdout.

mod progress;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    clock::Clock,
    config::Config,
    metrics::{Encoding, Format},
    project::{StreamKey, Transports},
    sweep::{Outcome, Report},
    verification::Unverified,
};

/// How long a disk may take to save everything that a first sweep finds.
const SAVED_WITHIN: Duration = Duration::from_mins(1);

/// Sweeps every source once and writes the metrics, complete or not.
///
/// # Errors
/// If something was missing or it was interrupted, or the metrics cannot be written.
pub async fn once(
    config: Config,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let app = App::open(config, transports, clock, shutdown).await?;
    let unverified = unverified(&app).await?;
    let sweeps = app.projects.values().flat_map(|watched| {
        let verified = watched.sources().filter(|(_, stream)| !unverified.contains_key(&stream.key));
        verified.map(|(source, stream)| {
            watched.sweeper(source, stream).once(|source, event| stream.record(source, &event))
        })
    });
    let reports = progress::shown_while(join_all(sweeps), &app).await;
    ensure!(!app.shutdown.is_cancelled(), "interrupted before the sweep was complete");
    let renderer = app.publisher.renderer();
    let publication = renderer.collect();
    let saved = app.publisher.close(Instant::now() + SAVED_WITHIN).await;
    saved.context("state is not written")?;
    let text = renderer.exposition(&publication, Format::Text, Encoding::Identity)?;
    write(&text).context("cannot write the metrics to stdout")?;
    let unverified = unverified.iter().map(|(key, reason)| format!("{}: {reason}", key.api));
    let missing: Vec<_> = unverified.chain(reports.iter().filter_map(missing)).collect();
    ensure!(missing.is_empty(), "the sweep was incomplete: {}", missing.join("; "));
    Ok(())
}

/// The streams whose state may be another project's, since Kapso did not say.
async fn unverified(app: &App) -> anyhow::Result<BTreeMap<StreamKey, Unverified>> {
    let mut unverified = BTreeMap::new();
    for watched in app.projects.values() {
        for (api, verification) in watched.verifications() {
            match verification.verify().await {
                Ok(()) => {}
                Err(Unverified::Refused(refusal)) => return Err(refusal.into()),
                Err(reason) => drop(unverified.insert(watched.project.key(api), reason)),
            }
        }
    }
    Ok(unverified)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// What a sweep could not read, and why.
fn missing(report: &Report) -> Option<String> {
    let progress = &report.progress;
    let error = progress.error.as_ref().filter(|_| report.outcome == Outcome::Incomplete)?;
    let source = report.source;
    let unread = progress.due.saturating_sub(progress.listed);
    if unread == 0 {
        return Some(format!("{source}: {error}"));
    }
    Some(format!("{source}: {unread} of {} conversations were not read: {error}", progress.due))
}
