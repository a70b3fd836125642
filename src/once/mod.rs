//! `kapso-exporter once`: one sweep of every source, and the metrics on stdout.

mod progress;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    model::Api,
    sweep::{Outcome, Report, SweepEvent},
    verification::Unverified,
    wiring::{Project, Wiring},
};

/// How long a disk may take to save everything that a first sweep finds.
const SAVED_WITHIN: Duration = Duration::from_mins(1);

/// Sweeps every source once and writes the metrics, complete or not.
///
/// # Errors
/// If something was missing or it was interrupted, or the metrics cannot be written.
pub async fn once(project: Project) -> anyhow::Result<()> {
    let wiring = Wiring::open(project).await?;
    let unverified = unverified(&wiring).await?;
    let verified = wiring.streams.iter().filter(|(source, _)| !unverified.contains_key(&source.api()));
    let sweeps = verified.map(|(source, stream)| {
        let on_event =
            |source, event: SweepEvent<'_>| wiring.exporter.record(&stream.project, source, &event);
        wiring.sweeper(*source, stream).once(on_event)
    });
    let reports = progress::shown_while(join_all(sweeps), &wiring).await;
    ensure!(!wiring.project.shutdown.is_cancelled(), "interrupted before the sweep was complete");
    let snapshot = wiring.publisher.renderer().render()?;
    let saved = wiring.publisher.close(Instant::now() + SAVED_WITHIN).await;
    saved.context("state is not written")?;
    write(&snapshot.plain).context("cannot write the metrics to stdout")?;
    let unverified = unverified.iter().map(|(api, reason)| format!("{api}: {reason}"));
    let missing: Vec<_> = unverified.chain(reports.iter().filter_map(missing)).collect();
    ensure!(missing.is_empty(), "the sweep was incomplete: {}", missing.join("; "));
    Ok(())
}

/// The APIs whose state may be another project's, since Kapso did not say.
async fn unverified(wiring: &Wiring) -> anyhow::Result<BTreeMap<Api, Unverified>> {
    let mut unverified = BTreeMap::new();
    for (api, verification) in wiring.verifications() {
        match verification.verify().await {
            Ok(()) => {}
            Err(Unverified::Refused(refusal)) => return Err(refusal.into()),
            Err(reason) => drop(unverified.insert(api, reason)),
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
