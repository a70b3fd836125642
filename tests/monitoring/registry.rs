//! What the program publishes: a scrape of the demo, which shows every family.

use std::{collections::BTreeMap, sync::OnceLock};

use kapso_exporter::metrics::Described;

use crate::{files, promql::Query, support::Exporter};

/// What Prometheus itself adds or makes.
const PROMETHEUS: &[(&str, &str)] = &[("up", "gauge"), ("ALERTS", "gauge")];

/// A family by its name.
pub type Families = BTreeMap<String, Described>;

/// What the program publishes, as of one scrape.
pub fn published() -> &'static Families {
    static PUBLISHED: OnceLock<Families> = OnceLock::new();
    PUBLISHED.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // What makes every family appear.
        let flags = ["--demo", &format!("--state.path={}", folder.path().join("state").display())];
        let text = runtime
            .block_on(async { Exporter::start(&flags, &[]).await.ready().await.get("/metrics").await.1 });
        Described::in_exposition(&text).into_iter().map(|family| (family.name.clone(), family)).collect()
    })
}

/// Type and labels of a metric, recorded ones included; `None` if there is no such thing.
pub fn look_up(name: &str) -> Option<(String, Vec<String>)> {
    let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
    if let Some((_, kind)) = PROMETHEUS.iter().find(|(known, _)| *known == name) {
        return Some(((*kind).to_owned(), owned(&["alertname", "alertstate"])));
    }
    if let Some(rule) = files::rules().iter().find(|rule| rule.record.as_deref() == Some(name)) {
        let level = name.split(':').next().unwrap();
        let labels: &[&str] = match level {
            "workflow" => &["project", "api", "workflow_id", "workflow_name"],
            "api" => &["project", "api"],
            _ => panic!("{name}: the level is neither workflow nor api"),
        };
        let _ = Query::of(&rule.expr);
        return Some(("recorded".to_owned(), owned(labels)));
    }
    let families = published();
    if let Some(family) = families.get(name) {
        return Some((family.kind.clone(), family.labels.iter().cloned().collect()));
    }
    let (family, suffix) = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| Some((families.get(name.strip_suffix(suffix)?)?, *suffix)))?;
    let mut labels: Vec<_> = family.labels.iter().cloned().collect();
    labels.extend((suffix == "_bucket").then(|| "le".to_owned()));
    (family.kind == "histogram").then(|| (format!("histogram{suffix}"), labels))
}

/// What is wrong with the names in an expression: metrics that there are not, labels that they don't have.
pub fn unknown_names(expr: &str) -> Vec<String> {
    let query = Query::of(expr);
    let (mut wrong, mut labels) = (Vec::new(), vec!["job".to_owned(), "instance".to_owned()]);
    for selector in &query.selectors {
        let Some((_, own)) = look_up(&selector.metric) else {
            wrong.push(format!("there is no metric {}", selector.metric));
            continue;
        };
        let known = |label: &String| labels[..2].contains(label) || own.contains(label);
        let unknown = selector.matchers.iter().map(|(label, ..)| label).filter(|label| !known(label));
        wrong.extend(unknown.map(|label| format!("{} has no label {label}", selector.metric)));
        // Prometheus 3 stores le="1.0", Prometheus 2 le="1".
        let exact = selector.matchers.iter().any(|(label, operator, _)| label == "le" && operator == "=");
        wrong.extend(
            exact.then(|| format!("{}: le is not matched as every Prometheus writes it", selector.metric)),
        );
        labels.extend(own);
    }
    let unknown = query.labels.iter().filter(|label| !labels.contains(label));
    wrong.extend(unknown.map(|label| format!("nothing in it has the label {label}")));
    wrong
}

#[test]
fn an_unknown_metric_or_label_is_noticed() {
    let wrong =
        unknown_names(r#"sum by (colour) (rate(kapso_executions_started_total{size="x"}[5m])) + kapso_no"#);
    let expected = [
        "kapso_executions_started_total has no label size",
        "there is no metric kapso_no",
        "nothing in it has the label colour",
    ];
    assert_eq!(wrong, expected);
    assert_eq!(
        unknown_names(r#"sum by (le) (kapso_execution_duration_seconds_bucket{le=~"1([.]0)?"})"#),
        [""; 0]
    );
    assert_eq!(unknown_names("kapso_executions_bucket"), ["there is no metric kapso_executions_bucket"]);
}
