//! The same content in each format, without a warning and without a sample lost.

use std::collections::{BTreeMap, BTreeSet};

use kapso_exporter::{
    metrics::{Kind, RowsFrom, Shown, TABLE},
    simulator::Api,
};

use super::*;
use crate::{
    end_to_end::prometheus::{Labels, Prometheus},
    support::{Exposition, wait_until_equal},
};

const FLAGS: [&str; 4] = [
    "--scrape.interval=1s",
    "--scrape.source=workflows,agents",
    "--metrics.native-histograms=on",
    "--metrics.exemplars",
];
const FEATURES: &str = "exemplar-storage,native-histograms,created-timestamp-zero-ingestion";

/// Families that stay as they are while nothing happens: those of executions but for what the time alone changes.
fn at_rest() -> Vec<&'static str> {
    let is_at_rest = |family: &&&kapso_exporter::metrics::Family| {
        matches!(family.rows, RowsFrom::Workflow(_)) && family.kind != Kind::Snapshot
    };
    TABLE.iter().filter(is_at_rest).map(|family| family.name).collect()
}

fn histograms() -> Vec<&'static str> {
    let all = TABLE.iter().filter(|family| family.kind == Kind::Histogram && family.shown == Shown::Always);
    all.filter(|family| matches!(family.rows, RowsFrom::Workflow(_))).map(|family| family.name).collect()
}

/// Series of the families at rest, with bounds as numbers; the sums and counts of `native` ones instead of their series.
fn expected(exposition: &Exposition, native: bool) -> BTreeMap<(String, Labels), f64> {
    let (families, histograms) = (at_rest(), histograms());
    let base = |name: &str| {
        let ending = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
        ending.unwrap_or(name).to_owned()
    };
    let wanted = exposition
        .series()
        .filter(|(name, _, _)| families.contains(&base(name).as_str()) || families.contains(name));
    let wanted = wanted.filter(|(name, _, _)| {
        !(native && histograms.contains(&base(name).as_str()) && name.ends_with("_bucket"))
    });
    // To Prometheus, an empty label is none.
    let labels =
        |labels: &Labels| labels.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect();
    wanted.map(|(name, own, value)| ((name.to_owned(), labels(own)), value)).collect()
}

async fn arrived(prometheus: &Prometheus, job: &str, native: bool) -> BTreeMap<(String, Labels), f64> {
    let mut arrived = BTreeMap::new();
    let mut add = |name: Option<&str>, (mut labels, value): (Labels, f64)| {
        let own = labels.remove("__name__");
        let name = name.map_or_else(|| own.unwrap(), str::to_owned);
        labels.retain(|label, _| !["job", "instance"].contains(&label.as_str()));
        if let Some(le) = labels.get_mut("le").filter(|le| *le != "+Inf") {
            *le = le.parse::<f64>().unwrap().to_string();
        }
        assert!(arrived.insert((name, labels), value).is_none());
    };
    for family in at_rest() {
        // 2.53 that takes no native histograms makes zeros of them.
        let names = if histograms().contains(&family) { "(_bucket|_sum|_count)" } else { "" };
        let query = format!("{{job=\"{job}\",__name__=~\"{family}{names}\"}}");
        prometheus.query(&query).await.into_iter().for_each(|series| add(None, series));
        if native && histograms().contains(&family) {
            for part in ["sum", "count"] {
                let name = format!("{family}_{part}");
                let query = format!("histogram_{part}({family}{{job=\"{job}\"}})");
                prometheus.query(&query).await.into_iter().for_each(|series| add(Some(&name), series));
            }
        }
    }
    arrived
}

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn every_format_has_the_same_content_and_none_gives_rise_to_a_warning() {
    let version = Prometheus::version().await;
    let kapso = Kapso::start(quiet()).await;
    let exporter = kapso.watched(&FLAGS).await.ready().await;
    some_traffic(&kapso).await;
    wait_until_equal(&kapso.simulator, &exporter, &[Api::Platform, Api::Legacy]).await;

    let target = address(&exporter);
    for features in ["", FEATURES] {
        let jobs = jobs(version, target, features == FEATURES);
        let text: String = jobs.iter().map(|(_, job)| job.as_str()).collect();
        let prometheus = Prometheus::start(features, &text);
        prometheus.wait_for_scrapes(jobs.len(), 4).await;
        for (job, _) in &jobs {
            let native = features == FEATURES && ["default", "PrometheusProto"].contains(job);
            is_alike(&prometheus, job, &exporter, native).await;
        }
        assert_eq!(prometheus.failures().await, Vec::<String>::new(), "{version:?} {features:?}");
        if features == FEATURES {
            exemplars_are_executions(&prometheus, &kapso, version).await;
        }
        println!("{version:?} with {features:?}: {} ways of scraping", jobs.len());
    }
    if let Some(victoria) = Prometheus::victoria_metrics(&job("vmagent", target, "")).await {
        victoria.wait_for_scrapes(1, 4).await;
        is_alike(&victoria, "vmagent", &exporter, false).await;
    }
}

