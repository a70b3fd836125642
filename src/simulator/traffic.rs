//! What keeps happening: executions that start, and conversations that come and go.

use jiff::Timestamp;

use super::{
    Api, life,
    random::{gap, later, within},
    scenario::Traffic,
    workflow::Workflow,
    world::{Event, Row, World},
};

impl World {
    /// Lets `traffic` take over from `now` on. Lives that are under way go on as they were planned.
    pub fn set_traffic(&mut self, traffic: Traffic, now: Timestamp) {
        self.traffic = traffic;
        self.generation += 1;
        for api in Api::ALL {
            self.schedule_arrival(api, now);
        }
        self.schedule_change(now);
    }

    /// Whether executions start by themselves.
    pub fn is_lively(&self) -> bool {
        self.traffic.starts_per_minute > 0.0
    }

    fn schedule_arrival(&mut self, api: Api, now: Timestamp) {
        if self.is_lively() {
            let wait = gap(&mut self.rng, self.traffic.starts_per_minute);
            let generation = self.generation;
            self.schedule(later(now, wait), Event::Arrival { api, generation });
        }
    }

    fn schedule_change(&mut self, now: Timestamp) {
        if self.traffic.conversation_changes_per_minute > 0.0 {
            let wait = gap(&mut self.rng, self.traffic.conversation_changes_per_minute);
            let generation = self.generation;
            self.schedule(later(now, wait), Event::Change { generation });
        }
    }

    /// An inbound message and, after the reply delay, a start; or a start by API at once.
    pub fn arrive(&mut self, api: Api, at: Timestamp) {
        self.schedule_arrival(api, at);
        let Some(workflow) = self.some_workflow(api) else {
            return;
        };
        let conversation = self.conversation_for_start(api);
        let silent = self.rng.f64() < self.traffic.silent_starts;
        let delay = within(&mut self.rng, &self.traffic.reply_delay);
        match conversation {
            None if api == Api::Legacy => {}
            Some(row) if !silent => {
                self.message(row, at);
                self.schedule(later(at, delay), Event::Start { workflow, conversation });
            }
            _ => self.start_planned(workflow, conversation, at),
        }
    }

    /// Starts an execution with a life of its own, unless its conversation or workflow is gone by now.
    pub fn start_planned(&mut self, workflow: Row, conversation: Option<Row>, at: Timestamp) {
        let gone = conversation.is_some_and(|row| self.conversations[row].deleted_at.is_some());
        if gone || self.workflows[workflow].deleted {
            return;
        }
        let Workflow { api, slowness, .. } = self.workflows[workflow];
        let mut plan = life::plan(&mut self.rng, &self.traffic, api, at);
        life::slow_down(&mut plan, at, slowness);
        self.start(workflow, conversation, at, plan);
    }

    /// A workflow that is there, the first ones more often than the last.
    pub fn some_workflow(&mut self, api: Api) -> Option<Row> {
        let rows = self.present_workflows(api);
        if rows.is_empty() {
            return None;
        }
        let position = self.rng.usize(..rows.len()).min(self.rng.usize(..rows.len()));
        Some(rows[position])
    }

    /// The conversation of the next execution, if it is to have one.
    pub fn conversation_for_start(&mut self, api: Api) -> Option<Row> {
        let without = api == Api::Platform && self.rng.f64() < self.traffic.without_conversation;
        if without { None } else { self.some_conversation(api) }
    }

    fn some_conversation(&mut self, api: Api) -> Option<Row> {
        let count = self.side(api).present.len();
        (count > 0).then(|| self.rng.usize(..count)).map(|position| self.side(api).present[position])
    }

    /// One conversation ends, or comes back, or somebody new writes (on both APIs).
    pub fn change_conversation(&mut self, at: Timestamp) {
        self.schedule_change(at);
        let api = *self.rng.choice(Api::ALL.iter()).unwrap_or(&Api::Platform);
        let Some(row) = self.some_conversation(api) else {
            return;
        };
        if self.traffic.erasures > 0.0 && self.rng.f64() < self.traffic.erasures {
            self.erase(self.conversations[row].person, at);
        } else if self.rng.u8(0..4) == 0 {
            self.welcome(at);
        } else if self.conversations[row].ended {
            self.message(row, at);
        } else {
            self.end_conversation(row, at);
        }
    }

    /// A contact goes, and with it every conversation.
    fn erase(&mut self, person: Row, at: Timestamp) {
        let all = self.conversations.iter().enumerate();
        let theirs = all.filter(|(_, one)| one.person == person && one.deleted_at.is_none());
        for row in theirs.map(|(row, _)| row).collect::<Vec<Row>>() {
            self.delete_conversation(row, at);
        }
    }

