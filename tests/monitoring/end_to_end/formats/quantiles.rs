//! Native histograms: what they tell of quantiles, beside what classic buckets do.

use jiff::SignedDuration;
use kapso_exporter::simulator::Api;

use super::*;
use crate::end_to_end::prometheus::Prometheus;

/// Durations in seconds: from a second to a day, most of them some minutes.
fn durations() -> Vec<f64> {
    // The halves of two regular grids, whose product spreads like a normal distribution would.
    let grid = |number: u32| {
        f64::from(number % 23) / 23.0 + f64::from(number % 29) / 29.0 + f64::from(number % 31) / 31.0
    };
    (0..2000).map(|number| (grid(number * 7 + 3) * 3.8).exp().round().max(1.0)).collect()
}

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn a_quantile_of_a_native_histogram_is_within_five_percent_of_the_true_one() {
    let kapso = Kapso::start(quiet()).await;
    let simulator = &kapso.simulator;
    let workflow = simulator.workflow_ids(Api::Platform).remove(0);
    let (mut durations, now) = (durations(), simulator.now());
    let start = |duration: &f64| {
        let at = now - SignedDuration::from_secs_f64(*duration);
        simulator.start_at(Api::Platform, &workflow, None, at).unwrap()
    };
    let open: Vec<_> = durations.iter().map(start).collect();
    let flags = ["--scrape.interval=1s", "--scrape.source=workflows", "--metrics.native-histograms=on"];
    let exporter = kapso.watched(&flags).await.ready().await;
    let native = Prometheus::start("native-histograms", &job("kapso", address(&exporter), ""));
    let classic = Prometheus::start("", &job("kapso", address(&exporter), ""));
    native.wait_for_scrapes(1, 2).await;
    classic.wait_for_scrapes(1, 2).await;
    let lasted = |duration: &mut f64| *duration += simulator.now().duration_since(now).as_secs_f64();
    durations.iter_mut().for_each(lasted);
    for id in &open {
        simulator.transition(id, "ended").unwrap();
    }
    let count = durations.len() as f64;
    crate::support::wait_for("all durations", async || {
        native.value("sum(histogram_count(kapso_execution_duration_seconds{status=\"ended\"}))").await
            == Some(count)
            && classic.value("sum(kapso_execution_duration_seconds_count{status=\"ended\"})").await
                == Some(count)
    })
    .await;
    durations.sort_by(f64::total_cmp);
    for quantile in [0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
        #[allow(clippy::cast_sign_loss, reason = "a rank")]
        let truth = durations[(quantile * count) as usize - 1];
        let ask = |metric: &str, by: &str| {
            format!("histogram_quantile({quantile}, sum{by} (increase({metric}{{status=\"ended\"}}[1h])))")
        };
        let of_native = native.value(&ask("kapso_execution_duration_seconds", "")).await.unwrap();
        let of_classic =
            classic.value(&ask("kapso_execution_duration_seconds_bucket", " by (le)")).await.unwrap();
        let off = |told: f64| (told / truth - 1.0) * 100.0;
        println!("{quantile}: {truth} s; native {:+.1} %, classic {:+.1} %", off(of_native), off(of_classic));
        assert!(off(of_native).abs() <= 5.0, "{quantile}: {of_native}, not {truth}");
    }
}
