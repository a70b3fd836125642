//! Control of a running simulation over HTTP, under `/_simulator/`: look at the tally and the requests, change
//! the traffic, the faults, the key, the rate limit and the webhook. Needs no key.

use std::{ops::Range, time::Duration};

use axum::{body::to_bytes, extract::Request};
use http::{Method, StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Simulator, answer::Answer, faults::Faults, query::Params, scenario::Traffic, webhooks::control as webhook,
};

const LARGEST_BODY: usize = 64 * 1024;
const ALLOWED: &str = "GET tally?since=<RFC 3339>&lookback_seconds=<number>, GET requests, PUT traffic, \
    PUT faults, PUT key, PUT rate_limit, PUT webhook, GET webhook, DELETE webhook, GET incidents, POST stop";

/// What is answered, or why not.
pub type Outcome = Result<Value, String>;

/// Answers one request to a control path.
pub async fn answer(simulator: &Simulator, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return Answer::error(StatusCode::BAD_REQUEST, "the body cannot be read or is longer than 64 KiB");
    };
    let name = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let outcome = match (&parts.method, name) {
        (&Method::GET, "tally") => tally(simulator, &parts.uri),
        (&Method::GET, "requests") => Ok(requests(simulator)),
        (&Method::PUT, "traffic") => change_traffic(simulator, &body),
        (&Method::PUT, "faults") => change_faults(simulator, &body),
        (&Method::PUT, "key") => change_key(simulator, &body),
        (&Method::PUT, "rate_limit") => change_rate_limit(simulator, &body),
        (&Method::PUT | &Method::POST, "webhook") => webhook::set(simulator, &body),
        (&Method::GET, "webhook") => Ok(webhook::show(simulator)),
        (&Method::DELETE, "webhook") => Ok(webhook::remove(simulator)),
        (&Method::GET, "incidents") => webhook::incidents(simulator),
        (&Method::POST, "stop") => Ok(stop(simulator)),
        _ => return Answer::error(StatusCode::NOT_FOUND, &format!("not found; there are {ALLOWED}")),
    };
    match outcome {
        Ok(body) => Answer::ok(body),
        Err(reason) => Answer::error(StatusCode::BAD_REQUEST, &reason),
    }
}

fn tally(simulator: &Simulator, uri: &Uri) -> Outcome {
    let params = Params::of(uri).map_err(|_| "the query cannot be read".to_owned())?;
    let since = match params.get("since") {
        Some(text) => {
            text.parse::<Timestamp>().map_err(|_| format!("since must be an RFC 3339 time, not `{text}`"))?
        }
        None => simulator.started_at(),
    };
    let lookback = match params.get("lookback_seconds") {
        Some(text) => {
            text.parse::<u64>().map_err(|_| format!("lookback_seconds must be whole, not `{text}`"))?
        }
        None => 24 * 3600,
    };
    let tally = simulator.tally(since, Duration::from_secs(lookback.min(315_576_000)));
    serde_json::to_value(tally).map_err(|error| error.to_string())
}

fn requests(simulator: &Simulator) -> Value {
    let (counts, busiest) = simulator.with(|state, _| (state.record.counts(), state.record.busiest_minute()));
    json!({"requests": counts, "busiest_minute": busiest})
}

/// The fields of [`Traffic`] that are to change; durations are `[min, max]` in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrafficChange {
    starts_per_minute: Option<f64>,
    reply_delay: Option<[f64; 2]>,
    dwell: Option<[f64; 2]>,
    handoff_dwell: Option<[f64; 2]>,
    failure_ratio: Option<f64>,
    handoff_ratio: Option<f64>,
    repeated_handoffs: Option<bool>,
    without_conversation: Option<f64>,
    silent_starts: Option<f64>,
    conversation_changes_per_minute: Option<f64>,
    erasures: Option<f64>,
    resumed_ratio: Option<f64>,
    resumed_after: Option<[f64; 2]>,
}

impl TrafficChange {
    fn apply(self, traffic: &mut Traffic) -> Result<(), String> {
        let numbers = [
            (self.starts_per_minute, &mut traffic.starts_per_minute),
            (self.failure_ratio, &mut traffic.failure_ratio),
            (self.handoff_ratio, &mut traffic.handoff_ratio),
            (self.without_conversation, &mut traffic.without_conversation),
            (self.silent_starts, &mut traffic.silent_starts),
            (self.conversation_changes_per_minute, &mut traffic.conversation_changes_per_minute),
            (self.erasures, &mut traffic.erasures),
            (self.resumed_ratio, &mut traffic.resumed_ratio),
        ];
        for (change, field) in numbers {
            *field = change.unwrap_or(*field);
        }
        traffic.repeated_handoffs = self.repeated_handoffs.unwrap_or(traffic.repeated_handoffs);
        let ranges = [
            ("reply_delay", self.reply_delay, &mut traffic.reply_delay),
            ("dwell", self.dwell, &mut traffic.dwell),
            ("handoff_dwell", self.handoff_dwell, &mut traffic.handoff_dwell),
            ("resumed_after", self.resumed_after, &mut traffic.resumed_after),
        ];
        for (name, change, field) in ranges {
            if let Some([min, max]) = change {
                *field = seconds(name, min)?..seconds(name, max)?;
            }
        }
        traffic.check()
    }
}

/// A number of seconds as one of the two of the field `name`.
pub fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|_| format!("{name} must be [min, max] in seconds"))
}

