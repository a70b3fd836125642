//! The simulated business as a pure state machine: no clock, no I/O. Every scheduled event takes effect at its
//! scheduled time, whenever somebody looks, so that what is seen depends on the time alone.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
    ops::Range,
    time::Duration,
};

use fastrand::Rng;
use jiff::Timestamp;

use super::{
    Api,
    conversation::{Conversation, Person},
    execution::{Execution, Transition},
    life::{Move, Step, first_status},
    random::{hash, later, uuid},
    scenario::{Ids, Traffic},
    webhooks::Place,
    workflow::Workflow,
};

/// Position in one of the world's tables; rows are never removed.
pub type Row = usize;
/// Place in a list: its time, then its row; lists show the greatest first.
pub type Key = (Timestamp, Row);

/// What one API has of the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Conversations that are not deleted, by `last_active_at`.
    pub by_activity: BTreeSet<Key>,
    /// The same conversations in no particular order, to draw from.
    pub present: Vec<Row>,
}

/// What is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Somebody or something asks for an execution; void once the traffic was replaced.
    Arrival { api: Api, generation: u32 },
    /// An execution starts.
    Start { workflow: Row, conversation: Option<Row> },
    /// The next step of an execution's plan is due.
    Step { execution: Row },
    /// A conversation ends, comes back or appears; void once the traffic was replaced.
    Change { generation: u32 },
}

/// The whole state.
pub struct World {
    pub seed: u64,
    pub rng: Rng,
    pub traffic: Traffic,
    /// From an execution's start until lists show it.
    pub visible_after: Range<Duration>,
    /// What ids look like.
    pub ids: Ids,
    /// Counts replacements of the traffic.
    pub generation: u32,
    pub people: Vec<Person>,
    pub workflows: Vec<Workflow>,
    pub conversations: Vec<Conversation>,
    pub executions: Vec<Execution>,
    pub conversation_rows: HashMap<String, Row>,
    execution_rows: HashMap<String, Row>,
    /// What happened since a webhook was last told, in the order of time.
    pub incidents: Vec<Place>,
    sides: [Side; 2],
    queue: BinaryHeap<Reverse<(Timestamp, u64, Event)>>,
    scheduled: u64,
}

