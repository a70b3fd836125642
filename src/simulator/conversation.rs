//! People, their conversations, and the order of the conversations by activity.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Api,
    random::{choose, hash, uuid},
    world::{Key, Row, World},
};

/// Somebody who writes; everything about them is recognisably made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Starts with `+1555`.
    pub phone: String,
    /// Ends with `Zebulon`.
    pub name: String,
}

impl Person {
    /// Person number `serial`.
    pub fn new(serial: usize) -> Self {
        const FIRST: [&str; 10] =
            ["Ada", "Bruno", "Carla", "Davi", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas"];
        let first = choose(&FIRST, &["person", &serial.to_string()]);
        Self { phone: format!("+1555{:07}", serial % 10_000_000), name: format!("{first} Zebulon") }
    }
}

/// One conversation on one API.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    pub id: String,
    pub api: Api,
    pub person: Row,
    pub ended: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_active_at: Timestamp,
    pub messages: u64,
    pub deleted: bool,
    /// Its executions by start.
    pub executions: BTreeSet<Key>,
}

impl Conversation {
    /// Its own status, `active` or `ended`.
    pub fn status(&self) -> &'static str {
        if self.ended { "ended" } else { "active" }
    }

    /// The business's phone number that it goes through.
    pub fn phone_number_id(&self) -> &'static str {
        PHONE_NUMBER_IDS[usize::from(hash(&[&self.id, "number"]).is_multiple_of(4))]
    }
}

/// The ids of the business's phone numbers.
pub const PHONE_NUMBER_IDS: [&str; 2] = ["100000000000001", "100000000000002"];

impl World {
    /// A new person.
    pub fn add_person(&mut self) -> Row {
        self.people.push(Person::new(self.people.len()));
        self.people.len() - 1
    }

    /// A conversation with `person` that began at `created_at` and was last active at `active_at`.
    pub fn add_conversation(
        &mut self,
        api: Api,
        person: Row,
        created_at: Timestamp,
        active_at: Timestamp,
    ) -> Row {
        let row = self.conversations.len();
        let id = uuid(self.seed, "conversation", row);
        self.conversation_rows.insert(id.clone(), row);
        self.conversations.push(Conversation {
            id,
            api,
            person,
            ended: false,
            created_at,
            updated_at: active_at,
            last_active_at: active_at,
            messages: 1,
            deleted: false,
            executions: BTreeSet::new(),
        });
        let side = self.side_mut(api);
        side.by_activity.insert((active_at, row));
        side.present.push(row);
        row
    }

    /// A message at `at`: the conversation is active (again), and moves up the list unless it is there already.
    pub fn message(&mut self, row: Row, at: Timestamp) {
        let conversation = &mut self.conversations[row];
        if conversation.deleted {
            return;
        }
        let (api, before) = (conversation.api, conversation.last_active_at);
        conversation.created_at = conversation.created_at.min(at);
        conversation.last_active_at = before.max(at);
        conversation.updated_at = conversation.updated_at.max(at);
        conversation.messages += 1;
        conversation.ended = false;
        let after = conversation.last_active_at;
        let order = &mut self.side_mut(api).by_activity;
        order.remove(&(before, row));
        order.insert((after, row));
    }

    /// Ends a conversation; its `last_active_at` stays.
    pub fn end_conversation(&mut self, row: Row, at: Timestamp) {
        let conversation = &mut self.conversations[row];
        conversation.ended = true;
        conversation.updated_at = conversation.updated_at.max(at);
    }

    /// Removes a conversation, and with it its executions, from everything that is listed.
    pub fn delete_conversation(&mut self, row: Row) {
        let conversation = &mut self.conversations[row];
        conversation.deleted = true;
        let (api, active_at) = (conversation.api, conversation.last_active_at);
        let side = self.side_mut(api);
        side.by_activity.remove(&(active_at, row));
        side.present.retain(|&other| other != row);
    }

    /// The conversation of `api` with this id, unless it was deleted.
    pub fn conversation_row(&self, api: Api, id: &str) -> Option<Row> {
        let row = *self.conversation_rows.get(id)?;
        let conversation = &self.conversations[row];
        (conversation.api == api && !conversation.deleted).then_some(row)
    }
}
