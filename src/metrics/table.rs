//! The table of the families that are computed from the ledgers: a row for each. Adding a metric is adding a row.

use prometheus::proto::MetricType::{COUNTER, GAUGE, HISTOGRAM};

use super::{
    family::{Family, Rows, RowsFrom},
    view::Workflow,
};
use crate::{
    ledger::ByStatus,
    model::{ConversationStatus, Status, unix_seconds},
};

/// The family whose series are bounded one by one, not workflow by workflow.
pub(super) const STEPS: &str = "kapso_open_executions_at_step";

/// Every family that is computed from the ledgers, by name.
#[rustfmt::skip]
pub static TABLE: &[Family] = &[
    Family {
        name: "kapso_conversation_last_event_timestamp_seconds",
        help: "Newest last_event_at of the conversation's open and recently finished executions (legacy: updated_at). Only with --metrics.max-conversations.",
        labels: &["conversation_id"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Ledger(|view, rows| for conversation in &view.conversations_shown {
            if let Some(at) = conversation.last_event_at {
                rows.gauge(&[conversation.id], unix_seconds(at));
            }
        }),
    },
    Family {
        name: "kapso_conversation_open_executions",
        help: "Open executions of the conversation now, by status. Only with --metrics.max-conversations; the conversations beyond it are added up under \"other\".",
        labels: &["conversation_id", "status"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Ledger(|view, rows| for conversation in &view.conversations_shown {
            for (status, open) in Status::OPEN.iter().zip(conversation.open) {
                rows.gauge(&[conversation.id, status.as_str()], number(open));
            }
        }),
    },
    Family {
        name: "kapso_conversations",
        help: "Conversations that are watched, by their own status (status): active within --scrape.conversation-max-age, or with open executions. Unknown where only their executions are listed (source workflows).",
        labels: &["status"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Ledger(|view, rows| {
            for (status, count) in ConversationStatus::ALL.iter().zip(view.conversations) {
                rows.gauge(&[status.as_str()], number(count));
            }
        }),
    },
    Family {
        name: "kapso_execution_detection_delay_seconds",
        help: "From an outcome's own timestamp (ended_at; for a handoff last_event_at) to the moment it was counted, in Kapso's clock.",
        labels: &[],
        kind: HISTOGRAM,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| rows.histogram(&[], &workflow.totals.detection_delay)),
    },
    Family {
        name: "kapso_execution_duration_seconds",
        help: "From started_at to ended_at, once for each execution that finished, by how it finished.",
        labels: &["status"],
        kind: HISTOGRAM,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| {
            rows.histogram(&[Status::Ended.as_str()], &workflow.totals.ended_duration);
            rows.histogram(&[Status::Failed.as_str()], &workflow.totals.failed_duration);
        }),
    },
    Family {
        name: "kapso_execution_handoffs_total",
        help: "Transitions into handoff since watching began, by who handed off and by the class of the reason. One that begins and ends between two sweeps cannot be seen.",
        labels: &["reason", "source"],
        kind: COUNTER,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| for ((source, reason), count) in workflow.handoffs() {
            rows.counter(&[reason.as_str(), source.as_str()], count);
        }),
    },
    Family {
        name: "kapso_execution_last_event_timestamp_seconds",
        help: "Newest last_event_at seen in any execution of the workflow (legacy: updated_at).",
        labels: &[],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(at) = workflow.last_event_at {
            rows.gauge(&[], unix_seconds(at));
        }),
    },
    Family {
        name: "kapso_execution_time_to_handoff_seconds",
        help: "From started_at to the first handoff (its last_event_at), once for each execution that was handed off.",
        labels: &[],
        kind: HISTOGRAM,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| rows.histogram(&[], &workflow.totals.time_to_handoff)),
    },
    Family {
        name: "kapso_executions",
        help: "Executions that are in this status now (status): open ones always, finished ones for --scrape.lookback after ended_at.",
        labels: &["status"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| {
            for (status, sum) in Status::ALL.iter().zip(&*workflow.by_status) {
                rows.gauge(&[status.as_str()], number(sum.count));
            }
        }),
    },
    Family {
        name: "kapso_executions_finished_total",
        help: "Executions that ended or failed since watching began, each once, by how (ended_at, status).",
        labels: &["status"],
        kind: COUNTER,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| {
            rows.counter(&[Status::Ended.as_str()], workflow.totals.ended);
            rows.counter(&[Status::Failed.as_str()], workflow.totals.failed);
        }),
    },
    Family {
        name: "kapso_executions_started_total",
        help: "Executions that started since watching began, each once (started_at).",
        labels: &[],
        kind: COUNTER,
        current: false,
        rows: RowsFrom::Workflow(|workflow, rows| rows.counter(&[], workflow.totals.started)),
    },
    Family {
        name: "kapso_exporter_data_stale",
        help: "1 if nothing was learned for longer than --scrape.max-staleness: the gauges of the current state are withdrawn until something is.",
        labels: &[],
        kind: GAUGE,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| rows.gauge(&[], f64::from(u8::from(view.stale)))),
    },
    Family {
        name: "kapso_exporter_doubtful_executions",
        help: "Executions that are no longer shown where they were. They count as before until it is confirmed that they were deleted, or they are shown again.",
        labels: &[],
        kind: GAUGE,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| rows.gauge(&[], number(view.doubtful_executions as u64))),
    },
    Family {
        name: "kapso_exporter_stale_answers_total",
        help: "Executions in answers that were older than what was known of them (last_event_at, status), as from a replica that lags behind. They change nothing.",
        labels: &[],
        kind: COUNTER,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| rows.counter(&[], view.stale_answers)),
    },
    Family {
        name: "kapso_exporter_state_conversations",
        help: "Conversations that the exporter remembers, deleted ones and those no longer watched included.",
        labels: &[],
        kind: GAUGE,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| rows.gauge(&[], number(view.remembered_conversations as u64))),
    },
    Family {
        name: "kapso_exporter_state_executions",
        help: "Executions that the exporter remembers: open ones, and finished ones until --scrape.lookback has passed, for two hours at least.",
        labels: &[],
        kind: GAUGE,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| rows.gauge(&[], number(view.remembered_executions as u64))),
    },
    Family {
        name: "kapso_exporter_watch_start_timestamp_seconds",
        help: "When watching began, in Kapso's clock: events with an older timestamp are history and not counted.",
        labels: &[],
        kind: GAUGE,
        current: false,
        rows: RowsFrom::Ledger(|view, rows| if let Some(at) = view.watch_start {
            rows.gauge(&[], unix_seconds(at));
        }),
    },
    Family {
        name: "kapso_open_execution_idle_seconds",
        help: "Time since last_event_at of the executions that are open now. A snapshot, computed anew at least every 15 s: its buckets go up and down, so take no rate of them.",
        labels: &["status"],
        kind: HISTOGRAM,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| for (status, sum) in open(workflow) {
            rows.histogram(&[status], &sum.idle);
        }),
    },
    Family {
        name: STEPS,
        help: "Open executions by the step at which they stand (current_step.identifier, current_step.stepable_type). Platform only; steps beyond --metrics.max-series are added up under \"other\".",
        labels: &["status", "step", "step_type"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| for (step, count) in &workflow.steps {
            rows.gauge(&[step.status.as_str(), step.identifier, step.step_type], number(*count));
        }),
    },
    Family {
        name: "kapso_open_executions_oldest_event_timestamp_seconds",
        help: "Oldest last_event_at of the executions that are open now (legacy: updated_at).",
        labels: &["status"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| oldest(workflow, rows, |sum| sum.oldest_event)),
    },
    Family {
        name: "kapso_open_executions_oldest_start_timestamp_seconds",
        help: "Oldest started_at of the executions that are open now.",
        labels: &["status"],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| oldest(workflow, rows, |sum| sum.oldest_start)),
    },
    Family {
        name: "kapso_workflow_reported_executions",
        help: "Executions of the workflow ever, as the API itself counts them (execution_count). Platform only.",
        labels: &[],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(count) = workflow.execution_count {
            rows.gauge(&[], number(count));
        }),
    },
    Family {
        name: "kapso_workflow_unseen_executions",
        help: "Growth of execution_count since it was first read, less the starts that were counted since. Above 0 for longer than a few sweeps, the API counts executions that this exporter does not see. Platform only.",
        labels: &[],
        kind: GAUGE,
        current: true,
        rows: RowsFrom::Workflow(|workflow, rows| if let Some(difference) = workflow.uncounted {
            rows.gauge(&[], f64::from(i32::try_from(difference).unwrap_or(i32::MAX)));
        }),
    },
];

/// Series that one workflow has at most, its steps aside.
pub(super) fn series_per_workflow() -> usize {
    let buckets = crate::ledger::Buckets::default();
    let histogram = |bounds: &[f64]| bounds.len() + 3;
    let histograms = 3 * histogram(&buckets.duration) + histogram(&buckets.delay);
    let per_open_status = 2 + histogram(&buckets.idle);
    let handoffs = 6;
    histograms + Status::OPEN.len() * per_open_status + Status::ALL.len() + handoffs + 6
}

fn open<'a>(workflow: &'a Workflow<'_>) -> impl Iterator<Item = (&'static str, &'a ByStatus)> {
    let all = Status::ALL.iter().zip(&*workflow.by_status);
    all.filter(|(status, _)| status.is_open()).map(|(status, sum)| (status.as_str(), sum))
}

fn oldest(workflow: &Workflow<'_>, rows: &mut Rows<'_>, of: fn(&ByStatus) -> Option<jiff::Timestamp>) {
    for (status, sum) in open(workflow) {
        if let Some(at) = of(sum) {
            rows.gauge(&[status], unix_seconds(at));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn number(count: u64) -> f64 {
    count as f64
}
