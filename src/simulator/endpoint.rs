//! What a path asks for.

use super::{Api, misbehaviour::Subject};

/// An endpoint of either API, with the id that its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Conversations,
    FlowExecutions(String),
    Workflows,
    WorkflowExecutions(String),
    Execution(String),
    PhoneNumbers,
    LegacyConversations,
    AgentExecutions(String),
    Unknown,
}

impl Endpoint {
    /// The endpoint of a GET for this path within the API.
    pub fn of(api: Api, path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        match (api, parts.as_slice()) {
            (Api::Platform, ["whatsapp", "conversations"]) => Self::Conversations,
            (Api::Platform, ["whatsapp", "conversations", id, "flow_executions"]) => {
                Self::FlowExecutions(decoded(id))
            }
            (Api::Platform, ["whatsapp", "phone_numbers"]) => Self::PhoneNumbers,
            (Api::Platform, ["workflows"]) => Self::Workflows,
            (Api::Platform, ["workflows", id, "executions"]) => Self::WorkflowExecutions(decoded(id)),
            (Api::Platform, ["workflow_executions", id]) => Self::Execution(decoded(id)),
            (Api::Legacy, ["whatsapp_conversations"]) => Self::LegacyConversations,
            (Api::Legacy, ["whatsapp_conversations", id, "agent_executions"]) => {
                Self::AgentExecutions(decoded(id))
            }
            _ => Self::Unknown,
        }
    }

    /// Its name in the record of requests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conversations | Self::LegacyConversations => "conversations",
            Self::FlowExecutions(_) => "flow_executions",
            Self::Workflows => "workflows",
            Self::WorkflowExecutions(_) => "executions",
            Self::Execution(_) => "execution",
            Self::PhoneNumbers => "phone_numbers",
            Self::AgentExecutions(_) => "agent_executions",
            Self::Unknown => "unknown",
        }
    }

    /// What it tells about, where that can be misrepresented.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Conversations => Some(Subject::Conversations),
            Self::FlowExecutions(_) => Some(Subject::FlowExecutions),
            Self::Workflows => Some(Subject::Workflows),
            Self::WorkflowExecutions(_) => Some(Subject::WorkflowExecutions),
            Self::Execution(_) => Some(Subject::Execution),
            Self::LegacyConversations => Some(Subject::LegacyConversations),
            Self::AgentExecutions(_) => Some(Subject::AgentExecutions),
            Self::PhoneNumbers | Self::Unknown => None,
        }
    }

    /// The conversation or workflow whose executions it lists.
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::FlowExecutions(id) | Self::WorkflowExecutions(id) | Self::AgentExecutions(id) => Some(id),
            _ => None,
        }
    }
}

/// A segment of a path without its percent encoding.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(byte);
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_segment_encodes() {
        for (path, id) in [
            ("workflow_executions/a%2Fb%20%C3%BC", "a/b ü"),
            ("workflow_executions/%252e%252e", "%2e%2e"),
            ("workflow_executions/50%+1%", "50%+1%"),
        ] {
            assert_eq!(Endpoint::of(Api::Platform, path), Endpoint::Execution(id.to_owned()));
        }
        assert_eq!(Endpoint::of(Api::Platform, "workflow_executions/a/b"), Endpoint::Unknown);
    }
}
