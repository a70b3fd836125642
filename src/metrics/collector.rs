//! The ledgers as a collector of the `prometheus` crate.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use prometheus::{
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    InstanceMetrics, Limits,
    family::{Family, RowsFrom},
    series_budget::{Refused, SeriesBudget},
    table::{STEPS, TABLE, series_per_workflow},
    view::View,
};
use crate::{
    kapso::{Budget, Client},
    ledger::{Current, Ledger},
};

/// A ledger that is published.
#[derive(Clone)]
pub struct Stream {
    /// The `project` label.
    pub project: String,
    /// What is published.
    pub ledger: Arc<Mutex<Ledger>>,
    /// Whose clock the ledger goes by, and which API it is of.
    pub client: Arc<Client>,
    /// The budget that it was read with.
    pub budget: Arc<Budget>,
    /// How much of it is published.
    pub limits: Limits,
}

/// Collects the families of [`TABLE`] over all ledgers.
pub(super) struct Ledgers {
    streams: Vec<(Stream, Mutex<SeriesBudget>)>,
    exporter: Arc<InstanceMetrics>,
    descs: Vec<Desc>,
}

impl Ledgers {
    pub fn new(mut streams: Vec<Stream>, exporter: Arc<InstanceMetrics>) -> prometheus::Result<Self> {
        streams.sort_by(|a, b| (a.client.api(), &a.project).cmp(&(b.client.api(), &b.project)));
        let streams = streams.into_iter().map(|stream| (stream, Mutex::default())).collect();
        let descs = TABLE.iter().map(Family::desc).collect::<Result<_, _>>()?;
        Ok(Self { streams, exporter, descs })
    }
}

impl Collector for Ledgers {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let open: Vec<_> =
            self.streams.iter().map(|(stream, series_budget)| self.open(stream, series_budget)).collect();
        let views: Vec<_> = open.iter().map(Open::view).collect();
        TABLE.iter().map(|family| family.collect(&views)).collect()
    }
}

/// A book held still while it is collected.
struct Open<'a> {
    stream: &'a Stream,
    ledger: MutexGuard<'a, Ledger>,
    current: Current,
    series_budget: MutexGuard<'a, SeriesBudget>,
}

impl Ledgers {
    fn open<'a>(&self, stream: &'a Stream, series_budget: &'a Mutex<SeriesBudget>) -> Open<'a> {
        let now = stream.client.clock().now();
        let ledger = stream.ledger.lock();
        let current = ledger.current(now);
        let mut series_budget = series_budget.lock();
        self.drop_series(series_budget.admit(&ledger, &current, stream.limits, now));
        Open { stream, ledger, current, series_budget }
    }
}

impl Ledgers {
    fn drop_series(&self, refused: Refused) {
        for family in TABLE.iter().filter(|family| matches!(family.rows, RowsFrom::Workflow(_))) {
            let steps = if family.name == STEPS { refused.steps } else { 0 };
            let dropped = self.exporter.series_dropped.with_label_values(&[family.name]);
            dropped.inc_by(refused.workflows + steps);
        }
    }
}

impl Limits {
    /// A tenth of `series` for steps, the rest for workflows; `conversations` on top.
    #[must_use]
    pub fn within(series: usize, conversations: usize) -> Self {
        let steps = series / 10;
        Self { workflows: (series - steps) / series_per_workflow(), steps, conversations }
    }
}

impl Open<'_> {
    fn view(&self) -> View<'_> {
        let Self { stream, ledger, current, series_budget } = self;
        let now = stream.client.clock().steady_now();
        View::new(&stream.project, stream.client.api(), ledger, current, series_budget, stream.limits, now)
    }
}