/// One for each format that this version can be told to ask for, and one that asks for what it likes.
fn jobs(version: (u32, u32), target: &str, takes_native: bool) -> Vec<(&'static str, String)> {
    let mut jobs = vec![("default", job("default", target, ""))];
    for protocol in ["PrometheusText0.0.4", "PrometheusText1.0.0", "OpenMetricsText1.0.0", "PrometheusProto"]
    {
        // They can be chosen from 2.49 on, this one from 3.0 on.
        let since = if protocol == "PrometheusText1.0.0" { (3, 0) } else { (2, 49) };
        if version < since {
            continue;
        }
        // Who takes no native histograms loses those that have that form too, unless this is said.
        let classic = match version {
            _ if protocol != "PrometheusProto" || takes_native => "",
            (2, _) => "scrape_classic_histograms: true, ",
            _ => "always_scrape_classic_histograms: true, ",
        };
        jobs.push((protocol, job(protocol, target, &format!("scrape_protocols: [{protocol}], {classic}"))));
    }
    jobs
}

async fn is_alike(prometheus: &Prometheus, job: &str, exporter: &Exporter, native: bool) {
    let expected = expected(&exporter.scrape().await, native);
    let arrived = arrived(prometheus, job, native).await;
    // VictoriaMetrics keeps fifteen digits.
    let is_same = |a: f64, b: f64| (a - b).abs() <= a.abs() * 1e-14;
    let is_missing = |(series, value): &(&(String, Labels), &f64)| {
        arrived.get(series).is_none_or(|arrived| !is_same(*arrived, **value))
    };
    let is_unknown = |(series, _): &(&(String, Labels), &f64)| !expected.contains_key(series);
    let missing = expected.iter().filter(is_missing);
    let different: Vec<_> = missing.chain(arrived.iter().filter(is_unknown)).collect();
    assert!(different.is_empty(), "{job}: {different:#?}");
    assert_eq!(prometheus.complaints(), Vec::<String>::new(), "{job}");
    println!("{job}: {} series are alike", expected.len());
}

/// Those of failures, handoffs, durations and detection delays.
async fn exemplars_are_executions(prometheus: &Prometheus, kapso: &Kapso, version: (u32, u32)) {
    let simulator = &kapso.simulator;
    let known: BTreeSet<_> =
        [Api::Platform, Api::Legacy].into_iter().flat_map(|api| simulator.execution_ids(api)).collect();
    let mut families = vec!["kapso_executions_finished_total", "kapso_execution_handoffs_total"];
    // Earlier ones take them of some native histograms, and not of others.
    if version >= (3, 0) {
        families.extend(histograms());
    }
    for family in families {
        let query = [("query", family), ("start", "0"), ("end", "9999999999")];
        let data = prometheus.get("/api/v1/query_exemplars", &query).await.unwrap();
        let exemplars: Vec<_> = data
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|series| series["exemplars"].as_array().unwrap())
            .map(|exemplar| exemplar["labels"]["execution_id"].as_str().unwrap().to_owned())
            .collect();
        assert!(!exemplars.is_empty(), "{family}");
        assert!(exemplars.iter().all(|id| known.contains(id)), "{family}: {exemplars:?}");
        println!("{family}: {} exemplars", exemplars.len());
    }
}
