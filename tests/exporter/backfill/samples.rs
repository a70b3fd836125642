//! The files of a backfill, read back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use kapso_exporter::simulator::WorkflowTally;

/// Every series with its samples by time, in milliseconds.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<String, BTreeMap<i64, f64>>);

impl Samples {
    /// Reads all files of a folder, as strictly as the format is: families in one piece, each series in one piece, in order.
    pub fn of(folder: &Path) -> Self {
        let mut samples = Self::default();
        for file in files(folder) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.ends_with("# EOF\n"), "{}", file.display());
            samples.take(&text);
        }
        samples
    }

    fn take(&mut self, text: &str) {
        let (mut families, mut family, mut last) =
            (BTreeSet::new(), String::new(), (String::new(), BTreeSet::new()));
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                typed.split_once(' ').unwrap().0.clone_into(&mut family);
                assert!(families.insert(family.clone()), "in one piece: {family}");
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (rest, at) = line.rsplit_once(' ').unwrap();
            let (series, value) = rest.rsplit_once(' ').unwrap();
            assert!(series.starts_with(&family), "{line} within {family}");
            if last.0 != series {
                assert!(last.1.insert(series.to_owned()), "in one piece: {series}");
                series.clone_into(&mut last.0);
            }
            let at = (at.parse::<f64>().unwrap() * 1000.0).round() as i64;
            let of_series = self.0.entry(series.to_owned()).or_default();
            assert!(of_series.last_key_value().is_none_or(|(before, _)| *before < at), "in order: {line}");
            of_series.insert(at, value.parse().unwrap());
        }
    }

    /// The series, as they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Series that do not begin at zero.
    pub fn jumping(&self) -> Vec<&str> {
        let begins_at = |samples: &BTreeMap<i64, f64>| samples.first_key_value().map(|(_, value)| *value);
        let jumping = self.0.iter().filter(|(_, samples)| begins_at(samples) != Some(0.0));
        jumping.map(|(series, _)| series.as_str()).collect()
    }

    /// The one series with this name and at least these labels.
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> Option<&BTreeMap<i64, f64>> {
        let fits = |series: &str| {
            series.starts_with(&format!("{name}{{"))
                && labels.iter().all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")))
        };
        let mut found = self.0.iter().filter(|(series, _)| fits(series));
        let series = found.next().map(|(_, samples)| samples);
        assert!(found.next().is_none(), "{name} {labels:?} is ambiguous");
        series
    }

    /// The value of a series at a moment; a histogram that has not begun is empty.
    pub fn value(&self, name: &str, labels: &[(&str, &str)], at: i64) -> f64 {
        self.series(name, labels).and_then(|series| series.get(&at)).copied().unwrap_or_default()
    }

    /// All moments of all series.
    pub fn moments(&self) -> BTreeSet<i64> {
        self.0.values().flat_map(BTreeMap::keys).copied().collect()
    }

    /// What the counters and histograms of a workflow hold at a moment.
    pub fn counts(&self, workflow: &str, at: i64) -> [f64; 7] {
        let value = |name: &str, status: Option<&str>| {
            let labels = [("workflow_id", workflow), ("status", status.unwrap_or_default())];
            self.value(name, if status.is_some() { &labels } else { &labels[..1] }, at)
        };
        [
            value("kapso_executions_started_total", None),
            value("kapso_executions_finished_total", Some("ended")),
            value("kapso_executions_finished_total", Some("failed")),
            value("kapso_execution_duration_seconds_count", Some("ended")),
            value("kapso_execution_duration_seconds_sum", Some("ended")),
            value("kapso_execution_duration_seconds_count", Some("failed")),
            value("kapso_execution_duration_seconds_sum", Some("failed")),
        ]
    }
}

/// The same of what the simulator tallied since some time, less what it tallied since a later one.
pub fn tallied(since: &WorkflowTally, later: &WorkflowTally) -> [f64; 7] {
    let counts = |tally: &WorkflowTally| {
        [
            tally.started as f64,
            tally.ended as f64,
            tally.failed as f64,
            tally.ended_duration.count as f64,
            tally.ended_duration.seconds,
            tally.failed_duration.count as f64,
            tally.failed_duration.seconds,
        ]
    };
    let (since, later) = (counts(since), counts(later));
    std::array::from_fn(|place| since[place] - later[place])
}

/// The written files, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ext| ext == "om")).collect();
    files.sort();
    files
}
