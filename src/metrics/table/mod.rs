//! The table of the metrics: a row for each family, with all that there is to say about it. To add a metric is to add a
//! row.

mod executions;
mod instance;
mod open;
mod process;
mod replicas;
mod streams;
mod sweeps;
mod web;
mod webhooks;

use std::sync::LazyLock;

use super::{
    Rows,
    family::{Family, Kind, Note, RowsFrom, Shown, Unit},
    sink::{SeriesCount, Sink},
    starts::SeriesStarts,
    workflow::Workflow,
};
use crate::{
    ledger::ByStatus,
    model::{NativeHistograms, Status},
};

/// The family whose series are bounded one by one, not workflow by workflow.
pub(super) const STEPS: &str = "kapso_open_executions_at_step";

/// Every family, by name.
pub static TABLE: LazyLock<Vec<&'static Family>> = LazyLock::new(|| {
    let parts = [
        executions::FAMILIES,
        instance::FAMILIES,
        open::FAMILIES,
        process::FAMILIES,
        replicas::FAMILIES,
        streams::FAMILIES,
        sweeps::FAMILIES,
        web::FAMILIES,
        webhooks::FAMILIES,
    ];
    let mut table: Vec<_> = parts.into_iter().flatten().collect();
    table.sort_unstable_by_key(|family| family.name);
    table
});

/// The families that have series of each workflow.
pub(super) fn of_workflows() -> impl Iterator<Item = &'static Family> {
    TABLE.iter().copied().filter(|family| matches!(family.rows, RowsFrom::Workflow(_)))
}

/// Series that one workflow has at most, its steps aside.
pub(super) fn series_per_workflow(native: NativeHistograms) -> usize {
    let (largest, starts) = (Workflow::largest(), SeriesStarts::default());
    let mut count = SeriesCount::new(native);
    for family in of_workflows().filter(|family| family.name != STEPS) {
        count.begin(family);
        if let RowsFrom::Workflow(rows) = family.rows {
            rows(&largest, &mut Rows::new(family, &[], &starts, &mut count));
        }
    }
    count.series
}

fn open(workflow: &Workflow) -> impl Iterator<Item = (&'static str, &ByStatus)> {
    let all = Status::ALL.iter().zip(&workflow.by_status);
    all.filter(|(status, _)| status.is_open()).map(|(status, sum)| (status.as_str(), sum))
}

fn oldest(workflow: &Workflow, rows: &mut Rows<'_>, of: fn(&ByStatus) -> Option<jiff::Timestamp>) {
    for (status, sum) in open(workflow) {
        if let Some(at) = of(sum) {
            rows.gauge(&[status], crate::model::unix_seconds(at));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}
