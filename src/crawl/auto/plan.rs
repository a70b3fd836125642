//! What to ask next: pure decisions over what is known.
//!
//! Open executions are due after the time that their [`Urgency`] says, and at once where somebody wrote in their
//! conversation since they were looked at. A workflow's list of new ones is due when `execution_count` or
//! `last_executed_at` moved. For each workflow the cheapest cover of what is due is found, and all parts of all covers
//! are put in one order, by their urgency. Executions that would be asked for alone and belong to the same conversation
//! are asked for together, by its list.
//!
//! The inventory is that of the crawl over workflows: the history of each, read once, and now and then every status of
//! one.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::cover::{Look, NewOnes, Open, Way, cover};
use crate::{
    account::{Account, KnownWorkflow, Treatment},
    clock::Steady,
    crawl::{
        expectation::{LifeTable, MOST_WEIGHT, Urgency},
        queue::{Backlog, Queue, seconds},
        workflows::{
            fetch_plan::FetchPlan,
            plan::{self as workflows, FetchTask, ListsDue, Part},
        },
    },
    ledger::OpenExecution,
    model::{ConversationId, ExecutionId, seconds_between},
};

/// An execution moves within this time after a message that moves it.
const MOVES_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// What the plan goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Those of the crawl over workflows.
    pub workflows: workflows::Rules,
    /// The longest time from one look at an execution to the next, where the budget allows it.
    pub longest: SignedDuration,
}

/// Something to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// About a workflow, or for an execution by itself.
    OfWorkflow(workflows::Task),
    /// The list of a conversation's executions, to see these again.
    Conversation(ConversationId, Vec<ExecutionId>),
}

/// What is due, with its urgency.
type Due = (f64, Task);

/// The plan.
#[must_use]
pub fn queue(account: &Account, rules: &Rules) -> (Queue<Task>, Backlog) {
    let planned = Planned::of(account, rules);
    let Planned { mut urgent, alone, inventory, backlog } = planned;
    urgent.extend(by_conversation(account, alone));
    urgent.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    (Queue::new(urgent.into_iter().map(|(_, task)| task), inventory), backlog)
}

/// How much there is to do.
#[must_use]
pub fn backlog(account: &Account, rules: &Rules) -> Backlog {
    Planned::of(account, rules).backlog
}

#[derive(Default)]
struct Planned {
    urgent: Vec<Due>,
    /// Executions that are asked for alone.
    alone: Vec<(f64, OpenExecution)>,
    inventory: Vec<Task>,
    backlog: Backlog,
}

impl Planned {
    fn of(account: &Account, rules: &Rules) -> Self {
        let mut planned = Self::default();
        let all: Vec<_> = account.workflows().collect();
        let turn = workflows::turn(&all, &rules.workflows);
        let mut open = account.ledger.open_by_workflow(rules.workflows.kapso_now);
        let (mut at_rest, mut resting) = (None, 0);
        for workflow in all {
            let open = std::mem::take(&mut open[workflow.number]);
            let open = Opened { account, workflow, rules }.all(&open, &mut planned.backlog);
            let is_its_turn = turn == Some(&workflow.counted.id);
            if is_its_turn && !planned.take_whole(account, workflow, &open, rules) {
                at_rest = Some(whole(workflow, &open, rules));
            } else if !is_its_turn {
                planned.take(account, workflow, &open, rules);
            }
            let history = workflows::unread_history(workflow, &rules.workflows);
            planned.inventory.extend(
                history.map(|(since, until)| of_workflow(workflow, FetchTask::History { since, until })),
            );
            planned.backlog.failing += usize::from(workflow.read.attempts.is_failing());
            resting += usize::from(workflow.read.is_listed());
        }
        planned.inventory.extend(at_rest);
        planned.backlog.full_scan_seconds = workflows::full_scan_seconds(resting, &rules.workflows);
        planned
    }

