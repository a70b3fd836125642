//! The reference of the metrics, `docs/metrics.md`: what the program says of each family itself (name, type,
//! labels, HELP), and here what it cannot say: where a value comes from, what it misses, how many series there
//! are, and what to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::notes::NOTES;

/// A family as it is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its HELP text.
    pub help: String,
    /// Its type.
    pub kind: String,
    /// Its labels, but a histogram's `le`.
    pub labels: BTreeSet<String>,
}

/// What is to be known of a family beside what it says itself.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// The family's name.
    pub family: &'static str,
    /// Where its values come from.
    pub from: &'static str,
    /// What they don't show.
    pub blind: &'static str,
    /// How many series there are.
    pub series: &'static str,
    /// A query to begin with.
    pub example: &'static str,
}

/// Families and notes that lack each other.
#[derive(Debug, thiserror::Error)]
#[error("no note: {}; no family: {}", .families.join(", "), .notes.join(", "))]
pub struct Mismatch {
    families: Vec<String>,
    notes: Vec<String>,
}

impl Described {
    /// The families of an exposition in the text format, those of the process aside.
    #[must_use]
    pub fn in_exposition(text: &str) -> Vec<Self> {
        let mut families: Vec<Self> = Vec::new();
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                families.push(Self { name: name.into(), help: help.into(), ..Self::default() });
            } else if let Some(family) = families.last_mut() {
                family.take(line);
            }
        }
        families
    }

    fn take(&mut self, line: &str) {
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            self.kind = kind.into();
        } else if let Some((_, labels)) = line.split_once('{') {
            self.labels.extend(label_names(labels).filter(|name| *name != "le").map(str::to_owned));
        }
    }

    /// What is measured, as the name tells.
    fn unit(&self) -> &'static str {
        let parts = [
            ("_timestamp_seconds", "Unix time in seconds"),
            ("_seconds", "seconds"),
            ("_seconds_total", "seconds"),
            ("_bytes", "bytes"),
            ("_info", "none"),
            ("_up", "1 or 0"),
        ];
        parts.iter().find(|(suffix, _)| self.name.ends_with(suffix)).map_or("a number", |(_, unit)| unit)
    }
}

/// Names of the labels in `a="x",b="y"} 1`.
fn label_names(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (name, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })?;
        text = rest[end + 1..].trim_start_matches(',');
        Some(name)
    })
}

/// The reference as Markdown.
///
/// # Errors
/// Families without a note, and notes without a family.
pub fn reference(families: &[Described]) -> Result<String, Mismatch> {
    let own = families.iter().filter(|family| family.name.starts_with("kapso_"));
    let own: BTreeMap<&str, &Described> = own.map(|family| (family.name.as_str(), family)).collect();
    let notes: BTreeMap<&str, &Note> = NOTES.iter().map(|note| (note.family, note)).collect();
    let mismatch = Mismatch {
        families: own.keys().filter(|name| !notes.contains_key(*name)).map(ToString::to_string).collect(),
        notes: notes.keys().filter(|name| !own.contains_key(*name)).map(ToString::to_string).collect(),
    };
    if !mismatch.families.is_empty() || !mismatch.notes.is_empty() {
        return Err(mismatch);
    }
    let mut text = String::from(HEAD);
    for (name, family) in own {
        section(&mut text, family, notes[name]);
    }
    Ok(text)
}

const HEAD: &str = "# Metrics

Generated from the program by `UPDATE_DOCS=1 cargo test --test monitoring`; edit `src/metrics/notes.rs`, not this page.

Labels that nearly every family has: `project` (`default` without a name of its own), `api` (`platform` or `legacy`),
and, for what is about executions, `workflow_id` and `workflow_name`. Prometheus adds `job` and `instance`. All
times are in seconds. Workflows and steps beyond `--metrics.max-series` are added up under `other`. Label values have at
most 256 bytes: longer ones are cut and marked with `…`, and control characters in them become U+FFFD.

Beside these there are the `process_*` metrics of the client library: CPU, memory and file descriptors.
";

fn section(text: &mut String, family: &Described, note: &Note) {
    let Described { name, help, kind, labels, .. } = family;
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    let Note { from, blind, series, example, .. } = note;
    let unit = family.unit();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## {name}\n\n{help}\n\n- Type: {kind}\n- Unit: {unit}\n- Labels: {labels}\n- From: {from}\n- Does not show: {blind}\n- Series: {series}\n- Example: `{example}`\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_read_from_an_exposition_with_odd_label_values() {
        let text = "# HELP a_bytes What it is.\n# TYPE a_bytes gauge\na_bytes{x=\"1,y=\\\"2\\\\\",z=\"}\"} 1\n\
            # HELP b_seconds Other.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"+Inf\",x=\"\"} 1\nb_seconds_sum 1\n";
        let families = Described::in_exposition(text);
        let labels: Vec<Vec<_>> =
            families.iter().map(|f| f.labels.iter().map(String::as_str).collect()).collect();
        assert_eq!(labels, [vec!["x", "z"], vec!["x"]]);
        assert_eq!((families[1].kind.as_str(), families[0].unit()), ("histogram", "bytes"));
    }

    #[test]
    fn notes_are_sorted_and_whole() {
        assert!(NOTES.is_sorted_by_key(|note| note.family));
        for note in NOTES {
            let texts = [note.from, note.blind, note.series, note.example];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.contains('\n')), "{}", note.family);
            assert!(note.example.contains(note.family), "{}", note.family);
        }
    }
}
