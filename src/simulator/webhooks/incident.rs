//! The moments that a webhook tells of: an execution goes into handoff, or fails.

use jiff::Timestamp;
use serde::Serialize;

use crate::simulator::{
    Api,
    execution::Execution,
    random::{choose, hash},
    world::{Row, World},
};

/// What a failed execution says about it.
pub const FAILURE: &str = "The model refused to speak about marzipan";

/// Why executions are handed off, in somebody's own words: not all that people and models write is tidy.
const REASONS: [Option<&str>; 9] = [
    Some("Customer asks for a refund on invoice 4711"),
    Some("angry customer"),
    None,
    Some("Wants to talk to a person about marzipan"),
    Some("Angry customer"),
    Some("Ada Zebulon, +15550000001, asks to be called back\n"),
    None,
    Some(""),
    Some("out of scope"),
];

/// Where an incident stands: an execution, and the position in its history.
pub type Place = (Row, usize);

/// An event that a webhook tells of.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum WebhookEvent {
    /// `workflow.execution.handoff`
    Handoff,
    /// `workflow.execution.failed`
    Failed,
}

impl WebhookEvent {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Handoff => "workflow.execution.handoff",
            Self::Failed => "workflow.execution.failed",
        }
    }

    /// The execution's status from then on.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::Failed => "failed",
        }
    }
}

/// What handed an execution off.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum HandoffSource {
    /// A tool that an agent called.
    AgentTool,
    /// A step of the workflow.
    ActionStep,
}

impl HandoffSource {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentTool => "agent_tool",
            Self::ActionStep => "action_step",
        }
    }
}

/// What is known of a handoff beyond its time.
#[derive(Serialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handoff {
    /// What handed the execution off.
    pub source: HandoffSource,
    /// Why, in free text that may hold anything; nothing where nobody said.
    pub reason: Option<String>,
}

impl Handoff {
    /// What is known of the handoff of this execution at this position of its history; the same at every
    /// look.
    pub fn of(seed: u64, execution: &Execution, position: usize) -> Self {
        let parts = [&execution.id, &seed.to_string(), &position.to_string()];
        let draw = |what| [parts[0].as_str(), parts[1].as_str(), parts[2].as_str(), what];
        let agent = hash(&draw("source")).is_multiple_of(2);
        Self {
            source: if agent { HandoffSource::AgentTool } else { HandoffSource::ActionStep },
            reason: choose(&REASONS, &draw("reason")).map(str::to_owned),
        }
    }
}

/// A handoff or a failure of a platform execution.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct Incident {
    /// What happened.
    pub event: WebhookEvent,
    /// When.
    pub at: Timestamp,
    /// The execution.
    pub execution_id: String,
    /// Its workflow.
    pub workflow_id: String,
    /// Its conversation, if it has one.
    pub conversation_id: Option<String>,
    /// What is known of a handoff.
    pub handoff: Option<Handoff>,
    /// When its delivery was first answered well, if it ever was.
    pub told_at: Option<Timestamp>,
}

impl Execution {
    /// What a webhook tells of this position of the history, if it is the platform's and an incident.
    fn webhook_event(&self, position: usize) -> Option<WebhookEvent> {
        let status = &*self.history.get(position)?.status;
        let before = position.checked_sub(1).map(|before| &*self.history[before].status);
        let event =
            [WebhookEvent::Handoff, WebhookEvent::Failed].into_iter().find(|e| e.status() == status)?;
        (self.api == Api::Platform && before != Some(status)).then_some(event)
    }
}

impl World {
    /// Lets something happen to an execution, and notes the incidents in it: the one way into a history.
    pub fn change(&mut self, row: Row, act: impl FnOnce(&mut Execution)) {
        let execution = &mut self.executions[row];
        let before = execution.history.len();
        act(execution);
        let new = before..execution.history.len();
        let incidents = new.filter(|&position| execution.webhook_event(position).is_some());
        self.incidents.extend(incidents.map(|position| (row, position)));
    }

    /// Where all the incidents are, by execution.
    pub fn incident_places(&self) -> Vec<Place> {
        let all = self.executions.iter().enumerate();
        let places = all.flat_map(|(row, one)| {
            let positions = (0..one.history.len()).filter(|&position| one.webhook_event(position).is_some());
            positions.map(move |position| (row, position))
        });
        places.collect()
    }

    /// What happened there. Nothing is known of whether it was told.
    pub fn incident(&self, (row, position): Place) -> Option<Incident> {
        let execution = &self.executions[row];
        let event = execution.webhook_event(position)?;
        let handoff = (event == WebhookEvent::Handoff).then(|| Handoff::of(self.seed, execution, position));
        Some(Incident {
            event,
            at: execution.history[position].at,
            execution_id: execution.id.clone(),
            workflow_id: self.workflows[execution.workflow].id.clone(),
            conversation_id: execution.conversation.map(|row| self.conversations[row].id.clone()),
            handoff,
            told_at: None,
        })
    }
}