    /// Plans the turn of a workflow, if anything of it is due.
    fn take_whole(
        &mut self,
        account: &Account,
        workflow: KnownWorkflow<'_>,
        open: &[Open],
        rules: &Rules,
    ) -> bool {
        let mut all = Self { backlog: self.backlog, ..Self::default() };
        all.take(account, workflow, open, rules);
        self.backlog = all.backlog;
        let urgency = all.urgent.iter().map(|(urgency, _)| *urgency);
        let urgency = urgency.chain(all.alone.iter().map(|(urgency, _)| *urgency)).reduce(f64::max);
        self.urgent.extend(urgency.map(|urgency| (urgency, whole(workflow, open, rules))));
        urgency.is_some()
    }

    /// Plans what is due of a workflow.
    fn take(&mut self, account: &Account, workflow: KnownWorkflow<'_>, open: &[Open], rules: &Rules) {
        let now = rules.workflows.now;
        if !workflow.read.is_listed() {
            let due = open.iter().filter(|one| one.is_due);
            self.alone.extend(due.map(|one| (Look::alone(one).urgency(), one.execution.clone())));
            return;
        }
        let may_ask_from = workflow.read.attempts.postpone(now, rules.workflows.interval);
        if may_ask_from.since(now) > rules.workflows.ahead {
            return;
        }
        let news = match workflows::lists_due(workflow, &rules.workflows) {
            ListsDue::First { since } => {
                self.note_due(since, now);
                let urgency = MOST_WEIGHT.sqrt() * seconds(since, now);
                return self.urgent.push((urgency, whole(workflow, open, rules)));
            }
            ListsDue::Again { news, missing, .. } => news.or(missing),
        };
        let new = news.map(|since| {
            self.note_due(since, now);
            let waited = seconds(since, now);
            let every = rules.workflows.interval.as_secs_f64();
            let count = new_ones(workflow);
            NewOnes { count, weight: weight_of_new_ones(account, workflow, rules, count), waited, every }
        });
        let unread_since = workflows::unread_since(workflow, &rules.workflows);
        for look in cover(open, unread_since, new) {
            self.take_look(workflow, look);
        }
    }

    fn take_look(&mut self, workflow: KnownWorkflow<'_>, look: Look) {
        let (urgency, due) = (look.urgency(), look.due);
        match look.way {
            Way::Alone => self.alone.extend(due.into_iter().map(|execution| (urgency, execution))),
            Way::List { part, lists } => {
                let visit = FetchTask::Visit { open: due, fetch_plan: lists, part };
                self.urgent.push((urgency, of_workflow(workflow, visit)));
            }
        }
    }

    fn note_due(&mut self, since: Steady, now: Steady) {
        self.backlog.wait(since, now);
        self.backlog.due += 1;
    }
}

fn of_workflow(workflow: KnownWorkflow<'_>, work: FetchTask) -> Task {
    Task::OfWorkflow(workflows::Task::Workflow { workflow: workflow.counted.id.clone(), work })
}

/// Every status, and what is new.
fn whole(workflow: KnownWorkflow<'_>, open: &[Open], rules: &Rules) -> Task {
    let fetch_plan = FetchPlan::whole(workflows::unread_since(workflow, &rules.workflows));
    let open = open.iter().map(|one| one.execution.clone()).collect();
    of_workflow(workflow, FetchTask::Visit { open, fetch_plan, part: Part::Whole })
}

/// How many new executions of a workflow are to be expected: as many as the API's own count tells of, and one more.
fn new_ones(workflow: KnownWorkflow<'_>) -> usize {
    let told = workflow.counted.uncounted().and_then(|count| usize::try_from(count).ok());
    told.unwrap_or_default().saturating_add(1)
}

#[allow(clippy::cast_precision_loss, reason = "a count")]
fn weight_of_new_ones(account: &Account, workflow: KnownWorkflow<'_>, rules: &Rules, count: usize) -> f64 {
    if account.treatment() == Treatment::Equal {
        return count as f64;
    }
    let table = LifeTable::of(&workflow.counted.totals, &std::iter::empty());
    let chance = table.outcomes_per_second(0.0, 0.0);
    let urgency = Urgency::of(chance, rules.workflows.interval, rules.longest);
    count as f64 * urgency.weight.max(1.0)
}

