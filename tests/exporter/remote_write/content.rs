//! What arrives: the tally's numbers, as series of the exposition, with exemplars and native histograms.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    remote_write::message::histogram::Count,
    simulator::{Api, Scenario},
};

use super::{
    business, push,
    receiver::{Content, Receiver},
};
use crate::support::{Exposition, Finished, Kapso, differences};

const BOTH: &str = "--scrape.source=conversations,agents";
const JOB: &str = "kapso-exporter";

/// What `once` sends of it, with these flags.
async fn pushed(kapso: &Kapso, args: &[&str]) -> Content {
    let receiver = Receiver::start().await;
    let Finished { code, stderr, .. } = push(kapso, &receiver, &[&[BOTH], args].concat()).await;
    assert_eq!(code, Some(0), "{stderr}");
    Content::of(&receiver.received())
}

/// Series as a scrape would have them: no label without a value, and bounds as numbers.
fn series(exposition: &Exposition) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
    let normal = |(name, labels, value): (&str, &BTreeMap<String, String>, f64)| {
        let mut labels = labels.clone();
        labels.retain(|name, value| name != "job" && !value.is_empty());
        if let Some(bound) = labels.get_mut("le") {
            *bound = bound.parse::<f64>().unwrap().to_string();
        }
        ((name.to_owned(), labels), value)
    };
    exposition.series().map(normal).collect()
}

#[tokio::test]
async fn what_arrives_is_the_tally_and_the_exposition_of_the_same_business() {
    let kapso = Kapso::start(Scenario { busy_conversation: 130, ..business() }).await;
    let sent = pushed(&kapso, &[]).await;
    let apis = [Api::Platform, Api::Legacy];
    assert_eq!(differences(&kapso.simulator, &sent.exposition, &apis), Vec::<String>::new());

    let args = ["--scrape.requests-per-minute=100000", "--scrape.conversation-max-age=3650d", BOTH];
    let written = kapso.run("once", &args).await.stdout;
    let (sent, written) = (series(&sent.exposition), series(&Exposition::parse(&written)));
    let names = |series: &BTreeMap<_, f64>| series.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&sent), names(&written));
    // What is of the business and does not move with the time.
    let is_still =
        |name: &str| name.starts_with("kapso_") && !name.contains("exporter") && !name.contains("idle");
    let still = |series: BTreeMap<(String, _), f64>| {
        series.into_iter().filter(|((name, _), _)| is_still(name)).collect::<BTreeMap<_, _>>()
    };
    let (sent, written) = (still(sent), still(written));
    assert!(sent.len() > 100 && sent.values().any(|value| *value > 1.0));
    assert_eq!(sent, written);
}

#[tokio::test]
async fn all_samples_have_one_time_which_is_now() {
    let kapso = Kapso::start(business()).await;
    let before = Timestamp::now();
    let sent = pushed(&kapso, &["--metrics.native-histograms=on"]).await;
    let times: BTreeSet<_> = sent.timestamps.iter().copied().collect();
    assert_eq!(times.len(), 1);
    let at = Timestamp::from_millisecond(*times.first().unwrap()).unwrap();
    assert!(at >= before - SignedDuration::from_secs(1) && at <= Timestamp::now(), "{at}");
}

#[tokio::test]
async fn every_series_has_the_labels_that_are_asked_for() {
    let kapso = Kapso::start(business()).await;
    for (args, expected) in [
        (&[][..], &[("job", Some(JOB)), ("instance", None)][..]),
        (
            &["--remote-write.label=instance=lambda,zone=eu", "--remote-write.label=job=cron"],
            &[("job", Some("cron")), ("instance", Some("lambda")), ("zone", Some("eu"))],
        ),
        (&["--remote-write.label=job="], &[("job", None)]),
    ] {
        let sent = pushed(&kapso, args).await;
        for (_, labels, _) in sent.exposition.series() {
            for (name, value) in expected {
                assert_eq!(labels.get(*name).map(String::as_str), *value, "{name} of {labels:?}");
            }
        }
    }
}

#[tokio::test]
async fn with_state_counters_go_on_from_run_to_run_and_exemplars_tell_which_execution() {
    let kapso = Kapso::start(business()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.path={}", folder.path().join("state.redb").display());
    let (workflow, conversation) = kapso.first(Api::Platform);
    let failed =
        ("kapso_executions_finished_total", [("workflow_id", workflow.as_str()), ("status", "failed")]);
    let mut ids = Vec::new();
    assert_eq!(pushed(&kapso, &[&state]).await.exposition.value(failed.0, &failed.1), Some(0.0));
    for count in [1.0, 2.0] {
        let id = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
        kapso.simulator.transition(&id, "failed").unwrap();
        let sent = pushed(&kapso, &[&state]).await;
        assert_eq!(sent.exposition.value(failed.0, &failed.1), Some(count));
        ids.push(id);
        let told: BTreeMap<_, _> =
            sent.exemplars.iter().map(|(name, _, exemplar)| (name.as_str(), exemplar)).collect();
        for name in ["kapso_executions_finished_total", "kapso_execution_duration_seconds_bucket"] {
            let exemplar = told[name];
            let [label] = &exemplar.labels[..] else { panic!("{exemplar:?}") };
            assert_eq!(label.name, "execution_id");
            assert!(ids.contains(&label.value), "{exemplar:?} of {ids:?}");
            let age = Timestamp::now().as_millisecond() - exemplar.timestamp;
            assert!((0..60_000).contains(&age), "{exemplar:?}");
        }
    }
    let without = pushed(&kapso, &[&state, "--metrics.exemplars=false"]).await;
    assert_eq!(without.exposition.value(failed.0, &failed.1), Some(2.0));
    assert!(without.exemplars.is_empty());
}

#[tokio::test]
async fn native_histograms_are_sent_beside_the_classic_ones_or_in_their_place() {
    let kapso = Kapso::start(business()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state.path={}", folder.path().join("state.redb").display());
    let (workflow, conversation) = kapso.first(Api::Platform);
    assert!(pushed(&kapso, &[&state]).await.histograms.is_empty());
    let id = kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap();
    kapso.simulator.transition(&id, "failed").unwrap();

    let duration = "kapso_execution_duration_seconds";
    let both = pushed(&kapso, &[&state, "--metrics.native-histograms=on"]).await;
    let native = both.histograms.iter().filter(|(name, ..)| name == duration);
    let counts: BTreeMap<_, _> = native.map(|(_, labels, histogram)| (labels, histogram)).collect();
    for (labels, histogram) in &counts {
        let own: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let classic = both.exposition.value(&format!("{duration}_count"), &own);
        let Some(Count::CountInt(count)) = histogram.count else { panic!("{histogram:?}") };
        assert_eq!(Some(count as f64), classic, "{labels:?}");
        assert_eq!(Some(histogram.sum), both.exposition.value(&format!("{duration}_sum"), &own));
    }
    let counted = counts.values().filter(|histogram| histogram.count == Some(Count::CountInt(1)));
    assert_eq!(counted.count(), 1);

    let only = pushed(&kapso, &[&state, "--metrics.native-histograms=only"]).await;
    let names = |content: &Content| {
        let named = content.histograms.iter().map(|(name, labels, _)| (name.clone(), labels.clone()));
        named.collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&only), names(&both));
    assert!(
        !only.exposition.has(duration, &[]) && only.exposition.has("kapso_open_execution_idle_seconds", &[])
    );
}
