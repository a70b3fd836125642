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

use jiff::SignedDuration;

use super::{
    cover::{Look, NewOnes, Open, Way, cover},
    opened::Opened,
};
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
    model::{ConversationId, ExecutionId},
};

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

/// What is to be asked, with its urgency.
type Urgent = (f64, Task);

/// The plan.
#[must_use]
pub fn queue(account: &Account, rules: &Rules) -> (Queue<Task>, Backlog) {
    let open = account.ledger.open_with_counts(rules.workflows.kapso_now);
    let (all, backlog) = due(account, open, rules);
    let workflows: Vec<_> = all.iter().map(|due| due.workflow).collect();
    let turn = workflows::turn(&workflows, &rules.workflows);
    let (mut urgent, mut alone, mut inventory, mut at_rest) = (Vec::new(), Vec::new(), Vec::new(), None);
    for due in &all {
        let workflow = due.workflow;
        let looks = due.looks(account, rules);
        if turn == Some(&workflow.counted.id) {
            match looks.urgency() {
                Some(urgency) => urgent.push((urgency, whole(workflow, &due.open, rules))),
                None => at_rest = Some(whole(workflow, &due.open, rules)),
            }
        } else {
            urgent.extend(looks.listed);
            alone.extend(looks.alone);
        }
        let history = workflows::unread_history(workflow, &rules.workflows);
        let history = history.map(|(since, until)| FetchTask::History { since, until });
        inventory.extend(history.map(|history| of_workflow(workflow, history)));
    }
    urgent.extend(by_conversation(account, alone));
    urgent.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    (Queue::new(urgent.into_iter().map(|(_, task)| task), inventory.into_iter().chain(at_rest)), backlog)
}

/// How much there is to do.
#[must_use]
pub fn backlog(account: &Account, rules: &Rules) -> Backlog {
    due(account, account.ledger.open_by_workflow(), rules).1
}

/// A workflow, and what of it is due.
struct Due<'a> {
    workflow: KnownWorkflow<'a>,
    open: Vec<Open>,
    lists: DueLists,
}

/// What of a workflow's lists is due, beside its open executions.
#[derive(Clone, Copy)]
enum DueLists {
    /// It is not listed: its executions are asked for alone.
    NotListed,
    /// They failed, and are not asked for yet.
    NotYet,
    /// All of them, for the first time since then.
    First(Steady),
    /// New ones have been expected since then, if any.
    Again(Option<Steady>),
}

/// How to look at what is due of a workflow.
#[derive(Default)]
struct Looks {
    listed: Vec<Urgent>,
    /// Executions that are asked for alone.
    alone: Vec<(f64, OpenExecution)>,
}

/// What is due of each workflow whose open executions are these, and how much that is.
fn due<'a>(
    account: &'a Account,
    mut open: Vec<Vec<OpenExecution>>,
    rules: &Rules,
) -> (Vec<Due<'a>>, Backlog) {
    let (mut all, mut backlog, mut resting) = (Vec::new(), Backlog::default(), 0);
    for workflow in account.workflows() {
        let open = std::mem::take(&mut open[workflow.number]);
        let open = Opened { account, workflow, rules }.all(open, &mut backlog);
        let lists = DueLists::of(workflow, rules);
        if let DueLists::First(since) | DueLists::Again(Some(since)) = lists {
            backlog.wait(since, rules.workflows.now);
            backlog.due += 1;
        }
        backlog.failing += usize::from(workflow.read.attempts.is_failing());
        resting += usize::from(workflow.read.is_listed());
        all.push(Due { workflow, open, lists });
    }
    backlog.full_scan_seconds = workflows::full_scan_seconds(resting, &rules.workflows);
    (all, backlog)
}

impl DueLists {
    fn of(workflow: KnownWorkflow<'_>, rules: &Rules) -> Self {
        let workflows::Rules { now, interval, ahead, .. } = rules.workflows;
        if !workflow.read.is_listed() {
            return Self::NotListed;
        }
        if workflow.read.attempts.postpone(now, interval).since(now) > ahead {
            return Self::NotYet;
        }
        match workflows::lists_due(workflow, &rules.workflows) {
            ListsDue::First { since } => Self::First(since),
            ListsDue::Again { news, missing, .. } => Self::Again(news.or(missing)),
        }
    }
}

impl Due<'_> {
    fn looks(&self, account: &Account, rules: &Rules) -> Looks {
        let now = rules.workflows.now;
        let due = self.open.iter().filter(|one| one.is_due);
        match self.lists {
            DueLists::NotListed => Looks::of(self.workflow, due.map(Look::alone)),
            DueLists::NotYet => Looks::default(),
            DueLists::First(since) => {
                let urgency = MOST_WEIGHT.sqrt() * seconds(since, now);
                let first = (urgency, whole(self.workflow, &self.open, rules));
                Looks { listed: vec![first], alone: Vec::new() }
            }
            DueLists::Again(since) => {
                let new = since.map(|since| new_ones(account, self.workflow, since, rules));
                let unread_since = workflows::unread_since(self.workflow, &rules.workflows);
                Looks::of(self.workflow, cover(&self.open, unread_since, new))
            }
        }
    }
}

impl Looks {
    fn of(workflow: KnownWorkflow<'_>, all: impl IntoIterator<Item = Look>) -> Self {
        let mut looks = Self::default();
        for look in all {
            let (urgency, due) = (look.urgency(), look.due);
            match look.way {
                Way::Alone => looks.alone.extend(due.into_iter().map(|execution| (urgency, execution))),
                Way::List { part, lists } => {
                    let visit = FetchTask::Visit { open: due, fetch_plan: lists, part };
                    looks.listed.push((urgency, of_workflow(workflow, visit)));
                }
            }
        }
        looks
    }

