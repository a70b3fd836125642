//! Each project in each API: requests, errors, and what is remembered.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, flag, number};
use crate::model::unix_seconds;

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_exporter_api_request_duration_seconds",
        help: "From sending a request to having its whole answer.",
        unit: Unit::Seconds,
        labels: &["endpoint"],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| for (endpoint, durations) in &stream.status.request_durations {
            rows.histogram(&[endpoint.as_str()], durations);
        }),
        note: Note {
            from: "the exporter's own clock",
            blind: "the wait for the budget before a request is sent",
            series: "14 per endpoint",
            example: "histogram_quantile(0.95, sum by (le, endpoint) (rate(kapso_exporter_api_request_duration_seconds_bucket[5m])))",
        },
    },
    Family {
        name: "kapso_exporter_api_requests_total",
        help: "Requests sent to Kapso, by endpoint and HTTP status (code); \"none\" where no answer came.",
        unit: Unit::Number,
        labels: &["endpoint", "code"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| for ((endpoint, code), count) in &stream.status.requests {
            let code = code.as_ref().map_or("none", |code| code.as_str());
            rows.counter(&[endpoint.as_str(), code], *count);
        }),
        note: Note {
            from: "the exporter's own requests",
            blind: "requests of others with the same key",
            series: "1 per endpoint and status seen",
            example: "sum by (code) (rate(kapso_exporter_api_requests_total{code!=\"200\"}[5m]))",
        },
    },
    Family {
        name: "kapso_exporter_data_stale",
        help: "1 if nothing was learned for longer than --scrape.max-staleness: the gauges of the current state are withdrawn until something is.",
        unit: Unit::Flag,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| rows.gauge(&[], flag(stream.stale))),
        note: Note {
            from: "when executions were last listed, or nothing was due, against `--scrape.max-staleness`",
            blind: "how old the data is: see `kapso_exporter_data_oldest_timestamp_seconds`",
            series: "1 per API",
            example: "kapso_exporter_data_stale == 1",
        },
    },
    Family {
        name: "kapso_exporter_doubtful_executions",
        help: "Executions that are no longer shown where they were. They count as before until it is confirmed that they were deleted, or they are shown again.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| rows.gauge(&[], number(stream.doubtful_executions))),
        note: Note {
            from: "lists that showed an execution and no longer do, and 404s",
            blind: "executions that no list ever showed",
            series: "1 per API",
            example: "kapso_exporter_doubtful_executions > 0",
        },
    },
    Family {
        name: "kapso_exporter_errors_total",
        help: "Requests that failed (each attempt), items that could not be read (decode), times in them that cannot be (time), and lists that end too early (truncated), by reason.",
        unit: Unit::Number,
        labels: &["reason"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| for (reason, count) in &stream.status.errors {
            rows.counter(&[reason.as_str()], *count);
        }),
        note: Note {
            from: "the status of an answer, what went wrong on the way, or what is wrong in it",
            blind: "whether a later attempt made it good: see the sweeps",
            series: "15 per API",
            example: "sum by (reason) (increase(kapso_exporter_errors_total[15m])) > 0",
        },
    },
    Family {
        name: "kapso_exporter_stale_answers_total",
        help: "Executions in answers that were older than what was known of them (last_event_at, status), as from a replica that lags behind. They change nothing.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| rows.counter(&[], stream.stale_answers)),
        note: Note {
            from: "`last_event_at` and `status` against what was known",
            blind: "answers that are as old and show no execution that moved since",
            series: "1 per API",
            example: "increase(kapso_exporter_stale_answers_total[15m]) > 0",
        },
    },
    Family {
        name: "kapso_exporter_state_conversations",
        help: "Conversations that the exporter remembers, deleted ones and those no longer watched included.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| rows.gauge(&[], number(stream.remembered_conversations))),
        note: Note {
            from: "the account",
            blind: "how much memory they take: see `process_resident_memory_bytes`",
            series: "1 per API",
            example: "kapso_exporter_state_conversations",
        },
    },
    Family {
        name: "kapso_exporter_state_executions",
        help: "Executions that the exporter remembers: open ones, and finished ones until --scrape.lookback has passed, for two hours at least.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| rows.gauge(&[], number(stream.remembered_executions))),
        note: Note {
            from: "the account",
            blind: "how much memory they take: see `process_resident_memory_bytes`",
            series: "1 per API",
            example: "kapso_exporter_state_executions",
        },
    },
    Family {
        name: "kapso_exporter_unknown_statuses_total",
        help: "Items in a status that this version does not know, each time one is listed, by its name; \"missing\" where there is none.",
        unit: Unit::Number,
        labels: &["status"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| for (status, count) in &stream.status.unknown_statuses {
            rows.counter(&[status], *count);
        }),
        note: Note {
            from: "`status` of executions",
            blind: "names that do not look like one, and more than 8: they are `other`",
            series: "1 to 9 per API",
            example: "sum by (status) (increase(kapso_exporter_unknown_statuses_total[1d])) > 0",
        },
    },
    Family {
        name: "kapso_exporter_watch_start_timestamp_seconds",
        help: "When watching began, in Kapso's clock: events with an older timestamp are history and not counted.",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| if let Some(at) = stream.watch_start {
            rows.gauge(&[], unix_seconds(at));
        }),
        note: Note {
            from: "`Date` of Kapso's answers when the exporter started",
            blind: "an API that has not answered yet: then there is no series",
            series: "1 per API",
            example: "time() - kapso_exporter_watch_start_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_up",
        help: "1 if the last sweep of every source of this API was complete, nothing has failed since, and no list is late by more than --scrape.max-staleness.",
        unit: Unit::Flag,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::Always,
        rows: RowsFrom::Stream(|stream, rows| if let Some(up) = stream.status.is_up() {
            rows.gauge(&[], flag(up));
        }),
        note: Note {
            from: "the result of the last sweep of each source, and what has failed or become late since",
            blind: "how much is missing: one list that fails is enough; an API that is absent has no series",
            series: "1 per API",
            example: "min by (project, api) (kapso_up) == 0",
        },
    },
];
