//! How the sweeps of each source go.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, number};
use crate::model::unix_seconds;

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_data_oldest_timestamp_seconds",
        help: "When the stalest list of open executions was asked for, in Kapso's clock.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| if let Some(at) = source.backlog.and_then(|backlog| backlog.oldest_list) {
            rows.gauge(&[], unix_seconds(at));
        }),
        note: Note {
            from: "when the list was asked for, in Kapso's clock",
            blind: "conversations at rest: see `kapso_exporter_round_seconds`; without open executions there is no series",
            series: "1 per source",
            example: "time() - kapso_exporter_data_oldest_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_exporter_failing_lists",
        help: "Lists of executions (of a conversation, or of a workflow) whose last reading failed while others did not. They are asked again less often.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| {
            rows.gauge(&[], number(source.backlog.map_or(0, |backlog| backlog.failing)));
        }),
        note: Note {
            from: "the last reading of each list of executions",
            blind: "which ones they are; the reason: see the errors",
            series: "1 per source",
            example: "kapso_exporter_failing_lists > 0",
        },
    },
    Family {
        name: "kapso_exporter_lateness_seconds",
        help: "By how much the most overdue list was late, when that was last looked at. Above the interval, the budget does not cover what is due.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| if let Some(backlog) = source.backlog {
            rows.gauge(&[], backlog.lateness);
        }),
        note: Note {
            from: "the plan of what to list next",
            blind: "conversations that are not due yet",
            series: "1 per source",
            example: "kapso_exporter_lateness_seconds > kapso_exporter_sweep_interval_seconds",
        },
    },
    Family {
        name: "kapso_exporter_lists_due",
        help: "Lists of executions (of a conversation, or of a workflow) that were due to be read, when that was last looked at.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| if let Some(backlog) = source.backlog {
            rows.gauge(&[], number(backlog.due));
        }),
        note: Note {
            from: "the plan of what to list next",
            blind: "how late they are: see the lateness",
            series: "1 per source",
            example: "kapso_exporter_lists_due",
        },
    },
    Family {
        name: "kapso_exporter_round_seconds",
        help: "How long it takes at this pace to look once at everything that is at rest: an execution that moves no activity may stay unseen for so long.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| if let Some(backlog) = source.backlog {
            rows.gauge(&[], backlog.full_scan_seconds);
        }),
        note: Note {
            from: "the number of conversations at rest, and the pace",
            blind: "conversations that are not watched",
            series: "1 per source",
            example: "kapso_exporter_round_seconds",
        },
    },
    Family {
        name: "kapso_exporter_sweep_duration_seconds",
        help: "How long the last sweep took.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| if let Some(last) = source.history.last() {
            rows.gauge(&[], last.duration.as_secs_f64());
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "a sweep that is under way",
            series: "1 per source",
            example: "kapso_exporter_sweep_duration_seconds > kapso_exporter_sweep_interval_seconds",
        },
    },
    Family {
        name: "kapso_exporter_sweep_interval_seconds",
        help: "From one sweep's start to the next, as configured.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| rows.gauge(&[], source.interval.as_secs_f64())),
        note: Note {
            from: "`--scrape.interval`",
            blind: "how often it is really done: see the sweeps",
            series: "1 per source",
            example: "kapso_exporter_sweep_interval_seconds",
        },
    },
    Family {
        name: "kapso_exporter_sweep_last_success_timestamp_seconds",
        help: "When the last complete sweep was done; 0 before the first one.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| rows.gauge(&[], source.last_success.map_or(0.0, unix_seconds))),
        note: Note {
            from: "the exporter's own clock",
            blind: "incomplete sweeps, which may have learned nearly everything",
            series: "1 per source",
            example: "time() - kapso_exporter_sweep_last_success_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_exporter_sweep_restarts_total",
        help: "Sweeps that showed no sign of life for minutes and were given up for a new one.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| rows.counter(&[], source.restarts)),
        note: Note {
            from: "the watchdog",
            blind: "what the sweep was stuck at: see the log",
            series: "1 per source",
            example: "increase(kapso_exporter_sweep_restarts_total[1h]) > 0",
        },
    },
    Family {
        name: "kapso_exporter_sweeps_total",
        help: "Sweeps, by result: complete, incomplete (something failed), absent (no such API).",
        unit: Unit::Number,
        labels: &["result"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Source(|source, rows| for (result, count) in &source.sweeps {
            rows.counter(&[result.as_str()], *count);
        }),
        note: Note {
            from: "the end of each sweep",
            blind: "a sweep that is under way",
            series: "3 per source",
            example: "increase(kapso_exporter_sweeps_total{result=\"incomplete\"}[15m])",
        },
    },
];
