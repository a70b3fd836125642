//! The rules: every alert can be acted on, is tested, and asks for what there is.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    files,
    histograms::in_one_form,
    promql::Query,
    registry::{look_up, only_grows, unknown_names},
};

/// Where runbooks are read.
const RUNBOOKS: &str = "https://github.com/kapso-exporter/kapso-exporter/blob/main/";

/// Four times the longer of scrape and sweep interval, as shipped.
const SHORTEST_RANGE: Duration = Duration::from_mins(4);

#[test]
fn every_metric_and_label_of_a_rule_exists() {
    for rule in files::rules() {
        let wrong = unknown_names(&rule.expr);
        assert!(wrong.is_empty(), "{}: {wrong:?}", rule.name());
    }
}

#[test]
fn an_alert_says_how_bad_it_is_what_happened_and_what_to_do() {
    for alert in files::alerts() {
        let name = alert.name();
        let severity = alert.labels.get("severity").map_or("", String::as_str);
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: severity {severity:?}");
        assert_eq!(alert.labels.len(), 1, "{name}");
        let keys: Vec<_> = alert.annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["description", "runbook_url", "summary"], "{name}");
        assert!(alert.annotations["description"].ends_with('.'), "{name}");
        assert!(!alert.annotations["summary"].ends_with('.'), "{name}");
        assert!(alert.lasts.is_some(), "{name} has no `for`: a moment wakes nobody");
        assert!(name.starts_with("Kapso"), "{name}");
    }
}

#[test]
fn labels_that_a_text_names_are_in_the_alert() {
    for alert in files::alerts() {
        let query = Query::of(&alert.expr);
        let of_selectors = query.selectors.iter().filter_map(|selector| look_up(&selector.metric));
        let mut known: BTreeSet<_> = of_selectors.flat_map(|(_, labels)| labels).collect();
        known.extend(["job", "instance"].map(str::to_owned));
        for text in alert.annotations.values() {
            let named = text.split("$labels.").skip(1);
            for label in
                named.map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap())
            {
                assert!(known.contains(label), "{}: no label {label}", alert.name());
            }
        }
    }
}

#[test]
fn an_alert_leads_to_a_section_of_its_own_in_a_runbook() {
    for alert in files::alerts() {
        let url = &alert.annotations["runbook_url"];
        let (page, anchor) =
            url.strip_prefix(RUNBOOKS).unwrap_or_else(|| panic!("{url}")).split_once('#').unwrap();
        assert_eq!(anchor, alert.name().to_lowercase(), "the anchor that GitHub makes of the heading");
        let listed = files::text("docs/runbooks/README.md");
        let link = format!(
            "[{}]({}#{anchor}) | {} |",
            alert.name(),
            &page["docs/runbooks/".len()..],
            alert.labels["severity"]
        );
        assert!(listed.contains(&link), "docs/runbooks/README.md does not list {link}");
        let text = files::text(page);
        let (_, section) = text
            .split_once(&format!("\n## {}\n", alert.name()))
            .unwrap_or_else(|| panic!("{page} has no heading `## {}`", alert.name()));
        let section = section.split("\n## ").next().unwrap();
        for part in ["**Means**", "**Look**", "**Do**"] {
            assert!(section.contains(part), "{page}: {} lacks {part}", alert.name());
        }
    }
}

#[test]
fn a_runbook_has_no_section_for_an_alert_that_there_is_not() {
    let alerts: BTreeSet<_> = files::alerts().iter().map(|alert| alert.name().to_owned()).collect();
    for page in files::listed("docs/runbooks", ".md") {
        for heading in files::text(&page).lines().filter_map(|line| line.strip_prefix("## Kapso")) {
            assert!(alerts.contains(&format!("Kapso{heading}")), "{page}: Kapso{heading}");
        }
    }
}

#[test]
fn an_alert_is_tested_to_fire_with_its_texts_and_every_test_is_of_one() {
    let read = |directory| files::listed(directory, ".yml").into_iter().map(|path| files::text(&path));
    let tests: Vec<_> = read("alerts/tests").collect();
    let all = tests.concat();
    for alert in files::alerts() {
        let fires = all.split("alertname: ").any(|rest| {
            rest.lines().next() == Some(alert.name())
                && rest.lines().nth(1).is_some_and(|line| line.trim() == "exp_alerts:")
        });
        assert!(fires, "no test in alerts/tests lets {} fire", alert.name());
        assert!(all.contains(&alert.annotations["runbook_url"]), "{}", alert.name());
    }
    for text in tests.into_iter().chain(read("alerts/tests/native")) {
        assert!(
            text.contains("\ngroup_eval_order: "),
            "rules in a random order make a test that fails now and then"
        );
    }
}

#[test]
fn recorded_names_tell_level_metric_and_operations_and_are_used() {
    let rules = files::rules();
    let used: Vec<_> = rules.iter().map(|rule| Query::of(&rule.expr)).collect();
    for name in rules.iter().filter_map(|rule| rule.record.as_deref()) {
        let parts: Vec<_> = name.split(':').collect();
        let [level, metric, operations] = parts[..] else { panic!("{name} is not level:metric:operations") };
        assert!(["workflow", "api"].contains(&level) && metric.starts_with("kapso_"), "{name}");
        assert!(!operations.is_empty() && !metric.ends_with("_total"), "{name}");
        assert!(used.iter().any(|query| query.asks_for(name)), "nothing uses {name}");
    }
}

#[test]
fn no_range_is_shorter_than_four_sweeps() {
    for rule in files::rules() {
        for selector in Query::of(&rule.expr).selectors {
            let range = selector.range.unwrap_or(Duration::MAX);
            assert!(range >= SHORTEST_RANGE, "{}: {range:?} of {}", rule.name(), selector.metric);
        }
    }
}

#[test]
fn counters_are_compared_by_what_they_grew_by() {
    for rule in files::rules().iter().filter(|rule| rule.name() != "KapsoExporterSeriesDropped") {
        for selector in Query::of(&rule.expr).selectors {
            let increase = selector.function.as_deref() == Some("increase");
            assert!(!only_grows(&selector.metric) || increase, "{}: {}", rule.name(), selector.metric);
        }
    }
}

#[test]
fn every_histogram_is_asked_for_in_both_forms() {
    for rule in files::rules() {
        assert_eq!(in_one_form(&rule.expr), [""; 0], "{}", rule.name());
    }
}
