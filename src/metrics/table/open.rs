//! Open executions, and the conversations that they belong to.

use super::{Family, Kind, Note, RowsFrom, STEPS, Shown, Unit, number, oldest, open};
use crate::{
    metrics::OTHER,
    model::{ConversationStatus, Status, unix_seconds},
};

/// By name.
#[rustfmt::skip]
pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "kapso_conversation_last_event_timestamp_seconds",
        help: "Newest last_event_at of the conversation's open and recently finished executions (legacy: updated_at). Only with --metrics.max-conversations.",
        unit: Unit::UnixSeconds,
        labels: &["conversation_id"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Stream(|stream, rows| for conversation in &stream.conversations_shown {
            if let Some(at) = conversation.last_event_at {
                rows.gauge(&[&conversation.id], unix_seconds(at));
            }
        }),
        note: Note {
            from: "`last_event_at` of the conversation's executions (legacy: `updated_at`)",
            blind: "conversations beyond `--metrics.max-conversations`: `other` has their newest",
            series: "1 per shown conversation, and 1 for the others",
            example: "time() - kapso_conversation_last_event_timestamp_seconds",
        },
    },
    Family {
        name: "kapso_conversation_open_executions",
        help: "Open executions of the conversation now, by status. Only with --metrics.max-conversations; the conversations beyond it are added up under \"other\".",
        unit: Unit::Number,
        labels: &["conversation_id", "status"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Stream(|stream, rows| for conversation in &stream.conversations_shown {
            for (status, open) in Status::OPEN.iter().zip(conversation.open) {
                rows.gauge(&[&conversation.id, status.as_str()], number(open));
            }
        }),
        note: Note {
            from: "the executions of the conversation, as last listed",
            blind: "which of the others is meant: they are one series",
            series: "4 per shown conversation, and 4 for the others",
            example: "topk(5, sum by (conversation_id) (kapso_conversation_open_executions))",
        },
    },
    Family {
        name: "kapso_conversations",
        help: "Conversations that are watched, by their own status (status): active within --scrape.conversation-max-age, or with open executions. Unknown where only their executions are listed (source workflows).",
        unit: Unit::Number,
        labels: &["status"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Stream(|stream, rows| {
            for (status, count) in ConversationStatus::ALL.iter().zip(stream.conversations) {
                rows.gauge(&[status.as_str()], number(count));
            }
        }),
        note: Note {
            from: "`status` of the conversation, as last listed",
            blind: "conversations that are not watched: older than `--scrape.conversation-max-age` and without open executions",
            series: "3 per API",
            example: "kapso_conversations{status=\"active\"}",
        },
    },
    Family {
        name: "kapso_open_execution_idle_seconds",
        help: "Time since last_event_at of the executions that are open now. A snapshot, computed anew at least every 15 s: its buckets go up and down, so take no rate of them.",
        unit: Unit::Seconds,
        labels: &["status"],
        kind: Kind::Snapshot,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| for (status, sum) in open(workflow) {
            rows.snapshot(&[status], &sum.idle);
        }),
        note: Note {
            from: "`last_event_at` (legacy: `updated_at`) against Kapso's clock",
            blind: "which executions they are; events that Kapso does not tell",
            series: "68 per workflow",
            example: "sum by (workflow_name) (kapso_open_execution_idle_seconds_count{status=\"waiting\"} - ignoring (le) kapso_open_execution_idle_seconds_bucket{status=\"waiting\", le=~\"86400([.]0)?\"})",
        },
    },
    Family {
        name: STEPS,
        help: "Open executions by the step at which they stand (current_step.identifier, current_step.stepable_type). Platform only; steps beyond --metrics.max-series are added up under \"other\".",
        unit: Unit::Number,
        labels: &["status", "step", "step_type"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| for ((status, step), count) in &workflow.steps {
            let labels = step.as_ref().map_or([OTHER; 2], |step| [&step.identifier, &step.step_type]);
            rows.gauge(&[status.as_str(), labels[0], labels[1]], number(*count));
        }),
        note: Note {
            from: "`current_step.identifier` and `current_step.stepable_type`",
            blind: "legacy agents, and executions whose step the API leaves out: both labels are empty",
            series: "1 per step and status seen; a tenth of `--metrics.max-series` at most",
            example: "topk(10, sum by (workflow_name, step) (kapso_open_executions_at_step))",
        },
    },
    Family {
        name: "kapso_open_executions_oldest_event_timestamp_seconds",
        help: "Oldest last_event_at of the executions that are open now (legacy: updated_at).",
        unit: Unit::UnixSeconds,
        labels: &["status"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| oldest(workflow, rows, |sum| sum.oldest_event)),
        note: Note {
            from: "`last_event_at` (legacy: `updated_at`)",
            blind: "all but the oldest: one that was forgotten hides the others",
            series: "up to 4 per workflow",
            example: "time() - min by (workflow_name) (kapso_open_executions_oldest_event_timestamp_seconds{status=\"handoff\"})",
        },
    },
    Family {
        name: "kapso_open_executions_oldest_start_timestamp_seconds",
        help: "Oldest started_at of the executions that are open now.",
        unit: Unit::UnixSeconds,
        labels: &["status"],
        kind: Kind::Gauge,
        shown: Shown::WhileCurrent,
        rows: RowsFrom::Workflow(|workflow, rows| oldest(workflow, rows, |sum| sum.oldest_start)),
        note: Note {
            from: "`started_at`",
            blind: "all but the oldest",
            series: "up to 4 per workflow",
            example: "time() - min by (workflow_name) (kapso_open_executions_oldest_start_timestamp_seconds)",
        },
    },
];
