//! What was counted of executions, and how many there are, by workflow.

use super::{Family, Kind, Note, RowsFrom, Shown, Unit, number};
use crate::model::{Status, unix_seconds};

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_execution_detection_delay_seconds",
        help: "From an outcome's own timestamp (ended_at; for a handoff last_event_at) to the moment it was counted, in Kapso's clock.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| {
            rows.histogram_since(&[], &workflow.totals.detection_delay, workflow.since());
        }),
        note: Note {
            from: "`ended_at` (handoff: `last_event_at`) against Kapso's clock when it was counted",
            blind: "outcomes that were never seen",
            series: "20 per workflow",
            example: "histogram_quantile(0.95, sum by (le) (rate(kapso_execution_detection_delay_seconds_bucket[5m])))",
        },
    },
    Family {
        name: "kapso_execution_duration_seconds",
        help: "From started_at to ended_at, once for each execution that finished, by how it finished.",
        unit: Unit::Seconds,
        labels: &["status"],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| {
            let (totals, since) = (&workflow.totals, workflow.since());
            rows.histogram_since(&[Status::Ended.as_str()], &totals.ended_duration, since);
            rows.histogram_since(&[Status::Failed.as_str()], &totals.failed_duration, since);
        }),
        note: Note {
            from: "`started_at` and `ended_at` (legacy without an end time: `duration`)",
            blind: "how much of it was waiting for a customer; executions that are still open",
            series: "38 per workflow",
            example: "histogram_quantile(0.5, sum by (le, workflow_name) (rate(kapso_execution_duration_seconds_bucket{status=\"ended\"}[1h])))",
        },
    },
    Family {
        name: "kapso_execution_handoffs_total",
        help: "Transitions into handoff since watching began, by who handed off and by the class of the reason. One that begins and ends between two sweeps is only seen where a webhook tells it.",
        unit: Unit::Number,
        labels: &["reason", "source"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| for (kind, count) in workflow.handoffs() {
            let exemplar = workflow.totals.handoff_exemplars.get(&kind);
            let values = [kind.1.as_str(), kind.0.as_str()];
            rows.counter_since(&values, count, workflow.handoffs_since(&kind), exemplar);
        }),
        note: Note {
            from: "`status` going to `handoff`, at `last_event_at`; legacy: `handoff_reason` for the class of the reason; a webhook delivery: `handoff.source`, `handoff.reason`",
            blind: "without a webhook: a handoff that begins and ends between two sweeps; source and reason on the Platform API, whose lists do not tell them",
            series: "1 or 2 per workflow, 5 with a webhook, more with classes of reasons",
            example: "sum by (workflow_name) (increase(kapso_execution_handoffs_total[1h]))",
        },
    },
    Family {
        name: "kapso_execution_last_event_timestamp_seconds",
        help: "Newest last_event_at seen in any execution of the workflow (legacy: updated_at).",
        unit: Unit::UnixSeconds,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(at) = workflow.last_event_at {
            rows.gauge(&[], unix_seconds(at));
        }),
        note: Note {
            from: "`last_event_at` (legacy: `updated_at`)",
            blind: "workflows that have never run",
            series: "1 per workflow",
            example: "time() - max by (workflow_name) (kapso_execution_last_event_timestamp_seconds)",
        },
    },
    Family {
        name: "kapso_execution_time_to_handoff_seconds",
        help: "From started_at to the first handoff (its last_event_at), once for each execution that was handed off.",
        unit: Unit::Seconds,
        labels: &[],
        kind: Kind::Histogram,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| {
            rows.histogram_since(&[], &workflow.totals.time_to_handoff, workflow.since());
        }),
        note: Note {
            from: "`started_at` and the first handoff's `last_event_at`",
            blind: "second and later handoffs; handoffs between two sweeps",
            series: "19 per workflow",
            example: "histogram_quantile(0.5, sum by (le) (rate(kapso_execution_time_to_handoff_seconds_bucket[1h])))",
        },
    },
    Family {
        name: "kapso_executions",
        help: "Executions that are in this status now (status): open ones always, finished ones for --scrape.lookback after ended_at.",
        unit: Unit::Number,
        labels: &["status"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| {
            for (status, sum) in Status::ALL.iter().zip(&workflow.by_status) {
                rows.gauge(&[status.as_str()], number(sum.count));
            }
        }),
        note: Note {
            from: "`status`, as last listed",
            blind: "what opens and closes between two sweeps; finished ones older than the lookback",
            series: "6 per workflow",
            example: "sum by (workflow_name) (kapso_executions{status=\"handoff\"})",
        },
    },
    Family {
        name: "kapso_executions_finished_total",
        help: "Executions that ended or failed since watching began, each once, by how (ended_at, status).",
        unit: Unit::Number,
        labels: &["status"],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| {
            let (totals, since) = (&workflow.totals, workflow.since());
            rows.counter_since(&[Status::Ended.as_str()], totals.ended, since, None);
            rows.counter_since(&[Status::Failed.as_str()], totals.failed, since, totals.failed_exemplar.as_ref());
        }),
        note: Note {
            from: "`status` and `ended_at`",
            blind: "what finished before watching began; legacy agents know no failure",
            series: "2 per workflow",
            example: "sum by (workflow_name) (increase(kapso_executions_finished_total{status=\"failed\"}[1h]))",
        },
    },
    Family {
        name: "kapso_executions_started_total",
        help: "Executions that started since watching began, each once (started_at).",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Counter,
        shown: Shown::Always,
        rows: RowsFrom::Workflow(|workflow, rows| {
            rows.counter_since(&[], workflow.totals.started, workflow.since(), None);
        }),
        note: Note {
            from: "`started_at`",
            blind: "executions without a conversation, where `conversations` is the only source of the platform API; what started before watching began",
            series: "1 per workflow",
            example: "sum by (workflow_name) (rate(kapso_executions_started_total[5m])) * 60",
        },
    },
    Family {
        name: "kapso_workflow_reported_executions",
        help: "Executions of the workflow ever, as the API itself counts them (execution_count). Platform only.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(count) = workflow.execution_count {
            rows.gauge(&[], number(count));
        }),
        note: Note {
            from: "`execution_count` of `GET /workflows`",
            blind: "what it counts exactly: only Kapso knows; legacy agents",
            series: "1 per workflow",
            example: "kapso_workflow_reported_executions",
        },
    },
    Family {
        name: "kapso_workflow_unseen_executions",
        help: "Growth of execution_count since it was first read, less the starts that were counted since. Above 0 for longer than a few sweeps, the API counts executions that this exporter does not see. Platform only.",
        unit: Unit::Number,
        labels: &[],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(difference) = workflow.uncounted {
            rows.gauge(&[], f64::from(i32::try_from(difference).unwrap_or(i32::MAX)));
        }),
        note: Note {
            from: "`execution_count` of `GET /workflows` against the starts that were counted",
            blind: "which executions are missing; legacy agents",
            series: "1 per workflow",
            example: "kapso_workflow_unseen_executions > 10",
        },
    },
];
