//! The report: what the API answers, field for field, and what the pages show. `docs/openapi.json` describes it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::super::Pages;
use crate::{
    metrics::{ConfigFigures, StateFigures, StreamFigures, Trend, WorkflowFigures},
    model::{Status, seconds_between},
    project::{Advice, Setting, SourceStatus, Swept},
    replica::Member,
};

/// Everything at one moment.
#[derive(Debug, Serialize)]
pub(super) struct StatusReport {
    pub version: &'static str,
    pub ready: bool,
    pub uptime_seconds: f64,
    /// The state file, if there is one.
    pub state: Option<StateReport>,
    /// The configuration file, if there is one.
    pub configuration: Option<ConfigurationReport>,
    /// All replicas, as the database told it last, where they share the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Vec<Member>>,
    pub projects: Vec<ProjectReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct StateReport {
    /// Of a file.
    pub size_bytes: Option<u64>,
    pub last_write: Option<Timestamp>,
    pub errors: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ConfigurationReport {
    /// When the one in force was read.
    pub loaded: Timestamp,
    /// Whether the last one that was read was taken over.
    pub last_reload_successful: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ProjectReport {
    pub name: Box<str>,
    pub budget: BudgetReport,
    pub settings: BTreeMap<&'static str, String>,
    pub sources: Vec<SourceReport>,
    pub workflows: Vec<WorkflowReport>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct BudgetReport {
    pub per_minute: u32,
    pub limit: Option<u32>,
    pub remaining: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceReport {
    pub source: &'static str,
    pub api: &'static str,
    /// `None` while its API does not exist.
    pub up: Option<bool>,
    /// Nothing was learned for too long: the current state is withdrawn.
    pub stale: bool,
    pub interval_seconds: f64,
    pub last_sweep: Option<SweepReport>,
    pub last_success: Option<Timestamp>,
    /// Since the stalest list of open executions was asked for.
    pub data_age_seconds: Option<f64>,
    pub due: usize,
    pub lateness_seconds: f64,
    pub failing: usize,
    pub watched: usize,
    pub open: usize,
    /// What is wrong now.
    pub error: Option<ErrorReport>,
    /// The newest failure that is remembered, also if all is well again.
    pub last_failure: Option<ErrorReport>,
    /// Oldest first.
    pub history: Vec<PastSweep>,
}

#[derive(Debug, Serialize)]
pub(super) struct SweepReport {
    pub result: &'static str,
    pub finished: Timestamp,
    pub duration_seconds: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct PastSweep {
    #[serde(flatten)]
    pub sweep: SweepReport,
    pub error: Option<FailureReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct FailureReport {
    pub reason: &'static str,
    pub message: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorReport {
    pub reason: &'static str,
    pub message: String,
    pub at: Timestamp,
    /// What to do, in a sentence, and where more is said.
    pub advice: &'static str,
    pub runbook: String,
}

#[derive(Debug, Serialize)]
pub(super) struct WorkflowReport {
    pub id: Box<str>,
    pub name: Box<str>,
    pub api: &'static str,
    /// Empty where the current state is withdrawn.
    pub executions: BTreeMap<&'static str, u64>,
    pub started: u64,
    pub ended: u64,
    pub failed: u64,
    pub handoffs: u64,
    pub last_event: Option<Timestamp>,
    pub steps: Vec<StepReport>,
    /// `None` where nothing failed and nothing was handed off.
    pub last_hour: Option<HourReport>,
    /// Its number in the ledger; `other` has none.
    #[serde(skip)]
    pub number: Option<usize>,
    /// The time at Kapso.
    #[serde(skip)]
    pub kapso_now: Timestamp,
}

#[derive(Debug, Serialize)]
pub(super) struct StepReport {
    pub step: Box<str>,
    pub step_type: Box<str>,
    pub status: &'static str,
    pub executions: u64,
}

/// By minute, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct HourReport {
    pub failed: Vec<u32>,
    pub handoffs: Vec<u32>,
}

impl StatusReport {
    /// What is published now.
    pub fn of(pages: &Pages) -> Self {
        let (publication, now) = (pages.renderer.newest(), pages.clock.wall());
        let streams: Vec<_> = publication.figures().cloned().collect();
        let projects = streams.chunk_by(|a, b| a.key.project == b.key.project);
        let instance = pages.renderer.instance();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ready: pages.readiness.is_ready(),
            uptime_seconds: pages.started.elapsed().as_secs_f64(),
            state: instance.state().map(Into::into),
            configuration: instance.config().map(Into::into),
            replicas: pages.replicas.as_ref().map(|replicas| replicas.fleet.overview().members.clone()),
            projects: projects.filter_map(|streams| ProjectReport::of(streams, now)).collect(),
        }
    }

    /// What is known while the state file is not open.
    pub fn starting(uptime_seconds: f64) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ready: false,
            uptime_seconds,
            state: None,
            configuration: None,
            replicas: None,
            projects: Vec::new(),
        }
    }
}

impl ProjectReport {
    fn of(streams: &[Arc<StreamFigures>], now: Timestamp) -> Option<Self> {
        let first = streams.first()?;
        let (budget, settings) = (first.budget, &first.settings);
        let (per_minute, limit, remaining) = (budget.per_minute, budget.limit, budget.remaining);
        let sources = streams.iter().flat_map(|stream| {
            stream
                .sources
                .iter()
                .map(|(source, status)| SourceReport::of(source.as_str(), status, stream, now))
        });
        let workflows = streams.iter().flat_map(|stream| {
            stream.workflows.iter().map(|workflow| WorkflowReport::of(workflow, stream, now))
        });
        Some(Self {
            name: first.key.project.as_ref().into(),
            budget: BudgetReport { per_minute, limit, remaining },
            settings: settings.iter().map(|(name, value): &Setting| (*name, value.clone())).collect(),
            sources: sources.collect(),
            workflows: workflows.collect(),
        })
    }
}

impl SourceReport {
    fn of(source: &'static str, status: &SourceStatus, stream: &StreamFigures, now: Timestamp) -> Self {
        let backlog = status.backlog.unwrap_or_default();
        let last = status.history.last();
        let refusal =
            stream.refusal.as_ref().map(|refusal| ErrorReport::new("refused", &refusal.why, refusal.at));
        Self {
            source,
            api: stream.key.api.as_str(),
            up: if refusal.is_some() { Some(false) } else { status.is_up() },
            stale: stream.stale,
            interval_seconds: status.interval.as_secs_f64(),
            last_sweep: last.map(Into::into),
            last_success: status.last_success,
            data_age_seconds: backlog.oldest_list.map(|at| seconds_between(at, stream.kapso_now(now))),
            due: backlog.due,
            lateness_seconds: backlog.lateness,
            failing: backlog.failing,
            watched: last.map_or(0, |last| last.watched),
            open: last.map_or(0, |last| last.open),
            error: refusal.or_else(|| last.and_then(ErrorReport::of)),
            last_failure: status.history.last_failure().and_then(ErrorReport::of),
            history: status.history.iter().map(Into::into).collect(),
        }
    }
}

impl ErrorReport {
    fn new(reason: &'static str, message: &str, at: Timestamp) -> Self {
        let advice = Advice::on(reason);
        Self { reason, message: message.into(), at, advice: advice.what, runbook: advice.runbook() }
    }

    fn of(swept: &Swept) -> Option<Self> {
        let failure = swept.failure.as_ref()?;
        Some(Self::new(failure.reason, &failure.message, swept.finished))
    }
}

impl WorkflowReport {
    fn of(workflow: &WorkflowFigures, stream: &StreamFigures, now: Timestamp) -> Self {
        let counts = Status::ALL.into_iter().zip(workflow.executions).filter(|_| !stream.stale);
        let steps = workflow.steps.iter().filter(|(.., count)| *count > 0 && !stream.stale);
        let steps = steps.map(|(status, step, executions)| StepReport {
            step: step.as_ref().map_or_else(|| "other".into(), |step| step.identifier.clone()),
            step_type: step.as_ref().map_or_else(|| "other".into(), |step| step.step_type.clone()),
            status: status.as_str(),
            executions: *executions,
        });
        Self {
            id: workflow.id.clone(),
            name: workflow.name.clone(),
            api: stream.key.api.as_str(),
            executions: counts.map(|(status, count)| (status.as_str(), count)).collect(),
            started: workflow.started,
            ended: workflow.ended,
            failed: workflow.failed,
            handoffs: workflow.handoffs,
            last_event: workflow.last_event_at,
            steps: steps.collect(),
            last_hour: workflow.trend.as_deref().map(Into::into),
            number: workflow.number,
            kapso_now: stream.kapso_now(now),
        }
    }
}

impl From<&Swept> for SweepReport {
    fn from(swept: &Swept) -> Self {
        let duration_seconds = swept.duration.as_secs_f64();
        Self { result: swept.outcome.as_str(), finished: swept.finished, duration_seconds }
    }
}

impl From<&Swept> for PastSweep {
    fn from(swept: &Swept) -> Self {
        let error = swept.failure.as_ref();
        let error = error
            .map(|failure| FailureReport { reason: failure.reason, message: failure.message.to_string() });
        Self { sweep: swept.into(), error }
    }
}

impl From<&Trend> for HourReport {
    fn from(trend: &Trend) -> Self {
        Self { failed: trend.failed.into(), handoffs: trend.handoffs.into() }
    }
}

impl From<StateFigures> for StateReport {
    fn from(state: StateFigures) -> Self {
        Self { size_bytes: state.size, last_write: state.last_write, errors: state.errors }
    }
}

impl From<ConfigFigures> for ConfigurationReport {
    fn from(config: ConfigFigures) -> Self {
        Self { loaded: config.loaded, last_reload_successful: config.successful }
    }
}
