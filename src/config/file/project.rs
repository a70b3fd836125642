//! A project, and the section `defaults`, which has the same keys.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;

use super::secrets::{SecretFrom, Secrets};
use crate::{
    config::{
        KeyFrom, ProjectConfig, RawProject, parse,
        yaml::{Mapping, Node, Value, Walk, join},
    },
    model::{ReasonRule, WorkflowFilter, WorkflowId},
};

/// What a project alone has.
pub const OWN: [&str; 2] = ["name", "api_key"];
/// What `defaults` may have, too.
pub const SHARED: [&str; 15] = [
    "platform_url",
    "legacy_url",
    "sources",
    "conversations",
    "phone_number_ids",
    "workflows",
    "interval",
    "lookback",
    "conversation_max_age",
    "max_staleness",
    "requests_per_minute",
    "timeout",
    "agents",
    "handoff_reasons",
    "webhook",
];
/// The most rules for the reasons of handoffs.
pub const MOST_RULES: usize = 20;
/// What a webhook has.
pub const WEBHOOK: [&str; 1] = ["secret"];
/// The most secrets of a webhook.
pub const MOST_SECRETS: usize = 4;
/// Lists of patterns.
pub const FILTER: [&str; 2] = ["include", "exclude"];
/// The longest name of an agent, in bytes.
const LONGEST_NAME: usize = 256;

type Parsed<T> = Result<T, String>;

/// Notes what is wrong with the defaults, once and not for every project.
pub fn check_defaults(walk: &mut Walk, defaults: Mapping<'_>, secrets: &mut dyn Secrets) {
    let mut raw = RawProject::new("defaults", KeyFrom::Variable);
    take(walk, &mut raw, defaults, "defaults", secrets);
}

/// Reads a project.
pub fn project(
    walk: &mut Walk,
    node: &Node,
    path: &str,
    defaults: Mapping<'_>,
    secrets: &mut dyn Secrets,
) -> Option<ProjectConfig> {
    let problems = walk.problems.len();
    let known: Vec<_> = OWN.into_iter().chain(SHARED).collect();
    let section = walk.mapping(node, path, &known)?;
    let name = match section.get("name") {
        Some(node) => walk.value(node, &join(path, "name"), name),
        None => missing(walk, section, &join(path, "name"), "a name: it becomes the label project"),
    };
    let key = match section.get("api_key") {
        Some(node) => secret(walk, node, &join(path, "api_key"), secrets, parse::key),
        None => {
            missing(walk, section, &join(path, "api_key"), "the API key, as {env: VARIABLE} or {file: PATH}")
        }
    };
    let key = key.unwrap_or_else(|| String::new().into());
    let mut raw = RawProject::new(&name.unwrap_or_default(), KeyFrom::Value(key));
    // What is wrong with the defaults was noted already.
    take(&mut Walk::default(), &mut raw, defaults, "defaults", secrets);
    take(walk, &mut raw, section, path, secrets);
    if walk.problems.len() > problems {
        return None;
    }
    match ProjectConfig::resolve(raw) {
        Ok(project) => Some(project),
        Err(error) => {
            walk.problem(node.place, path, format!("{error:#}"));
            None
        }
    }
}

fn missing<T>(walk: &mut Walk, section: Mapping<'_>, path: &str, what: &str) -> Option<T> {
    walk.problem(section.place, path, format!("it is missing: expected {what}"));
    None
}

fn name(text: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err("expected 1 to 64 letters, digits, '_', '.' and '-'".into())
}

/// A secret, which never stands in the file itself.
fn secret(
    walk: &mut Walk,
    node: &Node,
    path: &str,
    secrets: &mut dyn Secrets,
    parse: fn(&str) -> Parsed<SecretString>,
) -> Option<SecretString> {
    if matches!(node.value, Value::Scalar(_)) {
        let message = "a secret does not stand in this file: expected {env: VARIABLE} or {file: PATH}";
        walk.problem(node.place, path, message);
        return None;
    }
    let section = walk.mapping(node, path, &["env", "file"])?;
    let from = match (section.get("env"), section.get("file")) {
        (Some(variable), None) => {
            SecretFrom::Variable(walk.hidden(variable, &join(path, "env"), variable_name)?)
        }
        (None, Some(file)) => SecretFrom::File(walk.scalar(file, &join(path, "file"))?.into()),
        _ => {
            walk.problem(node.place, path, "expected either {env: VARIABLE} or {file: PATH}");
            return None;
        }
    };
    let read = secrets.read(&from).and_then(|text| parse(&text));
    read.map_err(|message| walk.problem(node.place, path, message)).ok()
}

fn variable_name(text: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if (1..=128).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err("expected the name of a variable: letters, digits and '_'".into())
}

