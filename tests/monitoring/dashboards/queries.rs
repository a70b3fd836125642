//! What the panels ask: for what there is, bound to the variables, and as a counter or gauge is to be asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{check, complaint, targets};
use crate::{
    files,
    histograms::in_one_form,
    promql::{INTERVAL, RANGE, RATE_INTERVAL, Selector},
    registry::{look_up, only_grows, unknown_names},
};

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
fn every_histogram_is_asked_for_in_both_forms() {
    check(|_, panel| {
        let queries = panel["targets"].as_array().unwrap().iter();
        queries.flat_map(|target| in_one_form(target["expr"].as_str().unwrap())).collect()
    });
}

#[test]
fn counters_are_only_shown_as_what_they_grew_by_and_nothing_else_is() {
    check(|_, panel| {
        let all: Vec<_> = targets(panel).flat_map(|(_, query)| query.selectors).collect();
        all.iter().flat_map(misused).collect()
    });
}

fn misused(selector: &Selector) -> Vec<String> {
    let function = selector.function.as_deref().unwrap_or_default();
    let grows = ["rate", "increase"].contains(&function);
    let mut findings =
        complaint(only_grows(&selector.metric) != grows, format!("{} within {function:?}", selector.metric));
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
