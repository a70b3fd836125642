//! `kapso-exporter check`: whether configuration, key and APIs work, and what the exporter would do with them.
//!
//! `survey` asks, a few requests however large the project is; `forecast` and `advice` conclude from that, and
//! do no I/O; [`Report`] holds it all and is written as JSON as it is, or by `text` for people.

mod advice;
mod allowance;
mod configuration;
mod forecast;
mod report;
mod state_file;
mod survey;
mod text;

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

pub use self::configuration::Configuration;
pub use self::report::{
    Conversations, Forecast, Limit, Problem, Report, Sample, SourceReport, State, Workflows,
};
pub use self::state_file::StateFileReport;
use crate::{
    cli::Output,
    clock::Clock,
    config::{Config, StateConfig},
    project::{Project, Transports},
};

/// The most requests that a check sends, those that are repeated because they failed included.
pub const MAX_REQUESTS: u32 = 12;

/// Reports on the configuration alone.
///
/// # Errors
/// If the report cannot be written.
pub fn offline(config: &Config, output: Output) -> anyhow::Result<()> {
    write(&Report::offline(config), output)
}

/// Asks each source's API a few things, and reports.
///
/// # Errors
/// If a source does not work, the check was interrupted, or the report cannot be written.
pub async fn check(
    config: Config,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
    output: Output,
) -> anyhow::Result<()> {
    let mut report = Report::offline(&config);
    let project = Project::new(config.project, transports, clock, shutdown);
    examine(&mut report, &project, &config.state).await?;
    ensure!(!project.shutdown.is_cancelled(), "interrupted before the check was complete");
    write(&report, output)?;
    let failed: Vec<_> = report.failures().collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

async fn examine(report: &mut Report, project: &Project, state: &StateConfig) -> anyhow::Result<()> {
    let sources = &project.config.sources;
    // A small budget of the user's own bounds the check as well: at its pace it takes about a minute.
    let allowed = project.config.requests_per_minute.map_or(MAX_REQUESTS, |own| own.clamp(4, MAX_REQUESTS));
    let (state_file, sent) = state_file::look(project, state, allowed / 2).await?;
    let each = (allowed - sent) / u32::try_from(sources.len())?;
    let surveys = sources.iter().map(|&source| survey::survey(project, source, each));
    report.take_in(project, try_join_all(surveys).await?);
    report.requests_sent += sent;
    report.ok &= state_file.as_ref().is_none_or(|file| file.state == State::Ok);
    report.state_file = state_file;
    Ok(())
}

fn write(report: &Report, output: Output) -> anyhow::Result<()> {
    let mut text = match output {
        Output::Text => text::render(report),
        Output::Json => serde_json::to_string_pretty(report)?,
    };
    text.push('\n');
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write the report to stdout")
}
