//! A JSON Schema of the file, for editors: `docs/config.schema.json` is made from it.

use serde_json::{Map, Value, json};

use super::{MOST_PROJECTS, metrics, project};
use crate::model::Source;

/// What the file may hold, as far as a schema can tell. The program itself says more, and has the last word.
#[must_use]
pub fn schema() -> Value {
    let own = object(&project::OWN, own_key);
    let shared = object(&project::SHARED, shared_key);
    let all: Map<_, _> = own.into_iter().chain(shared.clone()).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration file of kapso-exporter",
        "type": "object",
        "additionalProperties": false,
        "required": ["projects"],
        "properties": {
            "defaults": strict(shared),
            "projects": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_PROJECTS,
                "items": { "required": project::OWN, "type": "object", "additionalProperties": false, "properties": all },
            },
            "metrics": strict(object(&metrics::KEYS, metrics_key)),
        },
    })
}

/// A mapping with these keys alone, which may be left empty.
fn strict(properties: impl Into<Value>) -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": false, "properties": properties.into() })
}

fn object(keys: &[&str], of: fn(&str) -> Value) -> Map<String, Value> {
    keys.iter().map(|&key| (key.to_owned(), of(key))).collect()
}

fn own_key(key: &str) -> Value {
    if key == "name" {
        return json!({ "type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,64}$" });
    }
    secret()
}

fn secret() -> Value {
    let from = |key: &str| {
        let properties = json!({ key: { "type": "string" } });
        json!({ "type": "object", "additionalProperties": false, "required": [key], "properties": properties })
    };
    json!({ "oneOf": [from("env"), from("file")] })
}

fn shared_key(key: &str) -> Value {
    let text = || json!({ "type": ["string", "null"] });
    let texts = || list(&json!({ "type": "string" }));
    match key {
        "sources" => {
            let names = Source::ALL.map(Source::as_str);
            json!({ "type": ["array", "null"], "minItems": 1, "items": { "enum": names } })
        }
        "conversations" => texts(),
        "phone_number_ids" => list(&json!({ "type": ["string", "integer"] })),
        "workflows" => strict(object(&project::FILTER, |_| list(&json!({ "type": "string" })))),
        "requests_per_minute" => whole_number(1, 100_000),
        "agents" => json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } }),
        "handoff_reasons" => {
            let class = json!({ "type": "string", "pattern": "^[a-z0-9_]{1,32}$" });
            let properties = json!({ "class": class, "pattern": { "type": "string" } });
            let rule = json!({
                "type": "object", "additionalProperties": false,
                "required": ["class", "pattern"], "properties": properties,
            });
            json!({ "type": ["array", "null"], "maxItems": project::MOST_RULES, "items": rule })
        }
        "interval" | "lookback" | "conversation_max_age" | "max_staleness" | "timeout" => {
            json!({ "type": ["string", "null"], "pattern": "^[ 0-9a-z]+$", "examples": ["30s", "5m", "7d"] })
        }
        "webhook" => {
            let list = json!({ "type": "array", "minItems": 1, "maxItems": project::MOST_SECRETS, "items": secret() });
            let secrets = json!({ "anyOf": [secret(), list] });
            json!({
                "type": ["object", "null"], "additionalProperties": false,
                "required": project::WEBHOOK, "properties": { "secret": secrets },
            })
        }
        _ => text(),
    }
}

fn metrics_key(key: &str) -> Value {
    match key {
        "max_series" => whole_number(1_000, 10_000_000),
        "max_conversations" => whole_number(0, 100_000),
        "exemplars" => json!({ "type": ["boolean", "null"] }),
        // To many readers of YAML `off` and `on` are no texts.
        "native_histograms" => json!({ "enum": ["off", "on", "only", false, true, null] }),
        _ => {
            let bounds = json!({
                "type": ["array", "null"], "minItems": 1, "maxItems": metrics::MOST_BOUNDS,
                "items": { "type": "number", "exclusiveMinimum": 0 },
            });
            let properties: Map<_, _> =
                metrics::BUCKETS.iter().map(|&key| (key.to_owned(), bounds.clone())).collect();
            strict(properties)
        }
    }
}

fn list(items: &Value) -> Value {
    json!({ "type": ["array", "null"], "items": items })
}

fn whole_number(least: u32, most: u32) -> Value {
    json!({ "type": ["integer", "null"], "minimum": least, "maximum": most })
}
