//! What goes wrong on the way: exactly one request in so many gets a spoilt answer.

use std::time::Duration;

use fastrand::Rng;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Content, Date, Ending},
    random::later,
    times::http_date,
};

/// How often requests fail, and how.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Every so many-th request fails; 0 for none.
    pub one_in: u32,
    /// The ways in which they fail, taken in a seeded order in which each has its turn; empty for none.
    #[serde(default)]
    pub kinds: Vec<Fault>,
}

/// One way to fail.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 500, 502 or 503, in one of the usual error shapes.
    ServerError,
    /// 502 or 503 with a proxy's page.
    HtmlError,
    /// The answer's `Content-Length` and half of its body, then the connection breaks.
    CutBody,
    /// No answer, until the client or the server goes away.
    Hang,
    /// One item of the page is garbage; an answer without items becomes a server error.
    OddItem,
    /// 429 with `Retry-After: 1`.
    RateLimited,
    /// The connection breaks before the first byte.
    Reset,
    /// 200 with a page instead of JSON.
    NotJson,
    /// A list with cursors gives a few items only, and a cursor that leads on; any other answer becomes a server
    /// error.
    ShortPage,
    /// One item of the page comes twice; an answer without items becomes a server error.
    RepeatedItem,
    /// The items of the page come in another order; an answer without items becomes a server error.
    OtherOrder,
    /// The answer is late by up to five seconds, and as old.
    Slow,
    /// An answer without `Date` and rate limit headers.
    NoHeaders,
    /// A `Date` header that is none.
    OddDate,
    /// 429 with a date in `Retry-After`, with nonsense there, or without it.
    OddRefusal,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ServerError,
        Self::HtmlError,
        Self::CutBody,
        Self::Hang,
        Self::OddItem,
        Self::RateLimited,
        Self::Reset,
        Self::NotJson,
        Self::ShortPage,
        Self::RepeatedItem,
        Self::OtherOrder,
        Self::Slow,
        Self::NoHeaders,
        Self::OddDate,
        Self::OddRefusal,
    ];

    /// Its name, as in configuration and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerError => "server_error",
            Self::HtmlError => "html_error",
            Self::CutBody => "cut_body",
            Self::Hang => "hang",
            Self::OddItem => "odd_item",
            Self::RateLimited => "rate_limited",
            Self::Reset => "reset",
            Self::NotJson => "not_json",
            Self::ShortPage => "short_page",
            Self::RepeatedItem => "repeated_item",
            Self::OtherOrder => "other_order",
            Self::Slow => "slow",
            Self::NoHeaders => "no_headers",
            Self::OddDate => "odd_date",
            Self::OddRefusal => "odd_refusal",
        }
    }
}

/// Decides which requests fail, with randomness of its own so that faults never change the world.
pub struct FaultPlan {
    faults: Faults,
    requests: u32,
    turn: Vec<Fault>,
    rng: Rng,
}

impl FaultPlan {
    /// A plan that has seen no request.
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, requests: 0, turn: Vec::new(), rng: Rng::with_seed(seed ^ 0xfa17) }
    }

    /// Starts over with other faults.
    pub fn replace(&mut self, faults: Faults) {
        self.faults = faults;
        self.requests = 0;
        self.turn.clear();
    }

    /// Counts a request; the fault that it is to meet, if it is its turn.
    pub fn next(&mut self) -> Option<Fault> {
        if self.faults.one_in == 0 || self.faults.kinds.is_empty() {
            return None;
        }
        self.requests = (self.requests + 1) % self.faults.one_in;
        if self.requests != 0 {
            return None;
        }
        if self.turn.is_empty() {
            self.turn.clone_from(&self.faults.kinds);
            self.rng.shuffle(&mut self.turn);
        }
        self.turn.pop()
    }

    /// How many items a list with cursors is to show under `fault`, if fewer than it was asked for.
    pub fn cut_to(&mut self, fault: Fault) -> Option<usize> {
        (fault == Fault::ShortPage).then(|| self.rng.usize(1..=5))
    }

    /// What becomes of `answer`, given at `now`, under `fault`.
    pub fn spoil(&mut self, fault: Fault, mut answer: Answer, now: Timestamp) -> Answer {
        match fault {
            Fault::ServerError => self.server_error(),
            Fault::HtmlError => {
                let status = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE][self.rng.usize(..2)];
                Answer::html(status, "The server is temporarily unable to service your request")
            }
            Fault::CutBody => answer.ending(Ending::Cut),
            Fault::Hang => answer.ending(Ending::Never),
            Fault::OddItem => self.with_items(answer, |items, rng| spoil_item(items, rng)),
            Fault::RateLimited => Answer::rate_limited(1),
            Fault::Reset => answer.ending(Ending::Reset),
            Fault::NotJson => Answer::html(StatusCode::OK, "Please wait"),
            Fault::ShortPage => self.if_it_leads_on(answer),
            Fault::RepeatedItem => self.with_items(answer, |items, rng| {
                let item = items[rng.usize(..items.len())].clone();
                items.insert(rng.usize(..=items.len()), item);
            }),
            Fault::OtherOrder => self.with_items(answer, |items, rng| rng.shuffle(items)),
            Fault::Slow => {
                answer.delay = Duration::from_millis(self.rng.u64(1..=5_000));
                answer
            }
            Fault::NoHeaders => {
                answer.headers.clear();
                answer.date = Date::Missing;
                answer
            }
            Fault::OddDate => {
                answer.date = Date::Odd;
                answer
            }
            Fault::OddRefusal => self.odd_refusal(now),
        }
    }

    /// 429 that does not say in seconds how long to wait.
    fn odd_refusal(&mut self, now: Timestamp) -> Answer {
        let wait = self.rng.u32(1..=20);
        let mut answer = Answer::rate_limited(wait);
        answer.headers.clear();
        match self.rng.u8(0..3) {
            0 => {
                let date = http_date(later(now, Duration::from_secs(wait.into())));
                answer.with_header("retry-after", date)
            }
            1 => answer.with_header("retry-after", "soon".to_owned()),
            _ => answer,
        }
    }

    fn if_it_leads_on(&mut self, answer: Answer) -> Answer {
        match &answer.content {
            Content::Json(body) if body["paging"]["next"].is_string() => answer,
            _ => self.server_error(),
        }
    }

    fn with_items(&mut self, mut answer: Answer, change: impl FnOnce(&mut Vec<Value>, &mut Rng)) -> Answer {
        let Content::Json(body) = &mut answer.content else {
            return self.server_error();
        };
        match body.get_mut("data").and_then(Value::as_array_mut) {
            Some(items) if !items.is_empty() => change(items, &mut self.rng),
            _ => return self.server_error(),
        }
        answer
    }

    fn server_error(&mut self) -> Answer {
        let status =
            [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE]
                [self.rng.usize(..3)];
        Answer::some_error(status, "Something went wrong", self.rng.u64(..))
    }
}

