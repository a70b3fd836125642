//! The reference of the metrics, `docs/metrics.md`: what the table says of each family.

use std::fmt::Write;

use super::{Family, TABLE};

const HEAD: &str = "# Metrics

Generated from the program by `UPDATE_DOCS=1 cargo test --test monitoring`; edit `src/metrics/table`, not this page.

Labels that nearly every family has: `project` (`default` without a name of its own), `api` (`platform` or `legacy`),
and, for what is about executions, `workflow_id` and `workflow_name`. Prometheus adds `job` and `instance`; of
[replicas](replicas.md) whatever is about a project brings its `instance`, `--replica.instance-label`. All times are in
seconds. Workflows and steps beyond `--metrics.max-series` are added up under `other`. Label values have at
most 256 bytes: longer ones are cut and marked with `…`, and control characters in them become U+FFFD. What comes beside
the values where a format has it (start timestamps, exemplars, native histograms) is on [a page of its own](formats.md).
";

/// The reference as Markdown.
#[must_use]
pub fn reference() -> String {
    TABLE.iter().fold(String::from(HEAD), |mut text, family| {
        section(&mut text, family);
        text
    })
}

fn section(text: &mut String, family: &Family) {
    let Family { name, help, unit, kind, note, .. } = family;
    let labels: Vec<_> = family.label_names().iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## {name}\n\n{help}\n\n- Type: {}\n- Unit: {}\n- Labels: {labels}\n- From: {}\n- Does not show: {}\n- Series: {}\n- Example: `{}`\n",
        kind.as_str(),
        unit.as_str(),
        note.from,
        note.blind,
        note.series,
        note.example
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_name_of_its_own_and_a_whole_note() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for family in TABLE.iter() {
            let note = family.note;
            let texts = [note.from, note.blind, note.series, note.example];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.contains('\n')), "{}", family.name);
            assert!(note.example.contains(family.name), "{}", family.name);
        }
    }
}
