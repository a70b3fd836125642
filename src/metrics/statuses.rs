//! Statuses of executions that this program does not know, by name.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus::IntCounterVec;

use crate::model::Api;

/// So many names have a series of their own, in each API of a project.
const MOST_NAMES: usize = 8;
/// The name of all others.
const OTHER: &str = "other";

/// Counts items by the name of their status.
#[derive(Debug)]
pub(super) struct UnknownStatuses {
    counter: IntCounterVec,
    seen: Mutex<BTreeSet<(String, Api, String)>>,
}

impl UnknownStatuses {
    /// `counter` has the labels project, api and status.
    pub fn new(counter: IntCounterVec) -> Self {
        Self { counter, seen: Mutex::default() }
    }

    /// Makes the metric appear.
    pub fn announce(&self, project: &str, api: Api) {
        self.counter.with_label_values(&[project, api.as_str(), OTHER]);
    }

    /// Counts an item, and says so the first time.
    pub fn count(&self, project: &str, api: Api, status: &str) {
        let (name, is_new) = self.name(project, api, status);
        self.counter.with_label_values(&[project, api.as_str(), name]).inc();
        if is_new {
            tracing::warn!(
                %api,
                status = name,
                "Kapso tells of a status that this version does not know: what has an end is over, neither ended nor failed"
            );
        }
    }

    /// The name to count it under, and whether that is new.
    fn name<'a>(&self, project: &str, api: Api, status: &'a str) -> (&'a str, bool) {
        let key = |name: &str| (project.to_owned(), api, name.to_owned());
        let mut seen = self.seen.lock();
        if seen.contains(&key(status)) {
            return (status, false);
        }
        let own = seen.iter().filter(|(p, a, name)| p == project && *a == api && name != OTHER).count();
        let name = if own < MOST_NAMES { status } else { OTHER };
        (name, seen.insert(key(name)))
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, Opts};

    use super::*;

    #[test]
    fn eight_names_have_a_series_and_the_rest_shares_one() {
        let counter = IntCounterVec::new(Opts::new("n", "h"), &["project", "api", "status"]).unwrap();
        let statuses = UnknownStatuses::new(counter.clone());
        let names: Vec<_> = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).collect();
        for name in names.iter().chain(&names) {
            statuses.count("p", Api::Platform, name);
        }
        statuses.count("p", Api::Legacy, "z");
        let value = |api: Api, name| counter.with_label_values(&["p", api.as_str(), name]).get();
        assert_eq!(names[..8].iter().map(|name| value(Api::Platform, name)).collect::<Vec<_>>(), [2; 8]);
        assert_eq!(value(Api::Platform, OTHER), 36);
        assert_eq!(value(Api::Legacy, "z"), 1, "each API has its own");
    }

    #[test]
    fn each_name_is_new_once() {
        let counter = IntCounterVec::new(Opts::new("n", "h"), &["project", "api", "status"]).unwrap();
        let statuses = UnknownStatuses::new(counter);
        let is_new = |name| statuses.name("p", Api::Platform, name).1;
        let names: Vec<_> = (0..9).map(|number| format!("name_{number}")).collect();
        assert!(names.iter().all(|name| is_new(name)));
        assert!(!names.iter().any(|name| is_new(name)));
        assert!(!is_new("yet_another"), "the others are one");
    }
}