fn change_traffic(simulator: &Simulator, body: &[u8]) -> Outcome {
    let change: TrafficChange = parse(body)?;
    let traffic = simulator.with(|state, now| {
        let mut traffic = state.world.traffic.clone();
        change.apply(&mut traffic)?;
        state.world.set_traffic(traffic.clone(), now);
        Ok::<_, String>(traffic)
    })?;
    Ok(shown(&traffic))
}

fn shown(traffic: &Traffic) -> Value {
    let range = |range: &Range<Duration>| json!([range.start.as_secs_f64(), range.end.as_secs_f64()]);
    json!({
        "starts_per_minute": traffic.starts_per_minute,
        "reply_delay": range(&traffic.reply_delay),
        "dwell": range(&traffic.dwell),
        "handoff_dwell": range(&traffic.handoff_dwell),
        "failure_ratio": traffic.failure_ratio,
        "handoff_ratio": traffic.handoff_ratio,
        "repeated_handoffs": traffic.repeated_handoffs,
        "without_conversation": traffic.without_conversation,
        "silent_starts": traffic.silent_starts,
        "conversation_changes_per_minute": traffic.conversation_changes_per_minute,
        "erasures": traffic.erasures,
        "resumed_ratio": traffic.resumed_ratio,
        "resumed_after": range(&traffic.resumed_after),
    })
}

fn change_faults(simulator: &Simulator, body: &[u8]) -> Outcome {
    let faults: Faults = parse(body)?;
    simulator.set_faults(faults.clone());
    serde_json::to_value(faults).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    key: String,
}

fn change_key(simulator: &Simulator, body: &[u8]) -> Outcome {
    let KeyChange { key } = parse(body)?;
    simulator.set_key(key);
    Ok(json!({"key": "changed"}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitChange {
    requests_per_minute: Option<u32>,
}

fn change_rate_limit(simulator: &Simulator, body: &[u8]) -> Outcome {
    let RateLimitChange { requests_per_minute } = parse(body)?;
    simulator.set_rate_limit(requests_per_minute);
    Ok(json!({"requests_per_minute": requests_per_minute}))
}

fn stop(simulator: &Simulator) -> Value {
    simulator.stop_traffic();
    json!({"traffic": "stopped"})
}

/// What the body holds.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not what is expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::{
        Scenario,
        testing::{Reply, get, request, simulator},
    };

    async fn control(simulator: &Simulator, method: &str, path: &str, body: &str) -> Reply {
        request(simulator, method, &format!("/_simulator/{path}"), None, body).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_simulation_is_looked_at_and_changed() {
        let simulator = simulator(Scenario::quiet(1));
        get(&simulator, "/platform/v1/workflows").await;
        let reply = control(&simulator, "GET", "requests", "").await;
        let counted = json!([
            {"api": "platform", "endpoint": "workflows", "status": 200, "fault": null, "count": 1},
        ]);
        assert_eq!(reply.body, json!({"requests": counted, "busiest_minute": 1}));
        let reply =
            control(&simulator, "GET", "tally?since=2026-11-02T12:00:00Z&lookback_seconds=60", "").await;
        assert_eq!(reply.body["workflows"][0]["executions"]["running"], 0);
        let change = r#"{"starts_per_minute": 60, "dwell": [1, 2.5]}"#;
        let reply = control(&simulator, "PUT", "traffic", change).await;
        assert_eq!((&reply.body["dwell"], reply.status), (&json!([1.0, 2.5]), 200));
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(control(&simulator, "POST", "stop", "").await.status, 200);
        assert!(simulator.tally(simulator.started_at(), Duration::ZERO).workflows[0].started > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn faults_key_and_rate_limit_are_set() {
        let simulator = simulator(Scenario::quiet(1));
        for (path, body) in [
            ("faults", r#"{"one_in": 2, "kinds": ["server_error"]}"#),
            ("rate_limit", r#"{"requests_per_minute": 1}"#),
            ("key", r#"{"key": "other"}"#),
        ] {
            assert_eq!(control(&simulator, "PUT", path, body).await.status, 200, "{path}");
        }
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses
                .push(request(&simulator, "GET", "/platform/v1/workflows", Some("other"), "").await.status);
        }
        assert_eq!((statuses[0], statuses[2]), (200, 429));
        assert!(statuses[1] >= 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_what_is_allowed() {
        let simulator = simulator(Scenario::quiet(1));
        for (method, path, body, status, said) in [
            ("PUT", "traffic", r#"{"speed": 1}"#, 400, "expected one of `starts_per_minute`"),
            ("PUT", "traffic", r#"{"dwell": [3, 1]}"#, 400, "dwell must be [min, max]"),
            ("PUT", "traffic", r#"{"dwell": [-3, 1]}"#, 400, "dwell must be [min, max]"),
            ("PUT", "traffic", r#"{"failure_ratio": 2}"#, 400, "failure_ratio must be between 0 and 1"),
            (
                "PUT",
                "faults",
                r#"{"one_in": 1, "kinds": ["gremlin"]}"#,
                400,
                "expected one of `server_error`",
            ),
            ("PUT", "key", "{}", 400, "missing field `key`"),
            ("GET", "tally?since=noon", "", 400, "since must be an RFC 3339 time"),
            ("GET", "tally?lookback_seconds=1.5", "", 400, "lookback_seconds must be whole"),
            ("GET", "traffic", "", 404, "PUT traffic"),
        ] {
            let reply = control(&simulator, method, path, body).await;
            assert_eq!(reply.status, status, "{path} {body}");
            let error = reply.body["error"].as_str().unwrap_or_default();
            assert!(error.contains(said), "{error}");
        }
    }
}
