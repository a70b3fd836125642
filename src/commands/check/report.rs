//! What a check found. As JSON it is an interface: fields are added, never renamed or removed.

use std::time::Duration;

use serde::Serialize;

use super::{Configuration, StateFileReport, WebReport, advice, forecast, survey::Survey};
use crate::{
    config::{ProjectConfig, StateConfig},
    crawl::{Requests, kind_of},
    kapso::{Error, Reason},
    model::Api,
    project::Project,
};

/// The whole of it. Holds no key, no name and no phone number.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The exporter's version.
    pub version: &'static str,
    /// Whether everything works. With `offline` nothing but the configuration was looked at.
    pub ok: bool,
    /// Whether no request was to be sent.
    pub offline: bool,
    /// What the flags say.
    pub configuration: Configuration,
    /// `null` with `offline`, or where none is named.
    pub state_file: Option<StateFileReport>,
    /// In the order of their names; empty with `offline`.
    pub sources: Vec<SourceReport>,
    /// `null` with `offline`.
    pub limit: Option<Limit>,
    /// `null` where too little is known.
    pub forecast: Option<Forecast>,
    /// What to do about it, a sentence each.
    pub advice: Vec<String>,
    /// Requests that the check sent.
    pub requests_sent: u32,
}

/// How a source fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its API is reachable and accepts the key.
    Ok,
    /// There is no such API (legacy), which is no failure.
    Absent,
    /// Something does not work.
    Failed,
}

/// One source. What could not be learned is `null`.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// Its name, as in `--scrape.source`.
    pub source: &'static str,
    /// `platform` or `legacy`.
    pub api: &'static str,
    /// Whether it works.
    pub state: State,
    /// Why it does not.
    pub problem: Option<Problem>,
    /// Platform only.
    pub workflows: Option<Workflows>,
    /// Conversations to watch.
    pub conversations: Option<Conversations>,
    /// What some of them hold.
    pub sample: Option<Sample>,
    /// Whether it lists executions by workflow.
    #[serde(skip)]
    pub(super) by_workflow: bool,
    /// What a sweep costs.
    pub requests: Option<Requests>,
    /// Which lists the source auto would read, and why.
    pub plan: Option<Plan>,
}

/// How the source `auto` would look at open executions once they are known, estimated; requests a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Open executions, as far as the sample tells.
    pub open_executions: u64,
    /// By the lists of their workflows.
    pub by_workflow: u64,
    /// Each by itself, or by the list of its conversation.
    pub one_by_one: u64,
}

/// Why something does not work.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// As in `kapso_exporter_errors_total`; `stopped` for an interruption.
    pub reason: &'static str,
    #[serde(skip)]
    pub(super) class: Option<Reason>,
    /// In words.
    pub message: String,
}

/// The workflows of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Workflows {
    /// How many were listed.
    pub count: u64,
    /// Whether that is all of them.
    pub exact: bool,
    /// Their `execution_count` added up; `null` where the API does not tell.
    pub executions_ever: Option<u64>,
}

/// Conversations that would be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Conversations {
    /// How many.
    pub count: u64,
    /// Otherwise there are at least so many.
    pub exact: bool,
}

/// The lists that were looked at: those of the conversations with the newest activity, or (source `workflows`) of
/// the workflows that ran last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// How many were looked at.
    pub lists: u64,
    /// Executions in them, finished ones too.
    pub executions: u64,
    /// How many of them have open executions.
    pub with_open_executions: u64,
    /// Open executions in them.
    pub open_executions: u64,
    /// Otherwise a list went on and there are at least so many.
    pub exact: bool,
}

/// Requests per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Of the key; `null` where the API does not tell.
    pub of_key: Option<u32>,
    /// What all users of the key together have left in this minute.
    pub left_of_it: Option<u32>,
    /// The exporter's share.
    pub share: u32,
}

/// What to expect of all sources together, estimated; times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// How long the first sweep waits for the budget.
    pub first_sweep_seconds: f64,
    /// How long a later sweep does.
    pub later_sweeps_seconds: f64,
    /// The age that the numbers reach: the interval, or a later sweep where that takes longer.
    pub freshness_seconds: f64,
    /// Whether it is known that it takes longer.
    pub at_least: bool,
}

impl Report {
    pub(super) fn offline(project: &ProjectConfig, state: &StateConfig, web: Option<&WebReport>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ok: true,
            offline: true,
            configuration: Configuration::of(project, state, web),
            state_file: None,
            sources: Vec::new(),
            limit: None,
            forecast: None,
            advice: Vec::new(),
            requests_sent: 0,
        }
    }

    /// Adds what was found, and what follows from it.
    pub(super) fn take_in(&mut self, project: &Project, surveys: Vec<Survey>) {
        let config = &project.config;
        let status = project.budget.status();
        let limit = Limit { of_key: status.limit, left_of_it: status.remaining, share: status.per_minute };
        let requests_sent = surveys.iter().map(|survey| survey.sent).sum();
        let named = !config.conversations.is_empty();
        let sources: Vec<_> =
            surveys.into_iter().map(|survey| SourceReport::new(survey, named, config)).collect();
        self.offline = false;
        self.ok = sources.iter().all(|source| source.state != State::Failed);
        self.forecast = forecast::forecast(&sources, limit.share, config.interval);
        (self.sources, self.limit, self.requests_sent) = (sources, Some(limit), requests_sent);
        self.advice = advice::advice(self);
    }

    /// What does not work, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        let file = self.state_file.iter().filter(|file| file.state == State::Failed);
        let failed = self.sources.iter().filter(|source| source.state == State::Failed);
        let sources = failed
            .filter_map(|failed| Some(format!("{}: {}", failed.source, failed.problem.as_ref()?.message)));
        file.map(|file| file.message.clone()).chain(sources)
    }
}

impl SourceReport {
    fn new(survey: Survey, named: bool, config: &ProjectConfig) -> Self {
        let absent = survey.problem.as_ref().is_some_and(|problem| {
            let api = survey.source.api();
            (api == Api::Legacy && problem.class == Some(Reason::NotFound)) || config.only_tries(api)
        });
        let state = match survey.problem {
            None => State::Ok,
            Some(_) if absent => State::Absent,
            Some(_) => State::Failed,
        };
        Self {
            source: survey.source.as_str(),
            api: survey.source.api().as_str(),
            state,
            requests: forecast::requests(&survey, named),
            plan: forecast::plan(&survey),
            problem: survey.problem,
            workflows: survey.workflows,
            conversations: survey.conversations,
            sample: survey.sample,
            by_workflow: kind_of(survey.source).lists().workflows,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl Problem {
    fn new(class: Option<Reason>, message: String) -> Self {
        Self { reason: class.map_or("stopped", Reason::as_str), class, message }
    }

    /// The budget waits for `pause`, since the key has nothing left or Kapso said so.
    pub(super) fn paused(pause: Duration) -> Self {
        let message =
            format!("nothing or hardly anything is left of the key's limit for {}s", pause.as_secs());
        Self::new(Some(Reason::RateLimited), message)
    }
}
