//! `/`: all projects, as the query asks for them.

use std::cmp::Reverse;

use askama::Template;
use serde::Deserialize;

use super::{
    page::{COLUMNS, Frame},
    report::{ProjectReport, StatusReport, WorkflowReport},
};

/// With more projects than this the workflows are left to the pages of the projects …
const MOST_WITH_WORKFLOWS: usize = 3;
/// … and of one project so many are shown.
const MOST_WORKFLOWS: usize = 25;

/// Orders of projects, as they stand in a URL and in words.
const SORTS: [(&str, &str); 4] =
    [("", "name"), ("problems", "problems first"), ("late", "most late"), ("open", "most open")];

/// The query of a page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// What the name of a project or of one of its workflows contains.
    pub q: String,
    /// By what is sorted.
    pub sort: String,
    /// `problems`, or everything.
    pub show: String,
    /// Whether the page reloads by itself.
    pub refresh: String,
}

impl Query {
    /// The same query with one part changed, as it stands in a URL.
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded();
        for (key, own) in
            [("q", &self.q), ("sort", &self.sort), ("show", &self.show), ("refresh", &self.refresh)]
        {
            let value = if key == name { value } else { own };
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        format!("?{}", query.finish())
    }

    /// Whether this order is asked for.
    pub fn is_sorted_by(&self, sort: &str) -> bool {
        self.sort == sort
    }

    /// What is looked for: as an id, and in lower case as a part of a name.
    pub fn sought(&self) -> (&str, String) {
        let sought = self.q.trim();
        (sought, sought.to_lowercase())
    }

    /// Whether a project is asked for.
    fn wants(&self, project: &ProjectReport) -> bool {
        let (id, sought) = self.sought();
        let named = project.name.to_lowercase().contains(&sought)
            || project.workflows.iter().any(|workflow| workflow.fits(&sought, id));
        named && (self.show != "problems" || project.is_troubled())
    }
}

fn form_urlencoded() -> url::form_urlencoded::Serializer<'static, String> {
    url::form_urlencoded::Serializer::new(String::new())
}

/// The page.
#[derive(Template)]
#[template(path = "index.html")]
pub(super) struct Index<'a> {
    pub frame: Frame,
    pub report: &'a StatusReport,
    pub query: &'a Query,
    projects: Vec<Shown<'a>>,
    sorts: [(&'static str, &'static str); 4],
    columns: [&'static str; 6],
    is_starting: bool,
}

/// A project, and the workflows of it in which most happens.
struct Shown<'a> {
    project: &'a ProjectReport,
    busiest: Vec<&'a WorkflowReport>,
}

impl<'a> Index<'a> {
    pub fn new(frame: Frame, report: &'a StatusReport, query: &'a Query, is_starting: bool) -> Self {
        let mut projects: Vec<_> = report.projects.iter().filter(|project| query.wants(project)).collect();
        match query.sort.as_str() {
            "problems" => projects.sort_by_key(|project| !project.is_troubled()),
            "late" => projects.sort_by(|a, b| b.lateness().total_cmp(&a.lateness())),
            "open" => projects.sort_by_key(|project| Reverse(project.open())),
            _ => {}
        }
        let with_workflows = projects.len() <= MOST_WITH_WORKFLOWS;
        let projects = projects.into_iter().map(|project| Shown::of(project, with_workflows)).collect();
        Self { frame, report, query, projects, sorts: SORTS, columns: COLUMNS, is_starting }
    }
}

impl<'a> Shown<'a> {
    fn of(project: &'a ProjectReport, with_workflows: bool) -> Self {
        let mut busiest = if with_workflows { project.sorted("open") } else { Vec::new() };
        busiest.sort_by_key(|workflow| Reverse(workflow.failed_last_hour() + workflow.handoffs_last_hour()));
        busiest.truncate(MOST_WORKFLOWS);
        Self { project, busiest }
    }
}
