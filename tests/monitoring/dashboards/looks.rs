//! Colours and thresholds: the same thing looks the same everywhere, and a line is where the alert is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{check, panels, targets, title};
use crate::{files, promql::Query};

/// The colour of a status, everywhere.
const COLOURS: [(&str, &str); 6] = [
    ("running", "blue"),
    ("waiting", "yellow"),
    ("handoff", "orange"),
    ("unknown", "#8e8e8e"),
    ("ended", "green"),
    ("failed", "red"),
];

/// Which panels show an alert's threshold: dashboard, panel, alert, the number in both. The last but one is the
/// number as the alert has it, where that is written as minutes * 60.
const THRESHOLDS: [(&str, &str, &str, f64, f64); 11] = [
    ("overview", "Failure ratio, 15 min", "KapsoFailureSpike", 0.25, 0.25),
    ("overview", "Failure ratio, 15 min", "KapsoFailureRatioHigh", 0.1, 0.1),
    ("overview", "Failure ratio by workflow", "KapsoFailureSpike", 0.25, 0.25),
    ("workflow", "Failure ratio, 15 min", "KapsoFailureSpike", 0.25, 0.25),
    ("workflow", "Failure ratio", "KapsoFailureSpike", 0.25, 0.25),
    ("exporter", "Lateness", "KapsoExporterLate", 10.0, 600.0),
    ("exporter", "Lateness by source", "KapsoExporterLate", 10.0, 600.0),
    ("exporter", "Executions in doubt", "KapsoExecutionsDisappeared", 5.0, 5.0),
    ("exporter", "Data age", "KapsoHandoffsUnattended", 15.0, 900.0),
    ("exporter", "Limit left, 15 min", "KapsoKeyLimitNearlyUsed", 0.1, 0.1),
    ("exporter", "State: age of the last write", "KapsoExporterStateNotWritten", 30.0, 1800.0),
];

#[test]
fn a_status_has_the_same_colour_everywhere() {
    check(|_, panel| {
        let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
        let colour = |name: &str| {
            let own = overrides.iter().find(|o| o["matcher"]["options"] == name)?;
            let properties = own["properties"].as_array().unwrap().iter();
            properties.filter(|p| p["id"] == "color").find_map(|p| p["value"]["fixedColor"].as_str())
        };
        let by_status = targets(panel).any(|(target, _)| target["legendFormat"] == "{{status}}");
        let shown = COLOURS.iter().filter(|(status, _)| shows(panel, status) && by_status);
        let mut findings: Vec<_> = shown
            .filter(|(status, wanted)| colour(status) != Some(*wanted))
            .map(|(status, wanted)| format!("{status} is not {wanted}"))
            .collect();
        let others =
            COLOURS.iter().filter(|(status, wanted)| colour(status).is_some_and(|own| own != *wanted));
        findings.extend(others.map(|(status, _)| format!("{status} has another colour")));
        findings
    });
}

/// Whether a series of this status can come out of the panel's queries by status.
fn shows(panel: &Value, status: &str) -> bool {
    let by_status = targets(panel).filter(|(_, query)| query.labels.contains("status"));
    let finished = ["ended", "failed"].contains(&status);
    by_status.flat_map(|(_, query)| query.selectors).any(|selector| {
        let of_finished =
            ["finished_total", "duration_seconds"].iter().any(|part| selector.metric.contains(part));
        let open_only = selector.metric.contains("_open_") || selector.has("status", "!~", "ended|failed");
        if finished { !open_only } else { !of_finished }
    })
}

#[test]
fn thresholds_are_those_of_the_alerts() {
    let alerts = files::alerts();
    for (dashboard, panel_title, alert, in_alert, in_panel) in THRESHOLDS {
        let all = &files::dashboards()[&format!("dashboards/{dashboard}.json")];
        let panel = panels(all).iter().find(|panel| title(panel) == panel_title);
        let panel = panel.unwrap_or_else(|| panic!("{dashboard} has no panel {panel_title}"));
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap();
        assert!(
            steps.iter().any(|step| step["value"] == in_panel),
            "{panel_title}: no threshold at {in_panel}"
        );
        assert!(panel["description"].as_str().unwrap().len() > 60, "{panel_title}");
        let rule =
            alerts.iter().find(|rule| rule.name() == alert).unwrap_or_else(|| panic!("no alert {alert}"));
        assert!(
            Query::of(&rule.expr).numbers.contains(&in_alert),
            "{alert} does not compare with {in_alert}"
        );
    }
}

#[test]
fn alerts_that_a_description_names_exist() {
    let known: BTreeSet<_> = files::alerts().iter().map(|rule| rule.name().to_owned()).collect();
    check(|_, panel| {
        let words = panel["description"].as_str().unwrap().split(|c: char| !c.is_ascii_alphanumeric());
        let named = words.filter(|word| word.starts_with("Kapso") && word.len() > "Kapso".len());
        let unknown = named.filter(|word| !known.contains(*word));
        unknown.map(|word| format!("there is no alert {word}")).collect()
    });
}
