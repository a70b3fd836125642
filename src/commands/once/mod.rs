//! `kapso-exporter once`: one sweep of every source, and the metrics on stdout or sent to a receiver.

mod progress;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    clock::Clock,
    config::Config,
    metrics::{Encoding, Format, Publication, Renderer},
    project::{StreamKey, Transports},
    remote_write::RemoteWrite,
    sweep::{Outcome, Report},
    verification::Unverified,
};

/// How long a disk may take to save everything that a first sweep finds.
const SAVED_WITHIN: Duration = Duration::from_mins(1);

/// Sweeps every source once and writes the metrics to stdout, or sends them to the receiver, complete or not.
///
/// # Errors
/// If something was missing or it was interrupted, or the metrics cannot be written or were not taken.
pub async fn once(
    config: Config,
    receiver: Option<RemoteWrite>,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let app = App::open(config, None, transports, clock, shutdown).await?;
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
    let delivered = match &receiver {
        Some(receiver) => send(&app, &publication, receiver).await,
        None => write(&renderer, &publication),
    };
    let unverified = unverified.iter().map(|(key, reason)| format!("{}: {reason}", key.api));
    let missing: Vec<_> = unverified.chain(reports.iter().filter_map(missing)).collect();
    conclude(delivered, &missing)
}

/// Nothing failed, or all that did.
fn conclude(delivered: anyhow::Result<()>, missing: &[String]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return delivered;
    }
    let missing = format!("the sweep was incomplete: {}", missing.join("; "));
    match delivered {
        Ok(()) => bail!(missing),
        Err(error) => bail!("{error:#}; {missing}"),
    }
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

async fn send(app: &App, publication: &Publication, receiver: &RemoteWrite) -> anyhow::Result<()> {
    let requests = receiver.requests(publication, app.clock.wall());
    receiver.send(&requests, &app.clock, &app.shutdown).await
}

fn write(renderer: &Renderer, publication: &Publication) -> anyhow::Result<()> {
    let text = renderer.exposition(publication, Format::Text, Encoding::Identity)?;
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(&text).and_then(|()| stdout.flush());
    written.context("cannot write the metrics to stdout")
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
