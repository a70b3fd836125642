//! What becomes of each answer under the misbehaviour that is on.

use std::{collections::HashMap, time::Duration};

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Breakage, Disagreement, Lag, Lie, Misbehaviour, Names, Totals, endless};
use crate::simulator::{
    answer::{Answer, Content, Ending},
    edits::Edits,
    endpoint::Endpoint,
    limit::Usage,
    query::Params,
    random::{earlier, hash},
    view::View,
    world::World,
};

const OTHER_NAME: &str = " (as it was)";
const DEFAULT_SIZE: usize = 20;

/// A request, as far as misbehaviour depends on it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub endpoint: &'a Endpoint,
    pub path: &'a str,
    pub params: &'a Params,
    pub now: Timestamp,
}

/// The misbehaviour that is on, and what it has to remember.
pub struct Conduct {
    began: Timestamp,
    /// Nothing while all is well.
    on: Option<Misbehaviour>,
    /// How often each path was answered since.
    turns: HashMap<u64, u32>,
    /// When each cursor was given, while they expire.
    cursors: HashMap<String, Timestamp>,
    limits_told: usize,
}

impl Conduct {
    /// Good conduct from this moment on.
    pub fn new(began: Timestamp) -> Self {
        Self { began, on: None, turns: HashMap::new(), cursors: HashMap::new(), limits_told: 0 }
    }

    /// Other misbehaviour from now on.
    pub fn replace(&mut self, misbehaviour: Misbehaviour) {
        self.on = (misbehaviour != Misbehaviour::default()).then_some(misbehaviour);
        self.turns.clear();
        self.cursors.clear();
    }

    /// The answer to a request that is not regular at all.
    pub fn instead(&mut self, asked: Asked<'_>, world: &World) -> Option<Answer> {
        let on = self.on.as_ref()?;
        let turn = self.turns.entry(hash(&[asked.path])).or_default();
        *turn += 1;
        if let Some(breakage) = asked.endpoint.owner().and_then(|id| on.broken.get(id)) {
            return Some(broken(*breakage));
        }
        if let Some(lie) = on.lies.iter().find(|lie| is_told(**lie, asked.endpoint, *turn)) {
            return Some(lie.answer());
        }
        let cursor = asked.params.get("after")?;
        let expired = |lifetime| is_older(self.cursors.get(cursor), lifetime, asked.now);
        if on.cursor_lifetime.is_some_and(expired) {
            return Some(Answer::invalid("after", "has expired"));
        }
        let owner = asked.endpoint.owner().filter(|id| on.endless.as_deref() == Some(id))?;
        let size = asked.params.size("limit", asked.params.largest_page).ok().flatten();
        Some(endless::page(world, owner, endless::page_of(cursor)?, size.unwrap_or(DEFAULT_SIZE), asked.now))
    }

    /// What the answer shows of the world.
    pub fn view<'a>(&self, asked: Asked<'_>, world: &'a World, edits: &'a Edits) -> View<'a> {
        let mut view = View {
            world,
            edits,
            now: asked.now,
            past: None,
            disagreement: Disagreement::default(),
            other_name: None,
            associated_after: Duration::ZERO,
        };
        let Some(on) = &self.on else {
            return view;
        };
        let turn = self.turns.get(&hash(&[asked.path])).copied().unwrap_or_default();
        view.past = on.lag.filter(|lag| is_turn(turn, lag.one_in)).map(|lag| self.past(lag, asked.now));
        let renamed = on.disagreement.names == Names::Alternating && is_turn(turn, 2);
        view.other_name = renamed.then_some(OTHER_NAME);
        View { disagreement: on.disagreement, associated_after: on.associated_after, ..view }
    }

    fn past(&self, lag: Lag, now: Timestamp) -> Timestamp {
        earlier(now, lag.behind).max(self.began)
    }

    /// What becomes of a regular answer.
    pub fn alter(&mut self, asked: Asked<'_>, mut answer: Answer) -> Answer {
        let (Some(on), Content::Json(body)) = (&self.on, &mut answer.content) else {
            return answer;
        };
        if on.failing_page_of.as_ref().is_some_and(|id| shows_conversation(asked.endpoint, body, id)) {
            return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong");
        }
        if let Some(owner) = asked.endpoint.owner() {
            if on.endless.as_deref() == Some(owner) {
                endless::lead_on(body);
            }
            if let Some(most) = on.capped_at {
                cap(body, most);
            }
        }
        if on.totals == Totals::Missing {
            omit_totals(body);
        }
        if let Some(odd) = on.odd_times {
            odd.alter(body, asked.now);
        }
        if let (Some(_), Some(cursor)) = (on.cursor_lifetime, body["paging"]["next"].as_str()) {
            self.cursors.insert(cursor.to_owned(), asked.now);
        }
        answer
    }

    /// The usage as the answer tells it.
    pub fn told(&mut self, usage: Usage) -> Usage {
        let Some(limits) = self.on.as_ref().and_then(|on| on.limits_told) else {
            return usage;
        };
        self.limits_told += 1;
        let limit = limits[self.limits_told % 2];
        Usage { shown: Some((limit, limit / 2)), ..usage }
    }
}

/// Whether `id` belongs to the share of `percent` in which something happens.
pub fn is_among(id: &str, what: &str, percent: u32) -> bool {
    percent > 0 && hash(&[id, what]) % 100 < u64::from(percent)
}

fn is_turn(turn: u32, one_in: u32) -> bool {
    one_in > 0 && turn.is_multiple_of(one_in)
}

fn is_told(lie: Lie, endpoint: &Endpoint, turn: u32) -> bool {
    endpoint.subject() == Some(lie.about) && is_turn(turn, lie.one_in)
}

fn is_older(given: Option<&Timestamp>, lifetime: Duration, now: Timestamp) -> bool {
    let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
    given.is_some_and(|&given| now.duration_since(given) > lifetime)
}

fn broken(breakage: Breakage) -> Answer {
    match breakage {
        Breakage::ServerError => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
        Breakage::Forbidden => Answer::error(StatusCode::FORBIDDEN, "Forbidden"),
        Breakage::Hangs => Answer::ok(json!({"data": []})).ending(Ending::Never),
    }
}

fn shows_conversation(endpoint: &Endpoint, body: &Value, id: &str) -> bool {
    let lists = matches!(endpoint, Endpoint::Conversations | Endpoint::LegacyConversations);
    let shows = |item: &Value| item["id"] == id;
    lists && body["data"].as_array().is_some_and(|items| items.iter().any(shows))
}

fn cap(body: &mut Value, most: usize) {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| name == "data");
    }
    if let Some(items) = body["data"].as_array_mut() {
        items.truncate(most);
    }
}

fn omit_totals(body: &mut Value) {
    if let Some(meta) = body.get_mut("meta").and_then(Value::as_object_mut) {
        meta.retain(|name, _| !name.starts_with("total_"));
    }
}
