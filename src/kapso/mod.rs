//! The client for Kapso's two APIs.
//!
//! [`Client`] answers in domain types; which API it talks to only shows in [`Client::api`]. Adding an endpoint
//! is one function in `platform` or `legacy` that says where its list is and how to read an item. Below that,
//! `paging` walks lists, `client` sends requests within the [`Budget`] (`retry` says when again, `skew` what time it is
//! over there), and [`Transport`] carries them.

mod address;
mod budget;
mod client;
mod clock;
mod envelope;
mod error;
mod hanging;
mod items;
mod latency;
mod legacy;
mod neighbours;
mod page_token;
mod paging;
mod platform;
mod request;
mod retry;
mod skew;
#[cfg(test)]
mod tests;
mod times;
mod transport;
pub mod webhook;
mod wire;

use std::fmt;

use jiff::Timestamp;
use strum::IntoStaticStr;

pub use self::{
    budget::{ASSUMED_LIMIT, Budget, BudgetStatus, Usage},
    client::{Client, Observer, Settings},
    clock::KapsoClock,
    error::{Error, Reason},
    hanging::Hanging,
    latency::Latency,
    neighbours::Place,
    page_token::{Cursor, PageToken},
    paging::{PAGE_SIZE, Pager},
    retry::longest_call,
    transport::{Answer, Connections, Http, Transport},
};
use crate::model::{
    Api, Conversation, ConversationId, Execution, ExecutionId, ListedWorkflow, Page, Status, WorkflowId,
};

/// What is asked for; the `endpoint` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Endpoint {
    /// Legacy: the agent executions of a conversation.
    AgentExecutions,
    /// Either API: the conversations.
    Conversations,
    /// Platform: the workflow executions of a conversation.
    FlowExecutions,
    /// Platform: one workflow execution.
    WorkflowExecution,
    /// Platform: the executions of a workflow.
    WorkflowExecutions,
    /// Platform: the workflows.
    Workflows,
}

impl Endpoint {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Pager<'_, Conversation> {
    /// Only the conversations of the phone number with this id, if there is one (platform).
    #[must_use]
    pub fn of_phone_number(self, id: Option<&str>) -> Self {
        self.with("phone_number_id", id)
    }
}

/// Which executions of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionFilter {
    /// Those that started in this span, both ends included.
    Started {
        /// Its beginning.
        since: Timestamp,
        /// Its end; `None` is now.
        until: Option<Timestamp>,
    },
    /// Those in a status.
    In {
        /// One that the API can be asked for: any but [`Status::Unknown`].
        status: Status,
        /// The span in which they started, both ends included; `None` is any time.
        started: Option<(Timestamp, Timestamp)>,
    },
}

impl Client {
    /// The conversations, or those with activity at or after `active_since`.
    #[must_use]
    pub fn conversations(&self, active_since: Option<Timestamp>) -> Pager<'_, Conversation> {
        let list = match self.api() {
            Api::Platform => platform::conversations(active_since),
            Api::Legacy => legacy::conversations(active_since),
        };
        Pager::new(self, list)
    }

    /// The conversations that were created at or after `since`; on the legacy API, whose list has no such filter, all.
    #[must_use]
    pub fn conversations_created(&self, since: Timestamp) -> Pager<'_, Conversation> {
        let list = match self.api() {
            Api::Platform => platform::conversations_created(since),
            Api::Legacy => legacy::conversations(None),
        };
        Pager::new(self, list)
    }

    /// The executions of a conversation, newest start first.
    #[must_use]
    pub fn executions(&self, conversation: &ConversationId) -> Pager<'_, Execution> {
        let list = match self.api() {
            Api::Platform => platform::executions(conversation),
            Api::Legacy => legacy::executions(conversation, &self.settings.handoff_reasons),
        };
        Pager::new(self, list)
    }

    /// The workflows. The legacy API has no such list: `None`.
    #[must_use]
    pub fn workflows(&self) -> Option<Pager<'_, ListedWorkflow>> {
        match self.api() {
            Api::Platform => Some(Pager::new(self, platform::workflows())),
            Api::Legacy => None,
        }
    }

    /// Executions of a workflow, newest start first (platform).
    #[must_use]
    pub fn workflow_executions(&self, workflow: &WorkflowId, which: ExecutionFilter) -> Pager<'_, Execution> {
        Pager::new(self, platform::workflow_executions(workflow, which))
    }

    /// One workflow execution (platform), as a page of its own.
    ///
    /// # Errors
    /// What the request ran into; a fresh id may answer 404 for a moment.
    pub async fn workflow_execution(&self, id: &ExecutionId) -> Result<Page<Execution>, Error> {
        let endpoint = Endpoint::WorkflowExecution;
        let url = self.url(endpoint, &platform::workflow_execution_path(id), &[])?;
        let read = |body: &request::Body| {
            let mut batch = items::Batch::new();
            let item = platform::workflow_execution(&body.bytes)?;
            batch.take(endpoint, Ok(item), times::Dated::mend, &body.dates);
            Ok(batch.into_page(body, true))
        };
        let request = request::Request { endpoint, url, behind: request::Behind::Nothing };
        let (page, findings) = self.get(&request, &read).await?;
        findings.report(self);
        Ok(page)
    }
}
