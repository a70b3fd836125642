//! The dashboards: importable, complete, honest about what they show, and alike.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    files,
    promql::{INTERVAL, Query, RANGE, RATE_INTERVAL, Selector},
    registry::{look_up, unknown_names},
};

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
const THRESHOLDS: [(&str, &str, &str, f64, f64); 10] = [
    ("overview", "Failure ratio, 15 min", "KapsoFailureSpike", 0.25, 0.25),
    ("overview", "Failure ratio, 15 min", "KapsoFailureRatioHigh", 0.1, 0.1),
    ("overview", "Failure ratio by workflow", "KapsoFailureSpike", 0.25, 0.25),
    ("workflow", "Failure ratio, 15 min", "KapsoFailureSpike", 0.25, 0.25),
    ("workflow", "Failure ratio", "KapsoFailureSpike", 0.25, 0.25),
    ("exporter", "Lateness", "KapsoExporterLate", 10.0, 600.0),
    ("exporter", "Lateness by source", "KapsoExporterLate", 10.0, 600.0),
    ("exporter", "Data age", "KapsoHandoffsUnattended", 15.0, 900.0),
    ("exporter", "Limit left, 15 min", "KapsoKeyLimitNearlyUsed", 0.1, 0.1),
    ("exporter", "State: age of the last write", "KapsoExporterStateNotWritten", 30.0, 1800.0),
];

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

fn title(panel: &Value) -> &str {
    panel["title"].as_str().unwrap_or_default()
}

fn targets(panel: &Value) -> impl Iterator<Item = (&Value, Query)> {
    let all = panel["targets"].as_array().unwrap().iter();
    all.map(|target| (target, Query::of(target["expr"].as_str().unwrap())))
}

