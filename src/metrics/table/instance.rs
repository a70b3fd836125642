//! The exporter as a process, and the request budgets.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, number};
use crate::model::unix_seconds;

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_api_rate_limit",
        help: "Requests per minute that the API allows the key (X-RateLimit-Limit).",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Project(|budget, rows| if let Some(limit) = budget.limit {
            rows.gauge(&[], limit.into());
        }),
        note: Note {
            from: "`X-RateLimit-Limit`, the lowest that the answers of the last minute told",
            blind: "an API that does not send the header: then there is no series",
            series: "1 per project",
            example: "kapso_exporter_api_rate_limit",
        },
    },
    Family {
        name: "kapso_exporter_api_rate_limit_remaining",
        help: "Requests that the API still allowed the key in its minute, all users of the key together (X-RateLimit-Remaining).",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Project(|budget, rows| if let Some(remaining) = budget.remaining {
            rows.gauge(&[], remaining.into());
        }),
        note: Note {
            from: "`X-RateLimit-Remaining` of the newest answer",
            blind: "what others have used since that answer",
            series: "1 per project",
            example: "kapso_exporter_api_rate_limit_remaining / kapso_exporter_api_rate_limit",
        },
    },
    Family {
        name: "kapso_exporter_api_request_budget",
        help: "Requests per minute that the exporter allows itself.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Project(|budget, rows| rows.gauge(&[], budget.per_minute.into())),
        note: Note {
            from: "`--scrape.requests-per-minute`, or half of the limit that the API reports; less where others leave less",
            blind: "pauses after a 429, during which nothing is sent",
            series: "1 per project",
            example: "sum by (project) (rate(kapso_exporter_api_requests_total[5m])) * 60 / on (project) kapso_exporter_api_request_budget",
        },
    },
    Family {
        name: "kapso_exporter_build_info",
        help: "Always 1; the version is in the label.",
        unit: Unit::None,
        labels: &["version"],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|_, rows| rows.gauge(&[env!("CARGO_PKG_VERSION")], 1.0)),
        note: Note {
            from: "the build",
            blind: "nothing else",
            series: "1",
            example: "count by (version) (kapso_exporter_build_info)",
        },
    },
    Family {
        name: "kapso_exporter_config_info",
        help: "Always 1; the label is a hash of the configuration file that is in force.",
        unit: Unit::None,
        labels: &["hash"],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(config) = &instance.config {
            rows.gauge(&[&config.hash], 1.0);
        }),
        note: Note {
            from: "the text of `--config.file`",
            blind: "keys and other secrets, which stand in files and variables of their own",
            series: "1 with `--config.file`, or none",
            example: "count(count by (hash) (kapso_exporter_config_info)) > 1",
        },
    },
    Family {
        name: "kapso_exporter_config_last_reload_success_timestamp_seconds",
        help: "When the configuration file that is in force was read.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(config) = &instance.config {
            rows.gauge(&[], unix_seconds(config.loaded));
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "attempts that were refused",
            series: "1 with `--config.file`, or none",
            example: "time() - kapso_exporter_config_last_reload_success_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_exporter_config_last_reload_successful",
        help: "1 if the configuration file was taken over when it was last read; 0 if it was refused, and the one before is in force.",
        unit: Unit::Flag,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(config) = &instance.config {
            rows.gauge(&[], f64::from(u8::from(config.successful)));
        }),
        note: Note {
            from: "the last reading: at the start, after SIGHUP, `POST /-/reload` or a change of a file",
            blind: "why: the log and the answer to `POST /-/reload` say it",
            series: "1 with `--config.file`, or none",
            example: "kapso_exporter_config_last_reload_successful == 0",
        },
    },
    Family {
        name: "kapso_exporter_log_lines_dropped_total",
        help: "Lines of the log that were dropped, because nobody read stderr in time or it was closed.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| rows.counter(&[], instance.log_lines_dropped)),
        note: Note {
            from: "the queue of 1,024 lines between the exporter and whoever reads its stderr",
            blind: "what the lines said; lines that were read and lost further on",
            series: "1",
            example: "increase(kapso_exporter_log_lines_dropped_total[15m]) > 0",
        },
    },
    Family {
        name: "kapso_exporter_series",
        help: "Series in this exposition.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| rows.gauge(&[], number(instance.series))),
        note: Note {
            from: "the exposition itself, as text",
            blind: "what Prometheus adds; the `_created` series of OpenMetrics",
            series: "1",
            example: "kapso_exporter_series",
        },
    },
    Family {
        name: "kapso_exporter_series_dropped_total",
        help: "Workflows (for steps: steps) that got no series of their own in this family because of --metrics.max-series; they are added up under \"other\".",
        unit: Unit::Number,
        labels: &["family"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| for (family, count) in &instance.series_dropped {
            rows.counter(&[*family], *count);
        }),
        note: Note {
            from: "the bound `--metrics.max-series`",
            blind: "which ones they are; it begins at their number, so take the value, not an increase",
            series: "1 per family of workflows and steps",
            example: "max(kapso_exporter_series_dropped_total) > 0",
        },
    },
    Family {
        name: "kapso_exporter_state_errors_total",
        help: "Failures to write state to --state.path. Counting goes on in memory, and each failure is followed by another try.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(state) = &instance.state {
            rows.counter(&[], state.errors);
        }),
        note: Note {
            from: "each write of the state's file",
            blind: "why: see the log; without `--state.path` there is no series",
            series: "1",
            example: "increase(kapso_exporter_state_errors_total[15m]) > 0",
        },
    },
    Family {
        name: "kapso_exporter_state_last_write_timestamp_seconds",
        help: "When state was last written to --state.path; 0 before the first time.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(state) = &instance.state {
            rows.gauge(&[], state.last_write.map_or(0.0, unix_seconds));
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "whether there was anything to write; without `--state.path` there is no series",
            series: "1",
            example: "time() - kapso_exporter_state_last_write_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_exporter_state_size_bytes",
        help: "Size of the file at --state.path.",
        unit: Unit::Bytes,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Instance(|instance, rows| if let Some(size) = instance.state.and_then(|state| state.size) {
            rows.gauge(&[], number(size));
        }),
        note: Note {
            from: "the file of `--state.path`",
            blind: "how much of it is in use; without `--state.path` there is no series",
            series: "1",
            example: "kapso_exporter_state_size_bytes",
        },
    },
    Family {
        name: "kapso_project_info",
        help: "Always 1: the projects that are watched.",
        unit: Unit::None,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Project(|_, rows| rows.gauge(&[], 1.0)),
        note: Note {
            from: "the configuration",
            blind: "whether anything is learned of them: that is `kapso_up`",
            series: "1 per project",
            example: "count(kapso_project_info)",
        },
    },
];
