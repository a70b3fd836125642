//! `kapso-exporter backfill`: the counters of the past, as files that Prometheus and `VictoriaMetrics` import.

mod progress;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use futures_util::future::join_all;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::{
    app::bounds,
    backfill::{
        self, Form, Header, History, Journal, JournalError, ListedWorkflow, PlanError, Progress, ReadSoFar,
        Reading, Records, Span, Written,
    },
    clock::Clock,
    config::{BackfillConfig, Config, MetricsConfig, ProjectConfig},
    kapso::{Endpoint, Observer, Reason},
    metrics::Limits,
    model::{Api, NativeHistograms, Source},
    process::CliError,
    project::{Budgets, Project, Transports},
};

/// Reads what is missing, and writes the files once nothing is. Their names go to stdout.
///
/// # Errors
/// What is wrong with the command line, what could not be read, or that it was interrupted. What was read is kept, and the
/// same command goes on from there.
pub async fn backfill(
    config: Config,
    what: BackfillConfig,
    transports: Arc<dyn Transports>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), CliError> {
    let Config { projects, metrics, .. } = config;
    check(&what, &metrics)?;
    let (bound, projects) = (workflows_with_series(&metrics, &projects), listed(projects)?);
    let _lock = own(&what.output).map_err(CliError::Run)?;
    let span = backfill::span(&what, clock.wall())?;
    tracing::info!(since = %span.since, until = %span.until, "backfilling");
    let journals = projects.iter().map(|project| open(project, &what.output, span));
    let journals = journals.collect::<Result<Vec<_>, JournalError>>()?;
    let (requests, budgets) = (Arc::<Requests>::default(), Budgets::default());
    let projects = projects.into_iter().map(|config| {
        let budget = budgets.of(&config);
        let project = Project::new(config, transports.clone(), clock.clone(), shutdown.clone());
        (Project { budget, ..project }, Progress::default())
    });
    let projects: Vec<_> = projects.collect();
    let read = read(&projects, journals, span, &requests).await.map_err(CliError::Run)?;
    say_what_is_odd(&projects, &read, bound);
    let executions: usize = read.iter().map(|(_, records)| records.len()).sum();
    let histories = projects.iter().zip(read).flat_map(|((project, _), read)| histories(project, read, span));
    let written = write(what, span, histories.collect(), shutdown).await.map_err(CliError::Run)?;
    let (files, samples, requests) = (written.files.len(), written.samples, requests.sent());
    tracing::info!(files, samples, executions, requests, "backfilled");
    tell(&written).context("cannot write the names of the files to stdout").map_err(CliError::Run)
}

/// What can be said before anything is asked.
fn check(what: &BackfillConfig, metrics: &MetricsConfig) -> Result<(), CliError> {
    let labels = &what.labels;
    let is_again = |place: &usize| labels[..*place].iter().any(|(name, _)| *name == labels[*place].0);
    if let Some(place) = (0..labels.len()).find(is_again) {
        return Err(CliError::Usage(anyhow!("the label {} is given twice (--label)", labels[place].0)));
    }
    if metrics.native_histograms == NativeHistograms::Only {
        tracing::warn!("text holds classic histograms alone: native ones begin with the running exporter");
    }
    Ok(())
}

/// The projects of which there is something to read.
fn listed(projects: Vec<ProjectConfig>) -> Result<Vec<ProjectConfig>, CliError> {
    let (listed, others): (Vec<_>, Vec<_>) = projects.into_iter().partition(backfill::is_listed);
    if listed.is_empty() {
        return Err(CliError::Usage(anyhow!(
            "there is nothing to backfill with the source agents alone: the legacy API lists no executions by time. The \
             sources auto, conversations and workflows are backfilled"
        )));
    }
    let has_agents =
        |project: &&ProjectConfig| project.sources.contains(&Source::Agents) && !project.tries_agents;
    for project in listed.iter().chain(&others).filter(has_agents) {
        tracing::warn!(project = project.name, "agents of the legacy API are not backfilled");
    }
    Ok(listed)
}

/// Takes the folder for this run, and makes it if it is not there.
fn own(folder: &Path) -> anyhow::Result<File> {
    let named = || format!("cannot use {} (--output)", folder.display());
    fs::create_dir_all(folder).with_context(named)?;
    let lock = File::open(folder).with_context(named)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            Err(anyhow!("another backfill is at work in {} (--output)", folder.display()))
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(named),
    }
}

