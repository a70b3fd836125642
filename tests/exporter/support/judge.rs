//! The simulator's own tally against the exposition: every counter, histogram and gauge of every workflow.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kapso_exporter::{
    label,
    simulator::{Api, Simulator, Sum, Tally, WorkflowTally},
};

use super::{Exporter, Exposition};

/// The exporter's lookback, unless a test says otherwise.
const LOOKBACK: Duration = Duration::from_hours(24);

/// Waits until the exposition equals the tally, then looks once more after two sweeps. The world must be quiet,
/// the interval a second.
pub async fn wait_until_equal(simulator: &Simulator, exporter: &Exporter, apis: &[Api]) {
    let begun = Instant::now();
    loop {
        let differences = differences(simulator, &exporter.scrape().await, apis);
        if differences.is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{}\n{}", differences.join("\n"), exporter.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let after = differences(simulator, &exporter.scrape().await, apis);
    assert!(after.is_empty(), "and it stays so: {after:?}");
}

/// Every number in which the exposition differs from the tally, as a line of text.
pub fn differences(simulator: &Simulator, exposition: &Exposition, apis: &[Api]) -> Vec<String> {
    differences_within(LOOKBACK, simulator, exposition, apis)
}

/// The same for an exporter with this lookback.
pub fn differences_within(
    lookback: Duration,
    simulator: &Simulator,
    exposition: &Exposition,
    apis: &[Api],
) -> Vec<String> {
    differences_of("default", lookback, simulator, exposition, apis)
}

/// The same for this project.
pub fn differences_of(
    project: &str,
    lookback: Duration,
    simulator: &Simulator,
    exposition: &Exposition,
    apis: &[Api],
) -> Vec<String> {
    apis.iter().flat_map(|&api| in_api(project, lookback, simulator, exposition, api)).collect()
}

fn in_api(
    project: &str,
    lookback: Duration,
    simulator: &Simulator,
    exposition: &Exposition,
    api: Api,
) -> Vec<String> {
    let own = [("api", api.name()), ("project", project)];
    let Some(since) = exposition.value("kapso_exporter_watch_start_timestamp_seconds", &own) else {
        return vec![format!("{project}/{}: watching has not begun", api.name())];
    };
    let since = Timestamp::from_microsecond((since * 1e6).round() as i64).unwrap();
    let tally: Tally = simulator.tally(since, lookback);
    let names: Vec<_> = tally.workflows.iter().map(|workflow| label::name(&workflow.workflow_name)).collect();
    let mut check = Check { exposition, differences: Vec::new(), labels: Vec::new() };
    let listed = lists_conversations(project, exposition, api);
    for conversations in tally.conversations.iter().filter(|c| c.api == api && listed) {
        check.labels = vec![("api", api.name()), ("project", project), ("status", &conversations.status)];
        check.equal("kapso_conversations", &[], conversations.count as f64);
    }
    // The legacy API has no list of agents: one that never ran is not known.
    let known = |w: &&WorkflowTally| w.api == api && (api == Api::Platform || w.execution_count > 0);
    for (workflow, name) in tally.workflows.iter().zip(&names).filter(|(workflow, _)| known(workflow)) {
        check.labels = vec![
            ("api", api.name()),
            ("project", project),
            ("workflow_id", &workflow.workflow_id),
            ("workflow_name", name),
        ];
        check.workflow(workflow);
    }
    check.differences
}

/// Whether a source lists the conversations of this API: their own state is known from nothing else.
fn lists_conversations(project: &str, exposition: &Exposition, api: Api) -> bool {
    let source = |source| [("api", api.name()), ("project", project), ("source", source)];
    let is_on = |name| exposition.value("kapso_exporter_sweep_interval_seconds", &source(name)).is_some();
    is_on("agents") || is_on("conversations")
}

struct Check<'a> {
    exposition: &'a Exposition,
    labels: Vec<(&'a str, &'a str)>,
    differences: Vec<String>,
}

impl<'a> Check<'a> {
    fn workflow(&mut self, tally: &'a WorkflowTally) {
        self.equal("kapso_executions_started_total", &[], tally.started as f64);
        self.equal("kapso_executions_finished_total", &[("status", "ended")], tally.ended as f64);
        self.equal("kapso_executions_finished_total", &[("status", "failed")], tally.failed as f64);
        self.sum("kapso_execution_handoffs_total", tally.handoffs as f64);
        self.histogram("kapso_execution_duration_seconds", &[("status", "ended")], tally.ended_duration);
        self.histogram("kapso_execution_duration_seconds", &[("status", "failed")], tally.failed_duration);
        self.histogram("kapso_execution_time_to_handoff_seconds", &[], tally.time_to_handoff);
        let outcomes = (tally.ended + tally.failed + tally.handoffs) as f64;
        self.equal("kapso_execution_detection_delay_seconds_count", &[], outcomes);
        let newest = tally.newest_event.map(seconds);
        self.maybe("kapso_execution_last_event_timestamp_seconds", &[], newest);
        if tally.api == Api::Platform {
            self.equal("kapso_workflow_reported_executions", &[], tally.execution_count as f64);
        }
        for (status, count) in &tally.executions {
            self.equal("kapso_executions", &[("status", status)], *count as f64);
            if status != "ended" && status != "failed" {
                self.open(tally, status);
            }
        }
    }

    fn open(&mut self, tally: &WorkflowTally, status: &str) {
        let label = [("status", status)];
        let start = tally.oldest_start.get(status).copied().map(seconds);
        self.maybe("kapso_open_executions_oldest_start_timestamp_seconds", &label, start);
        let event = tally.oldest_event.get(status).copied().map(seconds);
        self.maybe("kapso_open_executions_oldest_event_timestamp_seconds", &label, event);
        let count = tally.open.get(status).copied().unwrap_or_default();
        self.equal("kapso_open_execution_idle_seconds_count", &label, count as f64);
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], sum: Sum) {
        self.equal(&format!("{name}_count"), labels, sum.count as f64);
        self.equal(&format!("{name}_sum"), labels, sum.seconds);
    }

    fn equal(&mut self, name: &str, labels: &[(&str, &str)], expected: f64) {
        self.maybe(name, labels, Some(expected));
    }

    fn maybe(&mut self, name: &str, labels: &[(&str, &str)], expected: Option<f64>) {
        let all = [&self.labels, labels].concat();
        let actual = self.exposition.value(name, &all);
        let equal = match (expected, actual) {
            (Some(expected), Some(actual)) => (expected - actual).abs() < 1e-5,
            (expected, actual) => expected == actual,
        };
        if !equal {
            self.differences.push(format!("{name}{all:?}: expected {expected:?}, is {actual:?}"));
        }
    }

    fn sum(&mut self, name: &str, expected: f64) {
        let actual = self.exposition.sum(name, &self.labels);
        if actual != expected {
            self.differences.push(format!("{name}{:?}: expected {expected}, sums to {actual}", self.labels));
        }
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}
