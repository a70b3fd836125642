//! An `OpenAPI` 3.1 description as a judge of answers. Stricter than it says: a field that it does not name is an error.

use jiff::Timestamp;
use serde_json::Value;

/// What an answer has that the description does not allow, with the place of each.
pub fn faults(document: &Value, schema: &Value, answer: &Value) -> Vec<String> {
    let mut judge = Judge { document, faults: Vec::new() };
    judge.value(schema, answer, "");
    judge.faults
}

struct Judge<'a> {
    document: &'a Value,
    faults: Vec<String>,
}

/// The keywords that are understood; another one in a schema is an error, so that none is ignored.
const KEYWORDS: [&str; 14] = [
    "$ref",
    "additionalProperties",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "minItems",
    "minimum",
    "oneOf",
    "properties",
    "propertyNames",
    "required",
    "type",
];

impl Judge<'_> {
    fn fault(&mut self, place: &str, what: impl std::fmt::Display) {
        self.faults.push(format!("{place}: {what}"));
    }

    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        for keyword in schema.as_object().unwrap().keys().filter(|key| !KEYWORDS.contains(&key.as_str())) {
            self.fault(place, format!("keyword {keyword}"));
        }
        if let Some(target) = schema["$ref"].as_str() {
            let schema = self.document.pointer(target.strip_prefix('#').unwrap()).expect(target);
            return self.value(schema, value, place);
        }
        if let Some(options) = schema["oneOf"].as_array() {
            let tried = options.iter().map(|option| faults(self.document, option, value));
            let tried: Vec<_> = tried.collect();
            if tried.iter().filter(|faults| faults.is_empty()).count() != 1 {
                self.fault(place, format!("not one of: {tried:?}"));
            }
            return;
        }
        let types = &schema["type"];
        let fits = |name: &Value| types == name || types.as_array().is_some_and(|types| types.contains(name));
        let kind = kind(value);
        if !(fits(&kind.into()) || kind == "integer" && fits(&"number".into())) {
            return self.fault(place, format!("{value} is not {types}"));
        }
        self.scalar(schema, value, place);
        if let Some(items) = value.as_array() {
            self.items(schema, items, place);
        }
        if value.is_object() {
            self.object(schema, value, place);
        }
    }

    fn scalar(&mut self, schema: &Value, value: &Value, place: &str) {
        if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            self.fault(place, format!("{value} is not one of {}", schema["enum"]));
        }
        if value.as_f64().zip(schema["minimum"].as_f64()).is_some_and(|(value, least)| value < least) {
            self.fault(place, format!("{value} is too small"));
        }
        let is_good = |text: &str| match schema["format"].as_str() {
            Some("date-time") => text.parse::<Timestamp>().is_ok(),
            Some("uri") => url::Url::parse(text).is_ok(),
            Some(other) => panic!("format {other}"),
            None => true,
        };
        if value.as_str().is_some_and(|text| !is_good(text)) {
            self.fault(place, format!("{value} is no {}", schema["format"]));
        }
    }

    fn items(&mut self, schema: &Value, items: &[Value], place: &str) {
        let bound = |name: &str| schema[name].as_u64().map(|bound| bound as usize);
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(usize::MAX));
        if !(least..=most).contains(&items.len()) {
            self.fault(place, format!("{} items", items.len()));
        }
        for (number, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &format!("{place}/{number}"));
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, place: &str) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(required).is_none() {
                self.fault(place, format!("no {required}"));
            }
        }
        for (key, own) in value.as_object().unwrap() {
            let place = format!("{place}/{key}");
            let names = &schema["propertyNames"]["enum"];
            if names.as_array().is_some_and(|names| !names.contains(&Value::from(key.as_str()))) {
                self.fault(&place, "not a name");
            }
            match schema["properties"].get(key).or(schema.get("additionalProperties")) {
                Some(schema) => self.value(schema, own, &place),
                None => self.fault(&place, "not described"),
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