fn spoil_item(items: &mut [Value], rng: &mut Rng) {
    let place = rng.usize(..items.len());
    let item = &mut items[place];
    let whole = item.clone();
    match rng.u8(0..4) {
        0 => *item = json!("garbage"),
        1 => *item = Value::Null,
        2 => spoil_ids(item),
        _ => spoil_times(item),
    }
    if *item == whole {
        *item = json!(["garbage"]);
    }
}

fn spoil_ids(item: &mut Value) {
    let Some(fields) = item.as_object_mut() else {
        return;
    };
    fields.remove("id");
    fields.values_mut().for_each(spoil_ids);
}

fn spoil_times(item: &mut Value) {
    let Some(fields) = item.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        match value {
            Value::String(text) if name.ends_with("_at") => "yesterday at noon".clone_into(text),
            value => spoil_times(value),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simulator::testing::noon;

    #[test]
    fn exactly_one_request_in_so_many_fails_and_each_kind_has_its_turn() {
        let mut plan = FaultPlan::new(Faults { one_in: 7, kinds: Fault::ALL.to_vec() }, 1);
        let drawn: Vec<Option<Fault>> = (0..7 * 30).map(|_| plan.next()).collect();
        assert!(drawn.chunks(7).all(|seven| seven.iter().flatten().count() == 1));
        for fault in Fault::ALL {
            assert_eq!(drawn.iter().flatten().filter(|&&other| other == fault).count(), 2);
        }
    }

    #[test]
    fn an_odd_item_spoils_one_item_and_leaves_the_others() {
        let mut plan = FaultPlan::new(Faults::default(), 1);
        let item =
            |id: &str| json!({"id": id, "agent_execution": {"id": id, "started_at": "2026-01-01T00:00:00Z"}});
        let data = json!([item("a"), item("b"), item("c")]);
        for _ in 0..20 {
            let answer = plan.spoil(Fault::OddItem, Answer::ok(json!({"data": data})), noon());
            let Content::Json(body) = answer.content else { unreachable!() };
            let pairs = body["data"].as_array().unwrap().iter().zip(data.as_array().unwrap());
            assert_eq!(pairs.filter(|(spoilt, item)| spoilt != item).count(), 1);
        }
    }

    #[test]
    fn a_page_may_repeat_an_item_or_come_in_another_order_and_loses_none() {
        let mut plan = FaultPlan::new(Faults::default(), 1);
        let mut page = |fault| -> Vec<u64> {
            let answer = plan.spoil(fault, Answer::ok(json!({"data": [1, 2, 3, 4, 5]})), noon());
            let Content::Json(body) = answer.content else { unreachable!() };
            body["data"].as_array().unwrap().iter().filter_map(Value::as_u64).collect()
        };
        let mut repeated = page(Fault::RepeatedItem);
        assert_eq!(repeated.len(), 6);
        repeated.sort_unstable();
        repeated.dedup();
        assert_eq!(repeated, [1, 2, 3, 4, 5]);
        let mut shuffled = page(Fault::OtherOrder);
        assert!(!shuffled.is_sorted());
        shuffled.sort_unstable();
        assert_eq!(shuffled, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_refusal_may_name_a_date_or_nonsense_or_nothing() {
        let mut plan = FaultPlan::new(Faults::default(), 1);
        let mut forms = Vec::new();
        for _ in 0..30 {
            let answer = plan.spoil(Fault::OddRefusal, Answer::ok(json!({"data": []})), noon());
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            let retry_after = answer.headers.into_iter().find(|(name, _)| *name == "retry-after");
            forms.push(retry_after.map(|(_, value)| value));
        }
        assert!(forms.contains(&None) && forms.contains(&Some("soon".to_owned())));
        assert!(forms.iter().flatten().any(|form| form.starts_with("Mon, 02 Nov 2026 12:00:")));
    }

    #[test]
    fn an_answer_without_items_fails_all_the_same() {
        let mut plan = FaultPlan::new(Faults::default(), 1);
        let answer = plan.spoil(Fault::OddItem, Answer::ok(json!({"data": []})), noon());
        assert!(answer.status.is_server_error());
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for fault in Fault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
    }
}
