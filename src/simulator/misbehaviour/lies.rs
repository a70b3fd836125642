//! Answers that take everything away: 404, or 200 with an empty list.

use http::StatusCode;
use serde_json::json;

use crate::simulator::answer::Answer;

/// What a lie is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The platform's list of conversations.
    Conversations,
    /// The platform's list of a conversation's executions.
    FlowExecutions,
    /// The list of workflows.
    Workflows,
    /// The list of a workflow's executions.
    WorkflowExecutions,
    /// One execution by itself.
    Execution,
    /// The legacy list of conversations.
    LegacyConversations,
    /// The legacy list of a conversation's executions.
    AgentExecutions,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Conversations,
        Self::FlowExecutions,
        Self::Workflows,
        Self::WorkflowExecutions,
        Self::Execution,
        Self::LegacyConversations,
        Self::AgentExecutions,
    ];
}

/// How an answer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untruth {
    /// 404.
    NotFound,
    /// 200 with an empty list; an execution by itself is not found.
    Empty,
}

/// Some answers say that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lie {
    /// What is said not to be there.
    pub about: Subject,
    /// In which way.
    pub untruth: Untruth,
    /// Of each path's answers, every so many-th one; 1 for all.
    pub one_in: u32,
}

impl Lie {
    /// What it says.
    pub(super) fn answer(self) -> Answer {
        match (self.untruth, self.about) {
            (Untruth::NotFound, _) | (_, Subject::Execution) => {
                Answer::error(StatusCode::NOT_FOUND, "Not found")
            }
            (Untruth::Empty, Subject::LegacyConversations | Subject::AgentExecutions) => {
                let meta = json!({"page": 1, "per_page": 100, "total_pages": 0, "total_count": 0});
                Answer::ok(json!({"data": [], "meta": meta}))
            }
            (Untruth::Empty, Subject::Workflows) => Answer::ok(json!({"data": []})),
            (Untruth::Empty, _) => {
                let cursors = json!({"before": null, "after": null});
                Answer::ok(
                    json!({"data": [], "paging": {"cursors": cursors, "next": null, "previous": null}}),
                )
            }
        }
    }
}
