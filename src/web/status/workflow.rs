//! `/projects/{name}/workflows/{api}/{id}`: one workflow, and which of its executions are open.

use askama::Template;

use super::{
    page::{COLUMNS, Frame},
    report::{ProjectReport, WorkflowReport},
    words,
};
use crate::{label, ledger::IdleExecution, model::seconds_between};

/// Where Kapso shows executions. The address of one of them is documented nowhere, so this is that of the application.
const KAPSO_APP: &str = "https://app.kapso.ai/";

/// The page.
#[derive(Template)]
#[template(path = "workflow.html")]
pub(super) struct WorkflowPage<'a> {
    pub frame: Frame,
    pub project: &'a ProjectReport,
    pub workflow: &'a WorkflowReport,
    executions: Vec<Row>,
    /// How many are open in all; `None` for those that share `other`, which are not listed.
    open: Option<usize>,
    columns: [&'static str; 6],
    kapso: &'static str,
}

/// An open execution.
struct Row {
    id: String,
    status: &'static str,
    step: String,
    idle: String,
    age: String,
}

impl<'a> WorkflowPage<'a> {
    pub fn new(
        frame: Frame,
        project: &'a ProjectReport,
        workflow: &'a WorkflowReport,
        open: Option<(Vec<IdleExecution>, usize)>,
    ) -> Self {
        let (executions, open) = open.map_or_else(Default::default, |(listed, open)| (listed, Some(open)));
        let since = |at: Option<_>| {
            at.map_or_else(|| "unknown".into(), |at| words::span(seconds_between(at, workflow.kapso_now)))
        };
        let row = |execution: IdleExecution| Row {
            id: label::id(execution.id.as_str()).into(),
            status: execution.status.as_str(),
            step: execution.step.map_or_else(String::new, |step| step.identifier.into()),
            idle: since(execution.last_event_at),
            age: since(execution.started_at),
        };
        let executions = executions.into_iter().map(row).collect();
        Self { frame, project, workflow, executions, open, columns: COLUMNS, kapso: KAPSO_APP }
    }

    /// How many are open and not listed.
    fn more(&self) -> usize {
        self.open.unwrap_or_default().saturating_sub(self.executions.len())
    }
}
