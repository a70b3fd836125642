//! The world at the start: its conversations, and what happened before anybody watched.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Api, life,
    life::{Move, Step},
    random::{earlier, later, within},
    scenario::Scenario,
    world::{Row, World},
};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl World {
    /// The world of `scenario` as it is at `now`.
    pub fn new(scenario: &Scenario, now: Timestamp) -> Self {
        let mut world = Self::empty(scenario.seed, scenario.traffic.clone());
        world.visible_after = scenario.visible_after.clone();
        world.ids = scenario.ids;
        world.open_business(scenario, now);
        for _ in 0..scenario.conversations {
            world.acquaint(now);
        }
        for api in Api::ALL {
            for _ in 0..scenario.history {
                world.past_execution(api, scenario.history_span, now);
            }
            world.fill_busy_conversation(api, scenario.busy_conversation, now);
            for turn in 0..scenario.open_history {
                world.open_execution(api, turn, now);
            }
        }
        world.advance(now);
        world.end_some_conversations();
        world.forget_former_standings();
        world.set_traffic(scenario.traffic.clone(), now);
        world
    }

    fn open_business(&mut self, scenario: &Scenario, now: Timestamp) {
        let since = earlier(now, DAY * 200);
        for (row, name) in scenario.workflows.iter().enumerate() {
            let id = self.ids.of(format!("flow_{}", row + 1), row);
            self.add_workflow(Api::Platform, id, name.clone(), since);
        }
        let slow = self.workflows.iter_mut().rev().take(scenario.slow_workflows);
        slow.for_each(|workflow| workflow.slowness = scenario.slowness);
        for id in &scenario.agents {
            self.add_workflow(Api::Legacy, id.clone(), id.clone(), since);
        }
    }

    /// One person with a conversation on each API, last active within the last ten days.
    fn acquaint(&mut self, now: Timestamp) {
        let person = self.add_person();
        for api in Api::ALL {
            let active_at = earlier(now, within(&mut self.rng, &(MINUTE..DAY * 10)));
            let created_at = earlier(active_at, within(&mut self.rng, &(MINUTE..DAY * 80)));
            self.add_conversation(api, person, created_at, active_at);
        }
    }

    /// An execution that has been and gone within so much time before `now`.
    fn past_execution(&mut self, api: Api, span: Duration, now: Timestamp) {
        let Some((workflow, conversation)) = self.place(api) else {
            return;
        };
        let wish = earlier(now, within(&mut self.rng, &(MINUTE..span.max(MINUTE))));
        self.finished_execution(workflow, conversation, wish, now);
    }

    /// An execution that starts at `wish`, or as much earlier as it must to be over before `now`.
    fn finished_execution(
        &mut self,
        workflow: Row,
        conversation: Option<Row>,
        wish: Timestamp,
        now: Timestamp,
    ) {
        let api = self.workflows[workflow].api;
        let mut plan = life::plan(&mut self.rng, &self.traffic, api, wish);
        let end = plan.last().map_or(wish, |last| last.at);
        let overrun = Duration::try_from(end.duration_since(now)).unwrap_or_default();
        for step in &mut plan {
            step.at = earlier(step.at, overrun);
        }
        self.begin(workflow, conversation, earlier(wish, overrun), plan);
    }

    fn fill_busy_conversation(&mut self, api: Api, count: usize, now: Timestamp) {
        let Some(&conversation) = self.side(api).present.first() else {
            return;
        };
        let mut at = earlier(now, DAY * 4);
        for _ in 0..count {
            let Some(workflow) = self.some_workflow(api) else {
                return;
            };
            self.finished_execution(workflow, Some(conversation), at, now);
            at = earlier(at, within(&mut self.rng, &(MINUTE..HOUR)));
        }
    }

    /// An execution that is open at `now`; every third has been for days.
    fn open_execution(&mut self, api: Api, turn: usize, now: Timestamp) {
        let Some((workflow, conversation)) = self.place(api) else {
            return;
        };
        let age = if turn.is_multiple_of(3) { DAY..DAY * 5 } else { MINUTE * 2..HOUR * 12 };
        let age = within(&mut self.rng, &age);
        let start = earlier(now, age);
        let moved = later(start, within(&mut self.rng, &(Duration::ZERO..age / 2)));
        let mut plan = Vec::new();
        if api == Api::Legacy {
            plan.push(Step { at: moved, what: Move::To("running") });
        }
        let last = later(moved, within(&mut self.rng, &(Duration::ZERO..age / 3)));
        plan.extend(self.open_status(api).map(|status| Step { at: last, what: Move::To(status) }));
        if self.is_lively() && self.rng.bool() {
            plan.extend(self.way_out(now));
        }
        self.begin(workflow, conversation, start, plan);
    }

    fn open_status(&mut self, api: Api) -> Option<&'static str> {
        match (self.rng.u8(0..10), api) {
            (0..5, Api::Platform) => Some("waiting"),
            (0..5, Api::Legacy) => Some("paused"),
            (5..8, _) => Some("handoff"),
            _ => None,
        }
    }

    fn way_out(&mut self, now: Timestamp) -> [Step; 2] {
        let resumed = later(now, within(&mut self.rng, &self.traffic.handoff_dwell));
        let ended = later(resumed, within(&mut self.rng, &self.traffic.dwell));
        [Step { at: resumed, what: Move::To("running") }, Step { at: ended, what: Move::To("ended") }]
    }

    fn place(&mut self, api: Api) -> Option<(Row, Option<Row>)> {
        let workflow = self.some_workflow(api)?;
        let conversation = self.conversation_for_start(api);
        (api == Api::Platform || conversation.is_some()).then_some((workflow, conversation))
    }

    /// Starts an execution of the past, on a message of the customer.
    fn begin(&mut self, workflow: Row, conversation: Option<Row>, at: Timestamp, plan: Vec<Step>) {
        if let Some(row) = conversation {
            self.message(row, at);
        }
        self.start(workflow, conversation, at, plan);
    }

    fn end_some_conversations(&mut self) {
        for row in (0..self.conversations.len()).skip(2).step_by(3) {
            let at = self.conversations[row].last_active_at;
            self.end_conversation(row, at);
        }
    }
}
