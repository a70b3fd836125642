//! What goes wrong on the way: exactly one request in so many gets a spoilt answer.

use fastrand::Rng;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Content, Ending};

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
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ServerError,
        Self::HtmlError,
        Self::CutBody,
        Self::Hang,
        Self::OddItem,
        Self::RateLimited,
        Self::Reset,
        Self::NotJson,
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

    /// What becomes of `answer` under `fault`.
    pub fn spoil(&mut self, fault: Fault, answer: Answer) -> Answer {
        match fault {
            Fault::ServerError => self.server_error(),
            Fault::HtmlError => {
                let status = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE][self.rng.usize(..2)];
                Answer::html(status, "The server is temporarily unable to service your request")
            }
            Fault::CutBody => answer.ending(Ending::Cut),
            Fault::Hang => answer.ending(Ending::Never),
            Fault::OddItem => self.with_odd_item(answer),
            Fault::RateLimited => Answer::rate_limited(1),
            Fault::Reset => answer.ending(Ending::Reset),
            Fault::NotJson => Answer::html(StatusCode::OK, "Please wait"),
        }
    }

    fn server_error(&mut self) -> Answer {
        let status =
            [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE]
                [self.rng.usize(..3)];
        Answer::some_error(status, "Something went wrong", self.rng.u64(..))
    }

    fn with_odd_item(&mut self, mut answer: Answer) -> Answer {
        let Content::Json(body) = &mut answer.content else {
            return self.server_error();
        };
        let Some(items) = body.get_mut("data").and_then(Value::as_array_mut) else {
            return self.server_error();
        };
        let Some(item) = self.rng.choice(items.iter_mut()) else {
            return self.server_error();
        };
        let whole = item.clone();
        match self.rng.u8(0..4) {
            0 => *item = json!("garbage"),
            1 => *item = Value::Null,
            2 => spoil_ids(item),
            _ => spoil_times(item),
        }
        if *item == whole {
            *item = json!(["garbage"]);
        }
        answer
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

    #[test]
    fn exactly_one_request_in_so_many_fails_and_each_kind_has_its_turn() {
        let mut plan = FaultPlan::new(Faults { one_in: 7, kinds: Fault::ALL.to_vec() }, 1);
        let drawn: Vec<Option<Fault>> = (0..7 * 16).map(|_| plan.next()).collect();
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
            let answer = plan.spoil(Fault::OddItem, Answer::ok(json!({"data": data})));
            let Content::Json(body) = answer.content else { unreachable!() };
            let pairs = body["data"].as_array().unwrap().iter().zip(data.as_array().unwrap());
            assert_eq!(pairs.filter(|(spoilt, item)| spoilt != item).count(), 1);
        }
    }

    #[test]
    fn an_answer_without_items_fails_all_the_same() {
        let mut plan = FaultPlan::new(Faults::default(), 1);
        let answer = plan.spoil(Fault::OddItem, Answer::ok(json!({"data": []})));
        assert!(answer.status.is_server_error());
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for fault in Fault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
    }
}