fn open(project: &ProjectConfig, folder: &Path, span: Span) -> Result<(Journal, ReadSoFar), JournalError> {
    let header = Header::new(&project.name, span, backfill::digest(project));
    Journal::open(&folder.join(format!("{}.journal", project.name)), &header)
}

/// What the lists of all projects tell. Those of one do not wait for those of another.
async fn read(
    projects: &[(Project, Progress)],
    journals: Vec<(Journal, ReadSoFar)>,
    span: Span,
    requests: &Arc<Requests>,
) -> anyhow::Result<Vec<(Vec<ListedWorkflow>, Records)>> {
    let reads = projects.iter().zip(journals).map(async |((project, progress), (journal, so_far))| {
        let client =
            project.client(Api::Platform, requests.clone()).map_err(|error| vec![format!("{error:#}")])?;
        let reading = Reading { project, client: &client, span, progress };
        backfill::read(&reading, journal, so_far).await
    });
    let reads = progress::shown_while(join_all(reads), projects).await;
    let is_interrupted = projects.iter().any(|(project, _)| project.shutdown.is_cancelled());
    ensure!(!is_interrupted, "interrupted: the same command goes on from here");
    let (mut all, mut missing) = (Vec::new(), Vec::new());
    for ((project, _), read) in projects.iter().zip(reads) {
        match read {
            Ok(read) => all.push(read),
            Err(failures) => {
                missing.extend(
                    failures.into_iter().map(|failure| format!("{}: {failure}", project.config.name)),
                );
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "not all could be read, and the same command goes on from here: {}",
        missing.join("; ")
    );
    Ok(all)
}

fn histories(project: &Project, read: (Vec<ListedWorkflow>, Records), span: Span) -> Vec<History> {
    let (workflows, records) = read;
    let config = &project.config;
    let (name, buckets) = (Arc::from(config.name.as_str()), Arc::new(config.account.buckets.clone()));
    let events = records.into_events(span, workflows.len());
    let of = |(workflow, events): (&ListedWorkflow, _)| {
        History::new(Arc::clone(&name), &workflow.id, &workflow.name, Arc::clone(&buckets), events)
    };
    workflows.iter().zip(events).map(of).collect()
}

/// On a thread of its own: it takes a while.
async fn write(
    what: BackfillConfig,
    span: Span,
    mut histories: Vec<History>,
    shutdown: CancellationToken,
) -> anyhow::Result<Written> {
    let written = tokio::task::spawn_blocking(move || {
        let form = Form { folder: &what.output, step: what.step, labels: &what.labels };
        let written = backfill::write(&form, span, &mut histories, &|| shutdown.is_cancelled());
        ensure!(!shutdown.is_cancelled(), "interrupted: the same command goes on from here");
        written.with_context(|| format!("cannot write to {} (--output)", what.output.display()))
    });
    written.await?
}

/// So many workflows have series of their own in the running exporter.
fn workflows_with_series(metrics: &MetricsConfig, projects: &[ProjectConfig]) -> usize {
    let streams: usize = projects.iter().map(|project| project.apis().len()).sum();
    Limits::of_each(streams, &bounds(metrics, projects.iter())).workflows
}

fn say_what_is_odd(projects: &[(Project, Progress)], read: &[(Vec<ListedWorkflow>, Records)], bound: usize) {
    for ((project, progress), (workflows, _)) in projects.iter().zip(read) {
        let (project, workflows, unreadable) =
            (&project.config.name, workflows.len(), progress.figures().unreadable);
        if workflows > bound {
            tracing::warn!(
                project,
                workflows,
                bound,
                "the running exporter adds up workflows beyond its --metrics.max-series under other; here each has series"
            );
        }
        if unreadable > 0 {
            tracing::warn!(project, unreadable, "items of Kapso's lists could not be read, and are left out");
        }
    }
}

fn tell(written: &Written) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for file in &written.files {
        writeln!(stdout, "{}", file.display())?;
    }
    stdout.flush()
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Io { .. } => Self::Run(error.into()),
            PlanError::Order { .. } | PlanError::Future(_) | PlanError::Other { .. } => {
                Self::Usage(error.into())
            }
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Other(_) => Self::Usage(error.into()),
            JournalError::Damaged { .. } | JournalError::Io { .. } => Self::Run(error.into()),
        }
    }
}

/// Counts requests.
#[derive(Default)]
struct Requests(AtomicU64);

impl Requests {
    fn sent(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Observer for Requests {
    fn requested(&self, _: Api, _: Endpoint, _: Option<StatusCode>, _: Duration) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self, _: Api, _: Reason, _: u64) {}
}
