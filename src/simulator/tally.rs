//! What a faultless observer would have counted, from the world's own histories: the judge of an exporter.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Api,
    execution::{Execution, common_status},
    random::earlier,
    world::{Row, World},
};

const STATUSES: [&str; 6] = ["running", "waiting", "handoff", "ended", "failed", "unknown"];

/// The numbers of one moment.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Tally {
    /// Every workflow and agent that there ever was, the platform's first.
    pub workflows: Vec<WorkflowTally>,
    /// Conversations that are there, by API and their own status (`active`, `ended`).
    pub conversations: Vec<ConversationTally>,
}

/// The numbers of one workflow (or legacy agent), under the statuses `running`, `waiting`, `handoff`, `ended`,
/// `failed` and `unknown`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct WorkflowTally {
    /// The API it belongs to.
    pub api: Api,
    /// Its id.
    pub workflow_id: String,
    /// Its name now; an agent's is its id.
    pub workflow_name: String,
    /// Executions by their status now: all open ones, and those that ended within the lookback. Has every status.
    pub executions: BTreeMap<String, u64>,
    /// Of those, the open ones by status, where there are any.
    pub open: BTreeMap<String, u64>,
    /// Earliest `started_at` of the open executions by status, where there are any.
    pub oldest_start: BTreeMap<String, Timestamp>,
    /// Earliest `last_event_at` of the open executions by status, where there are any.
    pub oldest_event: BTreeMap<String, Timestamp>,
    /// Latest `last_event_at` of all its executions.
    pub newest_event: Option<Timestamp>,
    /// Executions that started since.
    pub started: u64,
    /// Executions that ended since.
    pub ended: u64,
    /// Executions that failed since.
    pub failed: u64,
    /// Transitions into handoff since; an execution may have several.
    pub handoffs: u64,
    /// Start to end of those that ended since.
    pub ended_duration: Sum,
    /// Start to failure of those that failed since.
    pub failed_duration: Sum,
    /// Start to the first handoff, where that was since.
    pub time_to_handoff: Sum,
    /// Executions that ever started.
    pub execution_count: u64,
}

/// How many there were, and how long they took together.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Their total.
    pub seconds: f64,
}

/// How many conversations of one API have one status.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ConversationTally {
    /// The API.
    pub api: Api,
    /// `active` or `ended`.
    pub status: String,
    /// How many.
    pub count: u64,
}

impl Sum {
    fn add(&mut self, from: Timestamp, to: Timestamp) {
        self.count += 1;
        self.seconds += to.duration_since(from).as_secs_f64();
    }
}

impl World {
    /// The numbers at `now`: events since `since`, finished executions of the last `lookback`.
    pub fn tally(&self, apis: &[Api], since: Timestamp, lookback: Duration, now: Timestamp) -> Tally {
        let kept_after = earlier(now, lookback);
        let rows = 0..self.workflows.len();
        let visible = rows.filter(|&row| apis.contains(&self.workflows[row].api));
        Tally {
            workflows: visible.map(|row| self.workflow_tally(row, since, kept_after)).collect(),
            conversations: apis.iter().flat_map(|&api| self.conversation_tally(api)).collect(),
        }
    }

    fn workflow_tally(&self, row: Row, since: Timestamp, kept_after: Timestamp) -> WorkflowTally {
        let workflow = &self.workflows[row];
        let mut tally = WorkflowTally::new(workflow.api, &workflow.id, &workflow.name);
        for &(_, row) in &workflow.executions {
            let execution = &self.executions[row];
            tally.count_events(execution, since);
            if !self.is_gone(row) {
                tally.count_state(execution, kept_after);
            }
        }
        tally
    }

    fn conversation_tally(&self, api: Api) -> Vec<ConversationTally> {
        let present = &self.side(api).present;
        let count = |status: &str| -> u64 {
            let same = present.iter().filter(|&&row| self.conversations[row].standing().status() == status);
            same.map(|_| 1).sum()
        };
        let one = |status: &str| ConversationTally { api, status: status.to_owned(), count: count(status) };
        vec![one("active"), one("ended")]
    }
}

