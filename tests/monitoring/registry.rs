//! What the program publishes: a scrape of the demo, which shows every family.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};

use kapso_exporter::{
    clock::Clock,
    metrics::{Bounds, InstanceMetrics, Renderer, ReplicaMetrics},
    project::Streams,
};

use crate::{
    files,
    promql::Query,
    support::{Exporter, Folder},
};

/// What Prometheus itself adds or makes.
const PROMETHEUS: &[(&str, &str)] = &[("up", "gauge"), ("ALERTS", "gauge")];

/// The one histogram that is a snapshot: its buckets are gauges, and it has no native form.
pub const SNAPSHOT: &str = "kapso_open_execution_idle_seconds";

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

/// A family by its name.
pub type Families = BTreeMap<String, Described>;

/// What the program publishes, as of one scrape.
pub fn published() -> &'static Families {
    static PUBLISHED: OnceLock<Families> = OnceLock::new();
    PUBLISHED.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(folder.path().join("a.key"), "a-key").unwrap();
        let webhook = "webhook: {secret: {file: a.key}}";
        let project =
            format!("{{name: a, api_key: {{file: a.key}}, platform_url: 'http://127.0.0.1:9', {webhook}}}");
        std::fs::write(&file, format!("projects: [{project}]")).unwrap();
        // The two, and a replica, make every family appear.
        let demo = ["--demo", &format!("--state.path={}", folder.path().join("state").display())];
        let tls = Folder::new();
        let web = tls.flag("tls_server_config: {cert_file: server.crt, key_file: server.key}");
        let configured = [&format!("--config.file={}", file.display()), web.as_str()];
        let text = runtime.block_on(async {
            let configured = Exporter::start(&configured, &[]).await;
            let url = configured.url.replace("http:", "https:") + "/metrics";
            let configured = tls.client().get(url).send().await.unwrap().text().await.unwrap();
            let demo = Exporter::start(&demo, &[]).await.ready().await.get("/metrics").await.1;
            [&replica(), &configured, &demo].map(|text| Described::in_exposition(text)).concat()
        });
        text.into_iter().map(|family| (family.name.clone(), family)).collect()
    })
}

/// What a replica publishes of itself, without the database that a process would need for it.
fn replica() -> String {
    let replica = Arc::<ReplicaMetrics>::default();
    replica.holds(1);
    replica.configured(["a".into()].into());
    let instance = Arc::<InstanceMetrics>::default();
    instance.shares(replica);
    let renderer = Renderer::new(instance, Arc::<Streams>::default(), Bounds::default(), Clock::system());
    String::from_utf8(renderer.text().unwrap().to_vec()).unwrap()
}

/// Type and labels of a metric, recorded ones included; `None` if there is no such thing. A histogram's own name is
/// that of its native form, if it has one.
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
        let native = family.kind == "histogram" && name != SNAPSHOT;
        let kind = if native { "native histogram" } else { &family.kind };
        return Some((kind.to_owned(), family.labels.iter().cloned().collect()));
    }
    let (family, suffix) = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| Some((families.get(name.strip_suffix(suffix)?)?, *suffix)))?;
    let mut labels: Vec<_> = family.labels.iter().cloned().collect();
    labels.extend((suffix == "_bucket").then(|| "le".to_owned()));
    (family.kind == "histogram").then(|| (format!("histogram{suffix}"), labels))
}

/// Whether a metric tells something by what it grew by: a counter, or a histogram in any form.
pub fn only_grows(metric: &str) -> bool {
    let kind = look_up(metric).map(|(kind, _)| kind).unwrap_or_default();
    kind == "counter" || (kind.contains("histogram") && !metric.starts_with(SNAPSHOT))
}

/// What is wrong with the names in an expression: metrics that there are not, labels that they don't have.
pub fn unknown_names(expr: &str) -> Vec<String> {
    let query = Query::of(expr);
    let of_prometheus = ["job", "instance", "exported_instance"];
    let (mut wrong, mut labels) = (Vec::new(), of_prometheus.map(str::to_owned).to_vec());
    for selector in &query.selectors {
        let Some((kind, own)) = look_up(&selector.metric) else {
            wrong.push(format!("there is no metric {}", selector.metric));
            continue;
        };
        wrong.extend((kind == "histogram").then(|| format!("{} has no native form", selector.metric)));
        let known = |label: &String| of_prometheus.contains(&label.as_str()) || own.contains(label);
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
    assert_eq!(unknown_names(SNAPSHOT), [format!("{SNAPSHOT} has no native form")]);
    assert_eq!(
        unknown_names("sum by (le) (kapso_execution_duration_seconds)"),
        ["nothing in it has the label le"]
    );
}

#[test]
fn families_are_read_from_an_exposition_with_odd_label_values() {
    let text = "# HELP a_bytes What it is.\n# TYPE a_bytes gauge\na_bytes{x=\"1,y=\\\"2\\\\\",z=\"}\"} 1\n\
        # HELP b_seconds Other.\n# TYPE b_seconds histogram\nb_seconds_bucket{le=\"+Inf\",x=\"\"} 1\nb_seconds_sum 1\n";
    let families = Described::in_exposition(text);
    let labels: Vec<Vec<_>> =
        families.iter().map(|f| f.labels.iter().map(String::as_str).collect()).collect();
    assert_eq!(labels, [vec!["x", "z"], vec!["x"]]);
    assert_eq!(families[1].kind, "histogram");
}
