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
mod web;

use std::{
    io::{self, Write},
    sync::Arc,
};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

pub use self::configuration::Configuration;
pub use self::report::{
    Conversations, Forecast, Limit, Plan, Problem, Report, Sample, SourceReport, State, Workflows,
};
pub use self::state_file::StateFileReport;
pub use self::web::WebReport;
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
pub fn offline(config: &Config, web: Option<&WebReport>, output: Output) -> anyhow::Result<()> {
    let reports = config.projects.iter().map(|project| Report::offline(project, &config.state, web));
    write(&reports.collect::<Vec<_>>(), config.file.is_some(), output)
}

/// Asks each source's API a few things, one project after the other, and reports.
///
/// # Errors
/// If a source does not work, the check was interrupted, or the report cannot be written.
pub async fn check(
    config: Config,
    web: Option<&WebReport>,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
    output: Output,
) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    for project in config.projects {
        let mut report = Report::offline(&project, &config.state, web);
        let project = Project::new(project, transports.clone(), clock.clone(), shutdown.clone());
        examine(&mut report, &project, &config.state).await?;
        ensure!(!project.shutdown.is_cancelled(), "interrupted before the check was complete");
        reports.push(report);
    }
    write(&reports, config.file.is_some(), output)?;
    let failed: Vec<_> = reports.iter().flat_map(|report| failures(report, config.file.is_some())).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// What does not work; with the name of the project where there may be several.
fn failures(report: &Report, is_named: bool) -> Vec<String> {
    let name = &report.configuration.project;
    let named = |failure: String| if is_named { format!("{name}: {failure}") } else { failure };
    report.failures().map(named).collect()
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

/// With a configuration file there may be several: JSON is a list then, and one object without.
fn write(reports: &[Report], is_list: bool, output: Output) -> anyhow::Result<()> {
    let mut text = match output {
        Output::Text => reports.iter().map(text::render).collect::<Vec<_>>().join("\n\n"),
        Output::Json if is_list => serde_json::to_string_pretty(reports)?,
        Output::Json => reports.iter().map(serde_json::to_string_pretty).collect::<Result<_, _>>()?,
    };
    text.push('\n');
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.context("cannot write the report to stdout")
}