impl WorkflowTally {
    fn new(api: Api, id: &str, name: &str) -> Self {
        Self {
            api,
            workflow_id: id.to_owned(),
            workflow_name: name.to_owned(),
            executions: STATUSES.iter().map(|&status| (status.to_owned(), 0)).collect(),
            open: BTreeMap::new(),
            oldest_start: BTreeMap::new(),
            oldest_event: BTreeMap::new(),
            newest_event: None,
            started: 0,
            ended: 0,
            failed: 0,
            handoffs: 0,
            ended_duration: Sum::default(),
            failed_duration: Sum::default(),
            time_to_handoff: Sum::default(),
            execution_count: 0,
        }
    }

    fn count_events(&mut self, execution: &Execution, since: Timestamp) {
        self.execution_count += 1;
        self.newest_event = self.newest_event.max(Some(execution.last_event_at));
        self.started += u64::from(execution.started_at >= since);
        self.handoffs += execution.handoffs().filter(|&at| at >= since).map(|_| 1).sum::<u64>();
        if let Some(first) = execution.handoffs().next().filter(|&at| at >= since) {
            self.time_to_handoff.add(execution.started_at, first);
        }
        self.count_finish(execution, since);
    }

    fn count_finish(&mut self, execution: &Execution, since: Timestamp) {
        let Some(finish) = execution.finish(since) else {
            return;
        };
        if common_status(execution.api, &finish.status, true) == "failed" {
            self.failed += 1;
            self.failed_duration.add(execution.started_at, finish.at);
        } else {
            self.ended += 1;
            self.ended_duration.add(execution.started_at, finish.at);
        }
    }

    fn count_state(&mut self, execution: &Execution, kept_after: Timestamp) {
        let ended_at = execution.ended_at();
        let status = common_status(execution.api, execution.status(), ended_at.is_some()).to_owned();
        if ended_at.is_none_or(|at| at > kept_after) {
            *self.executions.entry(status.clone()).or_default() += 1;
        }
        if ended_at.is_none() {
            *self.open.entry(status.clone()).or_default() += 1;
            keep_oldest(&mut self.oldest_start, &status, execution.started_at);
            keep_oldest(&mut self.oldest_event, &status, execution.last_event_at);
        }
    }
}