/// Takes over what a section gives.
fn take(walk: &mut Walk, raw: &mut RawProject, section: Mapping<'_>, path: &str, secrets: &mut dyn Secrets) {
    let mut take = Take { walk, section, path };
    take.with("platform_url", &mut raw.platform_url, |walk, node, path| walk.hidden(node, path, parse::url));
    take.with("legacy_url", &mut raw.legacy_url, |walk, node, path| walk.hidden(node, path, parse::url));
    take.values("sources", &mut raw.sources, parse::source);
    take.values("conversations", &mut raw.conversations, parse::conversation);
    take.values("phone_number_ids", &mut raw.phone_number_ids, parse::phone_number_id);
    take.duration("interval", &mut raw.interval, parse::interval);
    take.duration("lookback", &mut raw.lookback, parse::lookback);
    take.duration("conversation_max_age", &mut raw.conversation_max_age, parse::max_age);
    take.duration("timeout", &mut raw.timeout, parse::timeout);
    take.value("max_staleness", &mut raw.max_staleness, |text| parse::max_staleness(text).map(Some));
    take.value("requests_per_minute", &mut raw.requests_per_minute, |text| {
        parse::requests_per_minute(text).map(Some)
    });
    take.with("workflows", &mut raw.workflows, workflows);
    take.with("agents", &mut raw.agents, agents);
    take.with("handoff_reasons", &mut raw.handoff_reasons, rules);
    take.with("webhook", &mut raw.webhook_secrets, |walk, node, path| webhook(walk, node, path, secrets));
    if let Some(Node { place, value: Value::List(items) }) = section.get("sources")
        && items.is_empty()
    {
        let message = "expected at least one of: auto, conversations, agents, workflows";
        walk.problem(*place, &join(path, "sources"), message);
    }
}

/// Takes values of a section over into fields.
struct Take<'a, 'b> {
    walk: &'a mut Walk,
    section: Mapping<'b>,
    path: &'a str,
}

impl Take<'_, '_> {
    fn with<T>(&mut self, key: &str, field: &mut T, read: impl FnOnce(&mut Walk, &Node, &str) -> Option<T>) {
        let Some(node) = self.section.get(key) else { return };
        if let Some(value) = read(self.walk, node, &join(self.path, key)) {
            *field = value;
        }
    }

    fn value<T>(&mut self, key: &str, field: &mut T, parse: impl FnOnce(&str) -> Parsed<T>) {
        self.with(key, field, |walk, node, path| walk.value(node, path, parse));
    }

    fn duration(&mut self, key: &str, field: &mut Duration, parse: fn(&str) -> Parsed<Duration>) {
        self.value(key, field, parse);
    }

    fn values<T>(&mut self, key: &str, field: &mut Vec<T>, parse: impl Fn(&str) -> Parsed<T>) {
        self.with(key, field, |walk, node, path| Some(walk.values(node, path, parse)));
    }
}

fn workflows(walk: &mut Walk, node: &Node, path: &str) -> Option<WorkflowFilter> {
    let section = walk.mapping(node, path, &FILTER)?;
    let mut patterns = |key: &str| match section.get(key) {
        Some(node) => walk.values(node, &join(path, key), pattern),
        None => Vec::new(),
    };
    let (include, exclude) = (patterns("include"), patterns("exclude"));
    Some(WorkflowFilter::new(&include, &exclude))
}

/// The secrets of the webhook: one, or several while one takes the place of another.
fn webhook(walk: &mut Walk, node: &Node, path: &str, secrets: &mut dyn Secrets) -> Option<Vec<SecretString>> {
    let section = walk.mapping(node, path, &WEBHOOK)?;
    let path = join(path, "secret");
    let Some(node) = section.get("secret") else {
        walk.problem(
            section.place,
            &path,
            "it is missing: expected {env: VARIABLE} or {file: PATH}, or several",
        );
        return None;
    };
    let Value::List(items) = &node.value else {
        return Some(vec![secret(walk, node, &path, secrets, parse::webhook_secret)?]);
    };
    if !(1..=MOST_SECRETS).contains(&items.len()) {
        let message = format!("expected 1 to {MOST_SECRETS} secrets, found {}", items.len());
        walk.problem(node.place, &path, message);
        return None;
    }
    let items = walk.list(node, &path);
    let read = |(path, item): (String, _)| secret(walk, item, &path, secrets, parse::webhook_secret);
    Some(items.into_iter().filter_map(read).collect())
}

fn pattern(text: &str) -> Parsed<String> {
    if (1..=WorkflowFilter::LONGEST).contains(&text.len()) {
        return Ok(text.into());
    }
    let longest = WorkflowFilter::LONGEST;
    Err(format!("expected an id, or a pattern over the name with * and ?, of 1 to {longest} bytes"))
}

fn agents(walk: &mut Walk, node: &Node, path: &str) -> Option<BTreeMap<WorkflowId, String>> {
    let entries = walk.entries(node, path)?;
    let mut agents = BTreeMap::new();
    for (key, node) in entries {
        if let Some(name) = walk.value(node, &join(path, &key.text), agent_name) {
            agents.insert(key.text.as_str().into(), name);
        }
    }
    Some(agents)
}

fn agent_name(text: &str) -> Parsed<String> {
    if (1..=LONGEST_NAME).contains(&text.len()) {
        return Ok(text.into());
    }
    Err(format!("expected a name of 1 to {LONGEST_NAME} bytes"))
}

fn rules(walk: &mut Walk, node: &Node, path: &str) -> Option<Vec<ReasonRule>> {
    let items = walk.list(node, path);
    if items.len() > MOST_RULES {
        walk.problem(node.place, path, format!("expected at most {MOST_RULES} rules, found {}", items.len()));
        return None;
    }
    Some(items.into_iter().filter_map(|(path, item)| rule(walk, item, &path)).collect())
}

fn rule(walk: &mut Walk, node: &Node, path: &str) -> Option<ReasonRule> {
    let section = walk.mapping(node, path, &["class", "pattern"])?;
    let (Some(class), Some(pattern)) = (section.get("class"), section.get("pattern")) else {
        walk.problem(node.place, path, "expected {class: NAME, pattern: REGULAR EXPRESSION}");
        return None;
    };
    let class = walk.value(class, &join(path, "class"), |text| ReasonRule::class(text).map(str::to_owned))?;
    walk.value(pattern, &join(path, "pattern"), |text| ReasonRule::new(&class, text))
}
