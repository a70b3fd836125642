//! Which exemplars are published, whatever the format.

use super::Options;
use crate::ledger::{Exemplar, Histogram};

/// The one label of an exemplar.
pub(crate) const EXEMPLAR_LABEL: &str = "execution_id";
/// The most characters in the labels of an exemplar, names and values together, as `OpenMetrics` has it.
const MOST: usize = 128;

impl Options {
    /// This one, if it is published.
    pub(crate) fn exemplar(self, exemplar: Option<&Exemplar>) -> Option<&Exemplar> {
        exemplar.filter(|exemplar| self.exemplars && fits(exemplar))
    }

    /// Those of each bucket of a histogram.
    pub(crate) fn by_bucket(self, histogram: &Histogram) -> Vec<Option<&Exemplar>> {
        let mut by_bucket = vec![None; histogram.counts().len()];
        for exemplar in histogram.exemplars() {
            by_bucket[histogram.bucket(exemplar.value)] = self.exemplar(Some(exemplar));
        }
        by_bucket
    }

    /// All of a histogram, the earliest first, as Prometheus wants those of a native one.
    pub(crate) fn by_time(self, histogram: &Histogram) -> Vec<&Exemplar> {
        let mut all: Vec<_> =
            histogram.exemplars().iter().filter_map(|exemplar| self.exemplar(Some(exemplar))).collect();
        all.sort_by(|a, b| a.at.cmp(&b.at).then(a.value.total_cmp(&b.value)));
        all
    }
}

/// Whether its id is short and plain. Not every parser reads quotes and braces there.
pub(super) fn fits(exemplar: &Exemplar) -> bool {
    let id = exemplar.execution.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !id.is_empty() && EXEMPLAR_LABEL.len() + id.len() <= MOST && id.bytes().all(is_plain)
}