fn keep_oldest(oldest: &mut BTreeMap<String, Timestamp>, status: &str, at: Timestamp) {
    let kept = oldest.entry(status.to_owned()).or_insert(at);
    *kept = at.min(*kept);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::simulator::{
        Scenario, Simulator,
        testing::{noon, simulator},
    };

    const DAY: Duration = Duration::from_hours(24);

    fn of(simulator: &Simulator, id: &str) -> WorkflowTally {
        let all = simulator.tally(noon(), DAY).workflows;
        all.into_iter().find(|workflow| workflow.workflow_id == id).unwrap()
    }

    fn statuses(tally: &WorkflowTally) -> Vec<(&str, u64)> {
        tally
            .executions
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, &n)| (name.as_str(), n))
            .collect()
    }

    async fn after(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_scripted_life_is_counted_exactly() {
        let simulator = simulator(Scenario::quiet(1));
        let conversation = simulator.conversation_ids(Api::Platform).remove(0);
        let id = simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
        for status in ["handoff", "running", "handoff", "handoff", "failed"] {
            after(10).await;
            simulator.transition(&id, status).unwrap();
        }
        let at = |seconds| noon() + SignedDuration::from_secs(seconds);
        let mut expected = WorkflowTally::new(Api::Platform, "flow_1", "Order Support");
        expected.executions.insert("failed".to_owned(), 1);
        expected.newest_event = Some(at(50));
        (expected.started, expected.failed, expected.handoffs, expected.execution_count) = (1, 1, 2, 1);
        expected.failed_duration = Sum { count: 1, seconds: 50.0 };
        expected.time_to_handoff = Sum { count: 1, seconds: 10.0 };
        assert_eq!(of(&simulator, "flow_1"), expected);
        after(24 * 3600 - 1).await;
        assert_eq!(statuses(&of(&simulator, "flow_1")), [("failed", 1)]);
        after(1).await;
        assert_eq!(statuses(&of(&simulator, "flow_1")), []);
        assert_eq!(of(&simulator, "flow_1").failed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn open_executions_show_their_oldest_start_and_event() {
        let simulator = simulator(Scenario::quiet(1));
        let old = noon() - SignedDuration::from_hours(100);
        let id = simulator.start_at(Api::Platform, "flow_1", None, old).unwrap();
        let event = noon() - SignedDuration::from_hours(99);
        simulator.transition_at(&id, "waiting", event).unwrap();
        let tally = of(&simulator, "flow_1");
        assert_eq!(statuses(&tally), [("waiting", 1)]);
        assert_eq!(tally.oldest_start, BTreeMap::from([("waiting".to_owned(), old)]));
        assert_eq!(tally.oldest_event, BTreeMap::from([("waiting".to_owned(), event)]));
        assert_eq!((tally.started, tally.execution_count), (0, 1));
        after(5).await;
        simulator.touch(&id).unwrap();
        assert_eq!(of(&simulator, "flow_1").oldest_event["waiting"], noon() + SignedDuration::from_secs(5));
        simulator.transition(&id, "hibernating").unwrap();
        assert_eq!(statuses(&of(&simulator, "flow_1")), [("unknown", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn legacy_statuses_count_under_the_common_ones() {
        let simulator = simulator(Scenario::quiet(1));
        let conversation = simulator.conversation_ids(Api::Legacy).remove(0);
        let id = simulator.start(Api::Legacy, "agent-sales", Some(&conversation)).unwrap();
        assert_eq!(statuses(&of(&simulator, "agent-sales")), [("running", 1)]);
        for (status, common) in [("paused", "waiting"), ("handoff", "handoff")] {
            after(7).await;
            simulator.transition(&id, status).unwrap();
            assert_eq!(statuses(&of(&simulator, "agent-sales")), [(common, 1)]);
        }
        after(7).await;
        simulator.finish_handoff(&id).unwrap();
        let tally = of(&simulator, "agent-sales");
        assert_eq!(statuses(&tally), [("ended", 1)]);
        assert_eq!((tally.started, tally.ended, tally.handoffs), (1, 1, 1));
        assert_eq!(tally.ended_duration, Sum { count: 1, seconds: 21.0 });
        assert_eq!(tally.time_to_handoff, Sum { count: 1, seconds: 14.0 });
        assert!(tally.oldest_start.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_conversation_leaves_the_state_but_not_the_events() {
        let simulator = simulator(Scenario::quiet(1));
        let conversation = simulator.conversation_ids(Api::Platform).remove(0);
        simulator.start(Api::Platform, "flow_1", Some(&conversation)).unwrap();
        simulator.delete_conversation(Api::Platform, &conversation).unwrap();
        let tally = of(&simulator, "flow_1");
        assert_eq!(statuses(&tally), []);
        assert!(tally.oldest_start.is_empty() && tally.oldest_event.is_empty());
        assert_eq!((tally.started, tally.execution_count), (1, 1));
        let conversations = simulator.tally(noon(), DAY).conversations;
        let platform = conversations.iter().filter(|tally| tally.api == Api::Platform);
        assert_eq!(platform.map(|tally| tally.count).sum::<u64>(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_absent_legacy_api_is_not_in_the_tally() {
        let simulator = simulator(Scenario { legacy: false, ..Scenario::quiet(1) });
        let tally = simulator.tally(noon(), DAY);
        assert!(tally.workflows.iter().all(|workflow| workflow.api == Api::Platform));
        assert!(tally.conversations.iter().all(|count| count.api == Api::Platform));
    }
}