    /// That of the most urgent one.
    fn urgency(&self) -> Option<f64> {
        let listed = self.listed.iter().map(|(urgency, _)| *urgency);
        listed.chain(self.alone.iter().map(|(urgency, _)| *urgency)).reduce(f64::max)
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

/// The new executions of a workflow that have been expected since then: as many as the API's own count tells of, and one
/// more.
#[allow(clippy::cast_precision_loss, reason = "a count")]
fn new_ones(account: &Account, workflow: KnownWorkflow<'_>, since: Steady, rules: &Rules) -> NewOnes {
    let workflows::Rules { now, interval, .. } = rules.workflows;
    let told = workflow.counted.uncounted().and_then(|count| usize::try_from(count).ok());
    let count = told.unwrap_or_default().saturating_add(1);
    let weight = match account.treatment() {
        Treatment::Equal => 1.0,
        Treatment::Learned => {
            let chance = LifeTable::of(&workflow.counted.totals, &[]).outcomes_per_second(0.0, 0.0);
            Urgency::of(chance, interval, rules.longest).weight.max(1.0)
        }
    };
    NewOnes {
        count,
        weight: count as f64 * weight,
        waited: seconds(since, now),
        every: interval.as_secs_f64(),
    }
}

/// Executions that would be asked for alone: those of one conversation by its list.
fn by_conversation(account: &Account, mut alone: Vec<(f64, OpenExecution)>) -> Vec<Urgent> {
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        account::{Settings, Statuses, VisitedList},
        model::{Conversation, ConversationStatus, Execution, ListedWorkflow, Page, Reading, Workflow},
    };

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
        Page::whole(items, 1_000_000_u64.saturating_add_signed(now), at(now))
    }

    /// An account in which a workflow was visited at `now`, with open executions: id, conversation, last event.
    fn account(open: &[(&str, &str, i64)], now: i64) -> Account {
        let mut account = Account::new(Settings::default());
        account.ledger.watch_from(at(0));
        let workflow = Workflow { id: "w".into(), name: None };
        let listed = ListedWorkflow {
            workflow: workflow.clone(),
            execution_count: Some(5),
            last_executed_at: Some(at(5)),
        };
        account.learn_workflows(&page(vec![listed], 1));
        let execution = |&(id, conversation, event): &(&str, &str, i64)| Execution {
            workflow: Some(workflow.clone()),
            conversation: Some(conversation.into()),
            ..Execution::waiting(id, at(event))
        };
        let mut visit = account.visit(&"w".into());
        account.see(
            &mut visit,
            VisitedList::ByStatus,
            &page(open.iter().map(execution).collect(), now),
            at(now),
        );
        account.reached(&visit, at(0), Reading::clean(at(now)));
        account.history_read(&visit, at(-100 * HOUR));
        account.close_visit(&visit, Statuses::Every);
        account
    }

    /// What is asked at `now`.
    fn order(account: &Account, now: i64) -> Vec<String> {
        let workflows = workflows::Rules {
            now: Steady::at(at(now)),
            kapso_now: at(now),
            interval: SignedDuration::from_mins(1),
            ahead: SignedDuration::ZERO,
            watch_start: at(0),
            history: SignedDuration::from_hours(10),
            workflows_read: None,
        };
        let rules = Rules { workflows, longest: SignedDuration::from_mins(5) };
        let (mut queue, _) = queue(account, &rules);
        let name = |task| match task {
            Task::Conversation(id, executions) => format!("{id}: {}", executions.len()),
            Task::OfWorkflow(workflows::Task::Execution(id)) => id.to_string(),
            Task::OfWorkflow(workflows::Task::Workflow { work, .. }) => {
                format!("list of {}", work.open().len())
            }
        };
        std::iter::from_fn(|| queue.pop()).map(name).collect()
    }

    #[test]
    fn what_is_lively_is_asked_every_interval_and_what_is_quiet_every_few() {
        let now = 100 * HOUR;
        let account = account(&[("lively", "a", now - 600), ("quiet", "b", HOUR)], now);
        assert_eq!(order(&account, now + 59), Vec::<String>::new());
        assert_eq!(order(&account, now + 60), ["list of 1"]);
        assert_eq!(order(&account, now + 300), ["list of 2"]);
    }

    #[test]
    fn executions_of_one_conversation_that_are_asked_for_alone_are_asked_for_by_its_list() {
        let now = 100 * HOUR;
        let account = account(&[("one", "c", HOUR), ("another", "c", HOUR + 1), ("third", "d", HOUR)], now);
        let open = account.ledger.open_by_workflow().remove(0);
        let alone = open.into_iter().map(|execution| (1.0, execution)).collect();
        let tasks = by_conversation(&account, alone).into_iter().map(|(_, task)| match task {
            Task::Conversation(id, executions) => format!("{id}: {}", executions.len()),
            Task::OfWorkflow(workflows::Task::Execution(id)) => id.to_string(),
            Task::OfWorkflow(_) => panic!("a list of the workflow"),
        });
        assert_eq!(tasks.collect::<Vec<_>>(), ["c: 2", "third"]);
    }

    #[test]
    fn somebody_who_writes_makes_what_is_quiet_urgent() {
        let now = 100 * HOUR;
        let mut account = account(&[("quiet", "c", HOUR)], now);
        let written = Conversation {
            id: "c".into(),
            status: ConversationStatus::Active,
            last_active_at: Some(at(now + 30)),
        };
        account.learn_conversations(&page(vec![written], now + 40), SignedDuration::from_mins(1));
        assert_eq!(order(&account, now + 60), ["quiet"]);
    }
}