impl World {
    /// A world without anything in it.
    pub fn empty(seed: u64, traffic: Traffic) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(seed),
            traffic,
            visible_after: Duration::ZERO..Duration::ZERO,
            ids: Ids::Plain,
            generation: 0,
            people: Vec::new(),
            workflows: Vec::new(),
            conversations: Vec::new(),
            executions: Vec::new(),
            conversation_rows: HashMap::new(),
            execution_rows: HashMap::new(),
            incidents: Vec::new(),
            sides: [Side::default(), Side::default()],
            queue: BinaryHeap::new(),
            scheduled: 0,
        }
    }

    /// Applies everything that is due at or before `now`, in order.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(&Reverse((at, _, event))) = self.queue.peek() {
            if at > now {
                break;
            }
            self.queue.pop();
            self.apply(at, event);
        }
    }

    /// Schedules `event`; of those at the same time the first scheduled comes first.
    pub fn schedule(&mut self, at: Timestamp, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    /// Forgets everything that is scheduled.
    pub fn stop(&mut self) {
        self.queue.clear();
    }

    fn apply(&mut self, at: Timestamp, event: Event) {
        match event {
            Event::Arrival { api, generation } if generation == self.generation => self.arrive(api, at),
            Event::Change { generation } if generation == self.generation => self.change_conversation(at),
            Event::Arrival { .. } | Event::Change { .. } => {}
            Event::Start { workflow, conversation } => self.start_planned(workflow, conversation, at),
            Event::Step { execution } => self.step(execution, at),
        }
    }

    /// What `api` has of the world.
    pub fn side(&self, api: Api) -> &Side {
        &self.sides[usize::from(api == Api::Legacy)]
    }

    /// What `api` has of the world.
    pub fn side_mut(&mut self, api: Api) -> &mut Side {
        &mut self.sides[usize::from(api == Api::Legacy)]
    }

    /// A new execution that is going to take the steps of `plan`.
    pub fn start(
        &mut self,
        workflow: Row,
        conversation: Option<Row>,
        at: Timestamp,
        mut plan: Vec<Step>,
    ) -> Row {
        let row = self.executions.len();
        let api = self.workflows[workflow].api;
        let id = self.ids.of(execution_id(self.seed, api, row), row);
        plan.reverse();
        self.workflows[workflow].executions.insert((at, row));
        if let Some(conversation) = conversation {
            self.conversations[conversation].executions.insert((at, row));
        }
        self.execution_rows.insert(id.clone(), row);
        let first = Transition { at, status: Cow::Borrowed(first_status(api)), ends: false };
        self.executions.push(Execution {
            id,
            api,
            workflow,
            conversation,
            started_at: at,
            last_event_at: at,
            history: vec![first],
            events: Vec::new(),
            plan,
        });
        self.schedule_next_step(row);
        row
    }

    /// The execution with this id, unless it went with its conversation or workflow.
    pub fn execution_row(&self, id: &str) -> Option<Row> {
        self.execution_rows.get(id).copied().filter(|&row| !self.is_gone(row))
    }

    /// Whether the execution's conversation or workflow was deleted: then no list has it any more.
    pub fn is_gone(&self, row: Row) -> bool {
        self.was_gone_at(row, Timestamp::MAX)
    }

    fn was_gone_at(&self, row: Row, at: Timestamp) -> bool {
        let execution = &self.executions[row];
        let conversation = execution.conversation.and_then(|row| self.conversations[row].deleted_at);
        conversation.is_some_and(|deleted_at| deleted_at <= at) || self.workflows[execution.workflow].deleted
    }

    /// Whether lists show the execution at `now`, or did so at an earlier moment.
    pub fn is_listed(&self, row: Row, now: Timestamp) -> bool {
        !self.was_gone_at(row, now) && now >= later(self.executions[row].started_at, self.delay_of(row))
    }

    /// From the execution's start until lists show it; the same at every look.
    fn delay_of(&self, row: Row) -> Duration {
        let Range { start, end } = self.visible_after;
        let width = u64::try_from(end.saturating_sub(start).as_millis()).unwrap_or(u64::MAX);
        start
            + Duration::from_millis(
                hash(&[&self.executions[row].id, "visible"]) % width.saturating_add(1).max(1),
            )
    }

    fn schedule_next_step(&mut self, row: Row) {
        if let Some(next) = self.executions[row].plan.last() {
            self.schedule(next.at, Event::Step { execution: row });
        }
    }

    fn step(&mut self, row: Row, at: Timestamp) {
        if self.is_gone(row) {
            return;
        }
        let execution = &mut self.executions[row];
        let Some(step) = execution.plan.pop_if(|step| step.at == at) else {
            return;
        };
        let resumes = matches!(execution.status(), "waiting" | "paused") && step.what == Move::To("running");
        let conversation = execution.conversation;
        self.change(row, |execution| match step.what {
            Move::To(status) => execution.enter(Cow::Borrowed(status), at),
            Move::Touch => execution.touch(at),
            Move::EndHandoff => execution.end_as_it_is(at),
        });
        // Most waits end because the customer writes, the others by a timer.
        if let Some(conversation) = conversation.filter(|_| resumes && self.rng.u8(0..5) > 0) {
            self.message(conversation, at);
        }
        self.schedule_next_step(row);
    }
}

fn execution_id(seed: u64, api: Api, row: Row) -> String {
    let id = uuid(seed, "execution", row);
    match api {
        Api::Platform => id,
        Api::Legacy => format!("execution-{}{}", &id[..8], &id[24..30]),
    }
}
