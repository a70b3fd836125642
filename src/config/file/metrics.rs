//! The section `metrics`.

use std::sync::Arc;

use crate::{
    config::{
        MetricsConfig, parse,
        yaml::{Mapping, Node, Walk, join},
    },
    ledger::Buckets,
};

pub const KEYS: [&str; 5] = ["max_series", "max_conversations", "exemplars", "native_histograms", "buckets"];
pub const BUCKETS: [&str; 4] =
    ["duration_seconds", "time_to_handoff_seconds", "detection_delay_seconds", "idle_seconds"];
/// The most bounds of a histogram.
pub const MOST_BOUNDS: usize = 50;

/// How much is published, and the bounds of the histograms.
pub fn metrics(walk: &mut Walk, node: Option<&Node>) -> (MetricsConfig, Buckets) {
    let section = node.and_then(|node| walk.mapping(node, "metrics", &KEYS)).unwrap_or(Mapping::EMPTY);
    let default = MetricsConfig::default();
    let metrics = MetricsConfig {
        max_series: value(walk, &section, "max_series", parse::max_series).unwrap_or(default.max_series),
        max_conversations: value(walk, &section, "max_conversations", parse::max_conversations)
            .unwrap_or(default.max_conversations),
        exemplars: value(walk, &section, "exemplars", parse::switch).unwrap_or(default.exemplars),
        native_histograms: value(walk, &section, "native_histograms", parse::native_histograms)
            .unwrap_or(default.native_histograms),
        instance: default.instance,
    };
    (metrics, buckets(walk, section.get("buckets")))
}

fn value<T>(
    walk: &mut Walk,
    section: &Mapping,
    key: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Option<T> {
    section.get(key).and_then(|node| walk.value(node, &join("metrics", key), parse))
}

fn buckets(walk: &mut Walk, node: Option<&Node>) -> Buckets {
    let path = "metrics.buckets";
    let section = node.and_then(|node| walk.mapping(node, path, &BUCKETS)).unwrap_or(Mapping::EMPTY);
    let mut bounds = |key: &str, default: Arc<[f64]>| match section.get(key) {
        Some(node) => bounds(walk, node, &join(path, key)).unwrap_or(default),
        None => default,
    };
    let default = Buckets::default();
    Buckets {
        duration: bounds("duration_seconds", default.duration),
        time_to_handoff: bounds("time_to_handoff_seconds", default.time_to_handoff),
        delay: bounds("detection_delay_seconds", default.delay),
        idle: bounds("idle_seconds", default.idle),
    }
}

fn bounds(walk: &mut Walk, node: &Node, path: &str) -> Option<Arc<[f64]>> {
    let number = |text: &str| {
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        number.ok_or_else(|| "expected a number of seconds above 0, such as 0.5 or 300".to_owned())
    };
    let problems = walk.problems.len();
    let bounds = walk.values(node, path, number);
    if walk.problems.len() > problems {
        return None;
    }
    if bounds.is_empty() || bounds.len() > MOST_BOUNDS || !bounds.is_sorted_by(|a, b| a < b) {
        let message =
            format!("expected 1 to {MOST_BOUNDS} numbers of seconds, each larger than the one before");
        walk.problem(node.place, path, message);
        return None;
    }
    Some(bounds.into())
}