    /// Somebody new writes, on both APIs, for the first time.
    fn welcome(&mut self, at: Timestamp) {
        let person = self.add_person();
        for api in Api::ALL {
            self.add_conversation(api, person, at, at);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, Instant};

    use jiff::SignedDuration;

    use super::*;
    use crate::simulator::{
        Scenario,
        testing::{noon, simulator},
    };

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn the_same_seed_gives_the_same_world_however_often_it_is_looked_at() {
        let mut once = World::new(&Scenario::demo(7), noon());
        let mut often = World::new(&Scenario::demo(7), noon());
        let mut other = World::new(&Scenario::demo(8), noon());
        for minute in 0..60 {
            often.advance(noon() + SignedDuration::from_mins(minute));
        }
        for world in [&mut once, &mut often, &mut other] {
            world.advance(noon() + HOUR);
        }
        assert_eq!(once.executions, often.executions);
        assert_eq!(once.conversations, often.conversations);
        assert_ne!(once.executions, other.executions);
    }

    #[test]
    fn history_is_in_the_past_and_the_traffic_in_the_future() {
        let scenario = Scenario::demo(3);
        let mut world = World::new(&scenario, noon());
        let started = world.executions.len();
        assert!(world.executions.iter().all(|execution| execution.last_event_at <= noon()));
        let open = world.executions.iter().filter(|execution| execution.ended_at().is_none()).count();
        assert_eq!(open, 2 * scenario.open_history);
        assert_eq!(started, 2 * (scenario.history + scenario.open_history + scenario.busy_conversation));
        world.advance(noon() + HOUR);
        let rate = (world.executions.len() - started) / 2;
        assert!((600..850).contains(&rate), "{rate} starts an hour");
    }

    #[test]
    fn ten_thousand_conversations_and_a_hundred_thousand_executions_are_no_burden() {
        let began = Instant::now();
        let scenario = Scenario { conversations: 10_000, history: 50_000, ..Scenario::quiet(1) };
        let world = World::new(&scenario, noon());
        world.tally(&Api::ALL, noon(), Duration::from_hours(24), noon());
        assert_eq!(world.executions.len(), 100_000);
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    }

    #[test]
    fn slow_workflows_alone_have_longer_lives() {
        let usual = Scenario { slow_workflows: 0, ..Scenario::demo(3) };
        let slow = Scenario { slow_workflows: 1, slowness: 100, ..usual.clone() };
        let planned = |scenario: &Scenario, workflow: &str| {
            let mut world = World::new(scenario, noon());
            let row = world.workflow_row(Api::Platform, workflow).unwrap();
            world.start_planned(row, None, noon());
            world.executions.last().unwrap().plan.first().unwrap().at.duration_since(noon())
        };
        assert_eq!(planned(&slow, "flow_5"), planned(&usual, "flow_5"));
        assert_eq!(planned(&slow, "flow_6"), planned(&usual, "flow_6") * 100);
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_traffic_freezes_the_world() {
        let simulator = simulator(Scenario::demo(5));
        tokio::time::sleep(Duration::from_mins(10)).await;
        simulator.stop_traffic();
        let week = Duration::from_hours(24 * 7);
        let tally = simulator.tally(noon(), week);
        assert!(tally.workflows.iter().any(|workflow| workflow.started > 0));
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(simulator.tally(noon(), week), tally);
        simulator.set_traffic(Traffic::lively());
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_ne!(simulator.tally(noon(), week), tally);
    }

    #[tokio::test(start_paused = true)]
    async fn the_demo_shows_movement_within_a_minute() {
        let simulator = simulator(Scenario::demo(1));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let tally = simulator.tally(noon(), Duration::from_hours(24));
        assert!(tally.workflows.iter().map(|workflow| workflow.started).sum::<u64>() > 10);
        assert!(tally.workflows.iter().map(|workflow| workflow.ended).sum::<u64>() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_takes_an_execution_over_from_the_traffic() {
        let simulator = simulator(Scenario::demo(1));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let id = simulator.execution_ids(Api::Platform).pop().unwrap();
        simulator.transition(&id, "hibernating").unwrap();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let tally = simulator.tally(noon(), Duration::from_hours(24));
        assert_eq!(tally.workflows.iter().map(|workflow| workflow.executions["unknown"]).sum::<u64>(), 1);
    }
}
