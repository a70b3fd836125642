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
    pub deleted_at: Option<Timestamp>,
    /// Its executions by start.
    pub executions: BTreeSet<Key>,
    /// How it was from each of these moments on, for replicas that lag behind; begins with the simulation.
    log: Vec<(Timestamp, Standing)>,
}

/// What changes about a conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub ended: bool,
    pub updated_at: Timestamp,
    pub last_active_at: Timestamp,
    pub messages: u64,
}

impl Standing {
    /// The conversation's own status, `active` or `ended`.
    pub fn status(&self) -> &'static str {
        if self.ended { "ended" } else { "active" }
    }
}

impl Conversation {
    /// How it is now.
    pub fn standing(&self) -> Standing {
        let &Self { ended, updated_at, last_active_at, messages, .. } = self;
        Standing { ended, updated_at, last_active_at, messages }
    }

    /// How it was at a moment since the simulation began.
    pub fn standing_at(&self, at: Timestamp) -> Standing {
        let known = self.log.iter().rev().find(|(since, _)| *since <= at).or(self.log.first());
        known.map_or_else(|| self.standing(), |&(_, standing)| standing)
    }

    /// Whether it existed at this moment.
    pub fn exists_at(&self, at: Timestamp) -> bool {
        self.created_at <= at && self.deleted_at.is_none_or(|deleted_at| deleted_at > at)
    }

    fn note(&mut self, at: Timestamp) {
        self.log.push((at, self.standing()));
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
        let id = self.ids.of(uuid(self.seed, "conversation", row), row);
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
            deleted_at: None,
            executions: BTreeSet::new(),
            log: Vec::new(),
        });
        self.conversations[row].note(created_at);
        let side = self.side_mut(api);
        side.by_activity.insert((active_at, row));
        side.present.push(row);
        row
    }

    /// A message at `at`: the conversation is active (again), and moves up the list unless it is there already.
    pub fn message(&mut self, row: Row, at: Timestamp) {
        let conversation = &mut self.conversations[row];
        if conversation.deleted_at.is_some() {
            return;
        }
        let (api, before) = (conversation.api, conversation.last_active_at);
        conversation.created_at = conversation.created_at.min(at);
        conversation.last_active_at = before.max(at);
        conversation.updated_at = conversation.updated_at.max(at);
        conversation.messages += 1;
        conversation.ended = false;
        conversation.note(at);
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
        conversation.note(at);
    }

    /// Forgets how conversations were before: no replica lags so far behind.
    pub fn forget_former_standings(&mut self) {
        for conversation in &mut self.conversations {
            conversation.log = vec![(Timestamp::MIN, conversation.standing())];
        }
    }

    /// Removes a conversation, and with it its executions, from everything that is listed.
    pub fn delete_conversation(&mut self, row: Row, at: Timestamp) {
        let conversation = &mut self.conversations[row];
        conversation.deleted_at = Some(at);
        let (api, active_at) = (conversation.api, conversation.last_active_at);
        let side = self.side_mut(api);
        side.by_activity.remove(&(active_at, row));
        side.present.retain(|&other| other != row);
    }

    /// The conversation of `api` with this id, unless it was deleted.
    pub fn conversation_row(&self, api: Api, id: &str) -> Option<Row> {
        let row = *self.conversation_rows.get(id)?;
        let conversation = &self.conversations[row];
        (conversation.api == api && conversation.deleted_at.is_none()).then_some(row)
    }
}
