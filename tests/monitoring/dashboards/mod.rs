//! The dashboards: importable, complete, honest about what they show, and alike.

mod looks;
mod queries;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{files, promql::Query};

/// Its panels.
pub fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Its title.
pub fn title(panel: &Value) -> &str {
    panel["title"].as_str().unwrap_or_default()
}

/// Its queries, each with its settings.
pub fn targets(panel: &Value) -> impl Iterator<Item = (&Value, Query)> {
    let all = panel["targets"].as_array().unwrap().iter();
    all.map(|target| (target, Query::of(target["expr"].as_str().unwrap())))
}

/// Checks every panel of every dashboard; the findings are where and what.
pub fn check(finding: impl Fn(&Value, &Value) -> Vec<String>) {
    let mut findings = Vec::new();
    for (path, dashboard) in files::dashboards() {
        for panel in panels(&dashboard) {
            let found = finding(&dashboard, panel);
            findings.extend(found.into_iter().map(|what| format!("{path}, {}: {what}", title(panel))));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// A finding, if there is one.
pub fn complaint(when: bool, what: impl Into<String>) -> Vec<String> {
    if when { vec![what.into()] } else { Vec::new() }
}

#[test]
fn a_dashboard_keeps_its_address_and_can_be_provisioned() {
    let mut titles = BTreeSet::new();
    for (path, dashboard) in files::dashboards() {
        let name = path.strip_prefix("dashboards/").unwrap().strip_suffix(".json").unwrap();
        assert_eq!(dashboard["uid"], format!("kapso-{name}"), "{path}");
        assert_eq!(dashboard["editable"], false, "{path}");
        assert_eq!(dashboard["tags"], serde_json::json!(["kapso"]), "{path}");
        assert!(dashboard.get("id").is_none() && dashboard.get("__inputs").is_none(), "{path}");
        assert!(titles.insert(dashboard["title"].as_str().unwrap().to_owned()), "{path}");
    }
}

#[test]
fn a_panel_says_what_it_shows_in_which_unit_and_what_if_there_is_nothing() {
    check(|_, panel| {
        let defaults = &panel["fieldConfig"]["defaults"];
        let description = panel["description"].as_str().unwrap_or_default();
        let mut findings = complaint(title(panel).is_empty(), "no title");
        findings.extend(complaint(description.len() < 60 || !description.ends_with('.'), "no description"));
        findings.extend(complaint(defaults["unit"].as_str().is_none_or(str::is_empty), "no unit"));
        findings
            .extend(complaint(defaults["noValue"].as_str().is_none_or(str::is_empty), "no text for no data"));
        findings.extend(complaint(targets(panel).next().is_none(), "no query"));
        findings
    });
}

#[test]
fn panels_neither_overlap_nor_leave_the_grid_and_have_ids_of_their_own() {
    for (path, dashboard) in files::dashboards() {
        let (mut taken, mut ids) = (BTreeMap::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{path}: the id of {}", title(panel));
            let of = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(of("x") + of("w") <= 24 && of("w") > 0 && of("h") > 0, "{path}: {}", title(panel));
            for cell in
                (of("x")..of("x") + of("w")).flat_map(|x| (of("y")..of("y") + of("h")).map(move |y| (x, y)))
            {
                let other = taken.insert(cell, title(panel));
                assert!(other.is_none(), "{path}: {} lies over {other:?}", title(panel));
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_that_there_are_and_each_to_the_others() {
    let dashboards = files::dashboards();
    let uids: BTreeSet<_> = dashboards.values().map(|d| d["uid"].as_str().unwrap().to_owned()).collect();
    for (path, dashboard) in &dashboards {
        let text = serde_json::to_string(dashboard).unwrap();
        let linked = text.split("\"/d/").skip(1).map(|rest| rest.split(['"', '?', '/']).next().unwrap());
        let unknown: Vec<_> = linked.filter(|uid| !uids.contains(*uid)).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
        let links = dashboard["links"].as_array().unwrap();
        let led: BTreeSet<_> =
            links.iter().map(|link| link["url"].as_str().unwrap()["/d/".len()..].to_owned()).collect();
        let own = dashboard["uid"].as_str().unwrap();
        let others: BTreeSet<_> = uids.iter().filter(|uid| *uid != own).cloned().collect();
        assert_eq!(led, others, "{path}");
        assert!(links.iter().all(|link| link["includeVars"] == true && link["keepTime"] == true), "{path}");
    }
}

#[test]
fn a_series_of_the_overview_leads_to_its_workflow() {
    let overview = &files::dashboards()["dashboards/overview.json"];
    for panel in panels(overview) {
        let by_workflow = targets(panel).any(|(_, query)| query.labels.contains("workflow_name"));
        let text = serde_json::to_string(&panel["fieldConfig"]).unwrap();
        assert_eq!(by_workflow, text.contains("/d/kapso-workflow?"), "{}", title(panel));
        assert!(!by_workflow || text.contains("&var-workflow=${__"), "{}", title(panel));
    }
}
