//! Histograms are asked for in both forms. Prometheus that takes a native histogram drops the classic series of it;
//! others have only those.

use crate::{
    promql::{Query, Selector},
    registry::{SNAPSHOT, look_up},
};

/// What an expression asks for in one form only: each side of an `or` that asks for classic buckets stands before one
/// that asks the same of the native histogram, and the other way round.
pub fn in_one_form(expr: &str) -> Vec<String> {
    let query = Query::of(expr);
    query.selectors.iter().filter_map(lacks).collect()
}

fn lacks(selector: &Selector) -> Option<String> {
    let (kind, _) = look_up(&selector.metric)?;
    let at = selector.sides.iter().position(|side| *side == selector.side)?;
    let (before, from_here) = selector.sides.split_at(at);
    let complete = match kind.as_str() {
        _ if selector.metric.starts_with(SNAPSHOT) => true,
        "native histogram" => before.iter().any(|side| native_form(side) == selector.side),
        "histogram_bucket" => from_here[1..].contains(&native_form(&selector.side)),
        // `histogram_count` and `histogram_sum` are unknown to VictoriaMetrics: a counter tells the same.
        kind => !kind.starts_with("histogram_"),
    };
    (!complete).then(|| format!("{} is asked for in one form only: {}", selector.metric, selector.side))
}

/// The same, asked of native histograms: they have no label `le`.
fn native_form(side: &str) -> String {
    [
        ("_bucket{", "{"),
        ("_bucket[", "["),
        (" by (le) ", ""),
        ("(le, ", "("),
        (", le, ", ", "),
        (", le) ", ") "),
    ]
    .iter()
    .fold(side.to_owned(), |text, (classic, native)| text.replace(classic, native))
}

#[test]
fn a_form_that_is_absent_or_asks_something_else_is_noticed() {
    let form = |quantile: &str, by: &str, metric: &str, more: &str| {
        format!(
            "histogram_quantile({quantile}, sum{by}(rate(kapso_execution_duration_seconds{metric}[5m]{more})))"
        )
    };
    let classic = form("0.5", " by (le) ", "_bucket", "");
    let native = form("0.5", "", "", "");
    for both in [
        format!("{classic} or {native}"),
        format!("{classic} >= 0 or {native} >= 0"),
        format!("2 * ({classic} or {native}) or vector(0)"),
    ] {
        assert_eq!(in_one_form(&both), [""; 0], "{both}");
    }
    for (lacking, findings) in [
        (classic.clone(), 1),
        (native.clone(), 1),
        (format!("{native} or {classic}"), 2),
        (format!("{classic} and {native}"), 2),
        (format!("{classic} or {native} >= 0"), 2),
        (format!("{classic} or {}", form("0.9", "", "", "")), 2),
        (format!("{classic} or {}", form("0.5", " by (status) ", "", "")), 2),
        (format!("{classic} or {}", form("0.5", "", "{status=\"ended\"}", "")), 2),
        (format!("{classic} or {}", form("0.5", "", "", " offset 1h")), 2),
        ("increase(kapso_execution_duration_seconds_count[1h])".to_owned(), 1),
    ] {
        assert_eq!(in_one_form(&lacking).len(), findings, "{lacking}");
    }
    assert_eq!(in_one_form(&format!("{SNAPSHOT}_count - ignoring (le) {SNAPSHOT}_bucket")), [""; 0]);
}
