//! The files that are checked, as data.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A path in the repository.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// A file of the repository.
pub fn text(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// A file of YAML with one document.
pub fn yaml(relative: &str) -> Value {
    serde_saphyr::from_str(&text(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// The files of a directory that end so, by relative path.
pub fn listed(directory: &str, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(path(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> =
        names.filter(|name| name.ends_with(ending)).map(|name| format!("{directory}/{name}")).collect();
    found.sort();
    assert!(!found.is_empty(), "no *{ending} in {directory}");
    found
}

/// Every dashboard by its path.
pub fn dashboards() -> BTreeMap<String, Value> {
    let parsed = |path: String| {
        let value = serde_json::from_str(&text(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, value)
    };
    listed("dashboards", ".json").into_iter().map(parsed).collect()
}

/// A file of rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    rules: Vec<Rule>,
}

/// A recording or an alerting rule.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    #[serde(rename = "for")]
    pub lasts: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// The name of what it records or fires.
    pub fn name(&self) -> &str {
        self.record.as_deref().or(self.alert.as_deref()).unwrap()
    }
}

/// Every rule, in the order of the files.
pub fn rules() -> Vec<Rule> {
    let parsed = |path: String| {
        let file: RuleFile =
            serde_saphyr::from_str(&text(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        file.groups.into_iter().flat_map(|group| group.rules)
    };
    listed("alerts", ".yml").into_iter().flat_map(parsed).collect()
}

/// The rules that fire.
pub fn alerts() -> Vec<Rule> {
    rules().into_iter().filter(|rule| rule.alert.is_some()).collect()
}
