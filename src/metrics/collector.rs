//! The ledgers as a collector of the `prometheus` crate.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use prometheus::{
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    Exporter, Limits,
    admission::{Admission, Refused},
    family::{Family, Source},
    table::{STEPS, TABLE, series_per_workflow},
    view::View,
};
use crate::{
    kapso::{Budget, Client},
    ledger::{Current, Ledger},
};

/// A ledger that is published.
#[derive(Clone)]
pub struct Book {
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
    books: Vec<(Book, Mutex<Admission>)>,
    exporter: Arc<Exporter>,
    descs: Vec<Desc>,
}

impl Ledgers {
    pub fn new(mut books: Vec<Book>, exporter: Arc<Exporter>) -> prometheus::Result<Self> {
        books.sort_by(|a, b| (a.client.api(), &a.project).cmp(&(b.client.api(), &b.project)));
        let books = books.into_iter().map(|book| (book, Mutex::default())).collect();
        let descs = TABLE.iter().map(Family::desc).collect::<Result<_, _>>()?;
        Ok(Self { books, exporter, descs })
    }
}

impl Collector for Ledgers {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let open: Vec<_> = self.books.iter().map(|(book, admission)| self.open(book, admission)).collect();
        let views: Vec<_> = open.iter().map(Open::view).collect();
        TABLE.iter().map(|family| family.collect(&views)).collect()
    }
}

/// A book held still while it is collected.
struct Open<'a> {
    book: &'a Book,
    ledger: MutexGuard<'a, Ledger>,
    current: Current,
    admission: MutexGuard<'a, Admission>,
}

impl Ledgers {
    fn open<'a>(&self, book: &'a Book, admission: &'a Mutex<Admission>) -> Open<'a> {
        let now = book.client.kapso_now();
        let ledger = book.ledger.lock();
        let current = ledger.current(now);
        let mut admission = admission.lock();
        self.drop_series(admission.admit(&ledger, &current, book.limits, now));
        Open { book, ledger, current, admission }
    }
}

impl Ledgers {
    fn drop_series(&self, refused: Refused) {
        for family in TABLE.iter().filter(|family| matches!(family.rows, Source::Workflow(_))) {
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
        let Self { book, ledger, current, admission } = self;
        let now = book.client.steady_now();
        View::new(&book.project, book.client.api(), ledger, current, admission, book.limits, now)
    }
}
