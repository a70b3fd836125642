//! Each project that has a webhook: its deliveries, and how they compare with polling.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit};

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_webhook_deliveries_total",
        help: "Webhook deliveries, by event and result: accepted, duplicate (told before), unauthorized (the signature), malformed, ignored (nothing of an execution that is watched) or overloaded (to be sent again). Each event of a batch counts.",
        unit: Unit::Number,
        labels: &["event", "result"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Webhook(|stream, rows| for ((event, result), count) in &stream.status.deliveries {
            rows.counter(&[event.as_str(), result.as_str()], *count);
        }),
        note: Note {
            from: "`X-Webhook-Event`, or `event` in the body, and the exporter's answer",
            blind: "deliveries that never reached the exporter: see `kapso_exporter_webhook_missed_total`",
            series: "12 to 16 per project with a webhook",
            example: "sum by (project, result) (rate(kapso_exporter_webhook_deliveries_total[5m]))",
        },
    },
    Family {
        name: "kapso_exporter_webhook_lead_seconds",
        help: "How long before polling a webhook delivery told an outcome: from the delivery to the first list that shows it, or would if it were still open.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Webhook(|stream, rows| if let Some(comparison) = &stream.comparison {
            rows.histogram(&[], &comparison.lead);
        }),
        note: Note {
            from: "when deliveries came, and when lists were asked for",
            blind: "outcomes that no list showed within an hour, and those that polling found first",
            series: "13 per project with a webhook",
            example: "histogram_quantile(0.5, sum by (le, project) (rate(kapso_exporter_webhook_lead_seconds_bucket[1h])))",
        },
    },
    Family {
        name: "kapso_exporter_webhook_missed_total",
        help: "Handoffs and failures that polling found and no webhook delivery told within three minutes, when Kapso's retries have ended.",
        unit: Unit::Number,
        labels: &["event"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Webhook(|stream, rows| if let Some(comparison) = &stream.comparison {
            for (event, count) in comparison.missed {
                rows.counter(&[event.as_str()], count);
            }
        }),
        note: Note {
            from: "outcomes that were counted because a list showed them",
            blind: "handoffs that began and ended between two looks of polling and were not told either",
            series: "2 per project with a webhook",
            example: "increase(kapso_exporter_webhook_missed_total[30m]) > 0",
        },
    },
];