/// Checks every panel of every dashboard; the findings are where and what.
fn check(finding: impl Fn(&Value, &Value) -> Vec<String>) {
    let mut findings = Vec::new();
    for (path, dashboard) in files::dashboards() {
        for panel in panels(&dashboard) {
            let found = finding(&dashboard, panel);
            findings.extend(found.into_iter().map(|what| format!("{path}, {}: {what}", title(panel))));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn complaint(when: bool, what: impl Into<String>) -> Vec<String> {
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
fn every_metric_and_label_of_a_query_exists_legends_included() {
    check(|_, panel| {
        let mut findings = Vec::new();
        for (target, query) in targets(panel) {
            findings.extend(unknown_names(target["expr"].as_str().unwrap()));
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            let named = legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim());
            let absent = named.filter(|label| !query.labels.contains(*label));
            findings
                .extend(absent.map(|label| format!("the legend names {label}, which the query leaves out")));
        }
        findings
    });
}

#[test]
fn every_query_is_bound_to_every_variable_that_fits_it() {
    check(|dashboard, panel| {
        let variables: BTreeSet<_> = variables(dashboard).into_keys().collect();
        let mut findings = Vec::new();
        for (target, query) in targets(panel) {
            let uids = [&panel["datasource"]["uid"], &target["datasource"]["uid"]];
            findings.extend(complaint(
                uids.iter().any(|uid| *uid != "${datasource}"),
                "a data source of its own",
            ));
            findings.extend(query.selectors.iter().flat_map(|selector| unbound(selector, &variables)));
        }
        findings
    });
}

/// Variables by name, the data source aside.
fn variables(dashboard: &Value) -> BTreeMap<String, Value> {
    let all = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queried = all.filter(|variable| variable["type"] == "query");
    queried.map(|variable| (variable["name"].as_str().unwrap().to_owned(), variable.clone())).collect()
}

fn unbound(selector: &Selector, variables: &BTreeSet<String>) -> Vec<String> {
    let own = look_up(&selector.metric).map(|(_, labels)| labels).unwrap_or_default();
    let fits = |label: &str| ["job", "instance"].contains(&label) || own.iter().any(|name| name == label);
    let pairs =
        [("job", "job"), ("instance", "instance"), ("project", "project"), ("workflow", "workflow_name")];
    let wanted = pairs.iter().filter(|(variable, label)| variables.contains(*variable) && fits(label));
    let missing = wanted.filter(|(variable, label)| !selector.has(label, "=~", &format!("${variable}")));
    missing.map(|(variable, _)| format!("{} is not bound to ${variable}", selector.metric)).collect()
}

#[test]
fn the_variables_are_queried_anew_and_take_several_values() {
    for (path, dashboard) in files::dashboards() {
        let text = serde_json::to_string(&dashboard["panels"]).unwrap();
        let variables = variables(&dashboard);
        assert!(["job", "instance", "project"].iter().all(|name| variables.contains_key(*name)), "{path}");
        for (name, variable) in variables {
            assert_eq!(
                (&variable["multi"], &variable["includeAll"]),
                (&true.into(), &true.into()),
                "{path} {name}"
            );
            assert_eq!(
                (&variable["allValue"], &variable["refresh"]),
                (&".+".into(), &2.into()),
                "{path} {name}"
            );
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{path} {name}");
            let query = variable["query"].as_str().unwrap();
            let (selector, label) = query
                .strip_prefix("label_values(")
                .unwrap()
                .strip_suffix(')')
                .unwrap()
                .rsplit_once(", ")
                .unwrap();
            let wrong = unknown_names(&format!("count by ({label}) ({selector})"));
            let earlier = ["job", "instance", "project"].into_iter().take_while(|earlier| earlier != &name);
            for earlier in earlier {
                let bound = selector.contains(&format!("{earlier}=~\"${earlier}\""));
                assert!(bound, "{path}: {name} offers what {earlier} rules out");
            }
            assert!(wrong.is_empty(), "{path} {name}: {wrong:?}");
            assert!(text.contains(&format!("${name}")), "{path}: nothing uses ${name}");
        }
    }
}

#[test]
fn counters_are_only_shown_as_what_they_grew_by_and_nothing_else_is() {
    check(|_, panel| {
        let all: Vec<_> = targets(panel).flat_map(|(_, query)| query.selectors).collect();
        all.iter().flat_map(misused).collect()
    });
}

fn misused(selector: &Selector) -> Vec<String> {
    let kind = look_up(&selector.metric).map(|(kind, _)| kind).unwrap_or_default();
    // The one histogram that is a snapshot.
    let snapshot = selector.metric.starts_with("kapso_open_execution_idle_seconds");
    let counts = kind == "counter" || (kind.starts_with("histogram_") && !snapshot);
    let function = selector.function.as_deref().unwrap_or_default();
    let grows = ["rate", "increase"].contains(&function);
    let mut findings =
        complaint(counts != grows, format!("{} ({kind}) within {function:?}", selector.metric));
    let range = selector.range.unwrap_or_default();
    findings.extend(complaint(
        function == "rate" && range != RATE_INTERVAL,
        "a rate over something else than $__rate_interval",
    ));
    let fixed = ![INTERVAL, RANGE, RATE_INTERVAL].contains(&range);
    findings.extend(complaint(
        function == "increase" && fixed && range.as_secs() < 240,
        "an increase over too short a range",
    ));
    findings
}

#[test]
fn graphs_of_growth_have_a_step_of_which_four_sweeps_fit_into_the_range() {
    check(|_, panel| {
        let of_growth = targets(panel).filter(|(target, query)| {
            target["range"] == true
                && query.selectors.iter().any(|s| [Some(INTERVAL), Some(RATE_INTERVAL)].contains(&s.range))
        });
        let short = of_growth.filter(|(target, query)| {
            let bars = query.selectors.iter().any(|selector| selector.range == Some(INTERVAL));
            target["interval"] != if bars { "5m" } else { "1m" }
        });
        short.map(|_| "the least step is not 1m (5m for bars)".to_owned()).collect()
    });
}

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
