//! A workflow, and a step of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::WorkflowId;
use crate::label;

/// A workflow as an execution or the list of workflows names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Stable identity.
    pub id: WorkflowId,
    /// Display name, free text; may change at any time.
    pub name: Option<Arc<str>>,
}

/// An item of the platform's `GET /workflows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWorkflow {
    /// Identity and name.
    pub workflow: Workflow,
    /// `execution_count`: executions ever, where the API says so.
    pub execution_count: Option<u64>,
    /// `last_executed_at`: the newest start, where the API says so.
    pub last_executed_at: Option<Timestamp>,
}

/// Where in its workflow an execution stands. Many executions keep one each: what is longer than a label's value is cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(String, String)")]
pub struct Step {
    /// `current_step.identifier`, the name given in the workflow editor.
    pub identifier: Box<str>,
    /// `current_step.stepable_type`, such as `FlowWaitStep`; empty where the API leaves it out.
    pub step_type: Box<str>,
}

impl Step {
    /// The step with this identifier and this type.
    #[must_use]
    pub fn new(identifier: &str, step_type: &str) -> Self {
        let kept = |text| Box::from(label::key(text));
        Self { identifier: kept(identifier), step_type: kept(step_type) }
    }
}

impl From<(String, String)> for Step {
    fn from((identifier, step_type): (String, String)) -> Self {
        Self::new(&identifier, &step_type)
    }
}
