//! `/projects/{name}`: one project.

use askama::Template;

use super::{
    index::Query,
    page::{COLUMNS, Frame},
    report::{ProjectReport, WorkflowReport},
};

/// So many workflows are shown.
const MOST_WORKFLOWS: usize = 500;

/// Orders of workflows, as they stand in a URL and in words.
const SORTS: [(&str, &str); 4] =
    [("", "name"), ("open", "most open"), ("failed", "most failed"), ("handoffs", "most handed off")];

/// The page.
#[derive(Template)]
#[template(path = "project.html")]
pub(super) struct ProjectPage<'a> {
    pub frame: Frame,
    pub project: &'a ProjectReport,
    pub query: &'a Query,
    workflows: Vec<&'a WorkflowReport>,
    /// How many more there are.
    more: usize,
    sorts: [(&'static str, &'static str); 4],
    columns: [&'static str; 6],
}

impl<'a> ProjectPage<'a> {
    pub fn new(frame: Frame, project: &'a ProjectReport, query: &'a Query) -> Self {
        let (id, sought) = query.sought();
        let mut workflows = project.sorted(&query.sort);
        workflows.retain(|workflow| workflow.fits(&sought, id));
        let more = workflows.len().saturating_sub(MOST_WORKFLOWS);
        workflows.truncate(MOST_WORKFLOWS);
        Self { frame, project, query, workflows, more, sorts: SORTS, columns: COLUMNS }
    }
}
