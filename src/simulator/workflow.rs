//! The platform's workflows, and the legacy API's agents in their place.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Api,
    world::{Key, Row, World},
};

/// A platform workflow, or a legacy agent (whose name is its id).
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub id: String,
    pub api: Api,
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted: bool,
    /// The lives that the traffic plans for its executions take so many times as long as usual.
    pub slowness: u32,
    /// Its executions by start: all that there ever were.
    pub executions: BTreeSet<Key>,
}

impl World {
    /// Adds a workflow or agent.
    pub fn add_workflow(&mut self, api: Api, id: String, name: String, created_at: Timestamp) {
        let executions = BTreeSet::new();
        let (updated_at, deleted, slowness) = (created_at, false, 1);
        let workflow = Workflow { id, api, name, created_at, updated_at, deleted, slowness, executions };
        self.workflows.push(workflow);
    }

    /// The workflow of `api` with this id, unless it was deleted.
    pub fn workflow_row(&self, api: Api, id: &str) -> Option<Row> {
        self.workflows
            .iter()
            .position(|workflow| workflow.api == api && workflow.id == id && !workflow.deleted)
    }

    /// The workflows of `api` that are not deleted.
    pub fn present_workflows(&self, api: Api) -> Vec<Row> {
        let all = self.workflows.iter().enumerate();
        all.filter(|(_, workflow)| workflow.api == api && !workflow.deleted).map(|(row, _)| row).collect()
    }
}