/// The open executions of a workflow.
struct Opened<'a> {
    account: &'a Account,
    workflow: KnownWorkflow<'a>,
    rules: &'a Rules,
}

impl Opened<'_> {
    fn all(&self, open: &[OpenExecution], backlog: &mut Backlog) -> Vec<Open> {
        let active = open.iter().map(|execution| (self.age(execution) - self.idle(execution)).max(0.0));
        let table = LifeTable::of(&self.workflow.counted.totals, &active);
        let (now, kapso_now) = (self.rules.workflows.now, self.rules.workflows.kapso_now);
        let one = |execution: OpenExecution| {
            let urgency = self.urgency(&execution, &table);
            let since = execution.looked_at.map_or(now, |at| at.plus(urgency.every));
            let is_due = since.since(now) <= self.rules.workflows.ahead;
            if is_due {
                backlog.wait(since, now);
                backlog.due += 1;
            }
            backlog.list(execution.looked_at, now, kapso_now);
            let waited = execution.looked_at.map_or(urgency.every.as_secs_f64(), |at| seconds(at, now));
            Open { execution, urgency, waited, is_due }
        };
        open.iter().cloned().map(one).collect()
    }

    fn urgency(&self, execution: &OpenExecution, table: &LifeTable) -> Urgency {
        let interval = self.rules.workflows.interval;
        if self.account.treatment() == Treatment::Equal {
            return Urgency::equal(interval);
        }
        let chance = table.outcomes_per_second(self.age(execution), self.idle(execution));
        let urgency = Urgency::of(chance, interval, self.rules.longest);
        if self.has_moved(execution) {
            return Urgency { every: interval, weight: MOST_WEIGHT, ..urgency };
        }
        urgency
    }

    /// Whether somebody wrote in its conversation since it was looked at, or shortly before.
    fn has_moved(&self, execution: &OpenExecution) -> bool {
        let moved =
            execution.conversation.and_then(|number| self.account.frontier.conversation(number).moved);
        moved.is_some_and(|moved| {
            execution.looked_at.is_some_and(|looked_at| looked_at.since(moved) < MOVES_WITHIN)
        })
    }

    fn age(&self, execution: &OpenExecution) -> f64 {
        execution.started_at.map_or(0.0, |at| self.seconds_since(at))
    }

    fn idle(&self, execution: &OpenExecution) -> f64 {
        execution.last_event_at.map_or_else(|| self.age(execution), |at| self.seconds_since(at))
    }

    fn seconds_since(&self, at: Timestamp) -> f64 {
        seconds_between(at, self.rules.workflows.kapso_now).max(0.0)
    }
}

/// Executions that would be asked for alone: those of one conversation by its list.
fn by_conversation(account: &Account, mut alone: Vec<(f64, OpenExecution)>) -> Vec<Due> {
    // The most urgent one of a conversation takes the others along.
    alone.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut together = HashMap::<u32, Vec<ExecutionId>>::new();
    for (_, execution) in &alone {
        if let Some(conversation) = execution.conversation.filter(|&number| is_listed(account, number)) {
            together.entry(conversation).or_default().push(execution.id.clone());
        }
    }
    let mut tasks = Vec::new();
    for (urgency, execution) in alone {
        let others = execution.conversation.and_then(|number| Some((number, together.get_mut(&number)?)));
        match others {
            Some((number, ids)) if ids.len() > 1 => {
                let id = account.ledger.conversation_id(number);
                tasks.extend(id.map(|id| (urgency, Task::Conversation(id.clone(), std::mem::take(ids)))));
            }
            // It is asked for with the one before.
            Some((_, ids)) if ids.is_empty() => {}
            _ => tasks.push((urgency, Task::OfWorkflow(workflows::Task::Execution(execution.id)))),
        }
    }
    tasks
}

fn is_listed(account: &Account, conversation: u32) -> bool {
    let read = account.frontier.conversation(conversation);
    !read.deleted && !read.attempts.is_failing()
}
