//! The world as one answer shows it: as it is, or as a replica that lags behind has it, and as lists tell it that
//! disagree with each other.

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Api,
    conversation::Standing,
    edits::Edits,
    execution::Execution,
    misbehaviour::{ConversationIds, Disagreement, is_among},
    random::later,
    workflow::Workflow,
    world::{Key, Row, World},
};

/// What is shown, of which moment, and how.
pub struct View<'a> {
    pub world: &'a World,
    pub edits: &'a Edits,
    pub now: Timestamp,
    /// The moment up to which a replica knows the world, if it lags behind.
    pub past: Option<Timestamp>,
    pub disagreement: Disagreement,
    /// Whether workflows go by another name in this answer.
    pub other_name: Option<&'static str>,
    /// From an execution's start until its legacy association says more than that there is one.
    pub associated_after: Duration,
}

impl View<'_> {
    /// The moment that is shown.
    pub fn at(&self) -> Timestamp {
        self.past.unwrap_or(self.now)
    }

    /// The execution, which has started by then.
    pub fn execution(&self, row: Row) -> Cow<'_, Execution> {
        let execution = &self.world.executions[row];
        match self.past {
            Some(at) => Cow::Owned(execution.as_of(at)),
            None => Cow::Borrowed(execution),
        }
    }

    /// How a conversation stands.
    pub fn standing(&self, row: Row) -> Standing {
        let conversation = &self.world.conversations[row];
        self.past.map_or_else(|| conversation.standing(), |at| conversation.standing_at(at))
    }

    /// Whether lists show the execution.
    pub fn is_listed(&self, row: Row) -> bool {
        self.world.is_listed(row, self.at())
    }

    /// The conversation of `api` with this id.
    pub fn conversation_row(&self, api: Api, id: &str) -> Option<Row> {
        let Some(at) = self.past else {
            return self.world.conversation_row(api, id);
        };
        let row = *self.world.conversation_rows.get(id)?;
        let conversation = &self.world.conversations[row];
        (conversation.api == api && conversation.exists_at(at)).then_some(row)
    }

    /// The conversations of `api` in the order of their activity.
    pub fn by_activity(&self, api: Api) -> Cow<'_, BTreeSet<Key>> {
        let Some(at) = self.past else {
            return Cow::Borrowed(&self.world.side(api).by_activity);
        };
        let all = self.world.conversations.iter().enumerate();
        let there = all.filter(|(_, one)| one.api == api && one.exists_at(at));
        Cow::Owned(there.map(|(row, one)| (one.standing_at(at).last_active_at, row)).collect())
    }

    /// How many executions a workflow had, and when the last one started.
    pub fn executions_of(&self, workflow: &Workflow) -> (usize, Option<Timestamp>) {
        let all = &workflow.executions;
        match self.past {
            None => (all.len(), all.last().map(|&(at, _)| at)),
            Some(past) => {
                let until = all.range(..=(past, Row::MAX));
                (until.clone().count(), until.last().map(|&(at, _)| at))
            }
        }
    }

    /// A workflow's name in this answer.
    pub fn name(&self, workflow: &Workflow) -> String {
        format!("{}{}", workflow.name, self.other_name.unwrap_or_default())
    }

    /// Whether the list of its own conversation leaves the execution out.
    pub fn hides_from_conversation(&self, row: Row) -> bool {
        is_among(&self.world.executions[row].id, "hidden", self.disagreement.hidden_percent)
    }

    /// Whether the list of conversations tells when this one was active.
    pub fn tells_activity(&self, row: Row) -> bool {
        let percent = self.disagreement.without_activity_percent;
        !is_among(&self.world.conversations[row].id, "activity", percent)
    }

    /// A list item of an execution as its workflow's list has it.
    pub fn execution_item_of_workflow(&self, row: Row) -> Value {
        let mut item = self.execution_item(row);
        if self.disagreement.conversation_ids == ConversationIds::Omitted
            && let Some(fields) = item.as_object_mut()
        {
            fields.remove("whatsapp_conversation_id");
        }
        item
    }

    /// Whether a legacy association has its agent execution by now.
    pub fn is_associated(&self, execution: &Execution) -> bool {
        self.at() >= later(execution.started_at, self.associated_after)
    }
}
