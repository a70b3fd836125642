//! Which workflows to ask about: pure decisions over what is known.
//!
//! A workflow costs requests when it has something to tell: it is new, its `execution_count` or
//! `last_executed_at` moved, it is listed no more, or executions of it are open. Those are urgent, in the order
//! in which news is to be expected of them. The rest is the inventory: the history of each, read once, and a
//! slow full scan that asks each for every open status, since the two fields are not promised to tell everything, and
//! an execution may be resumed.
//!
//! The slow full scan takes one workflow a pass. One at rest is looked at as if it were new. One that is due anyhow is
//! asked in the same visit for the statuses that it would leave out, less often; where it leaves out none, that visit
//! was its turn.

use jiff::{SignedDuration, Timestamp};

use super::fetch_plan::{FetchPlan, News, fetch_plan};
use crate::{
    account::{Account, KnownWorkflow},
    clock::Steady,
    crawl::queue::{self, Backlog, MOVED_WEIGHT, Queue, seconds, weight},
    frontier::WorkflowFrontier,
    ledger::OpenExecution,
    model::{ExecutionId, WorkflowId},
};

/// A list that was read this soon after a start may have missed it.
const START_DELAY: SignedDuration = SignedDuration::from_mins(2);
/// A workflow at rest is asked for every open status after this time, or later if there are many; …
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// … one that is due anyhow after this one, since that takes requests from what is urgent.
const RECHECK_BUSY: SignedDuration = SignedDuration::from_hours(3);
/// Workflows that have their turn in a pass.
const TURNS_PER_PASS: usize = 1;

/// What the plan goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The present moment.
    pub now: Steady,
    /// The same in Kapso's clock.
    pub kapso_now: Timestamp,
    /// From one pass to the next: an open execution is to be looked at this often.
    pub interval: SignedDuration,
    /// What becomes due within this time is due already.
    pub ahead: SignedDuration,
    /// When the watch began, in Kapso's clock.
    pub watch_start: Timestamp,
    /// History is read back for so long before the watch.
    pub history: SignedDuration,
    /// When the list of workflows was last read to the end.
    pub workflows_read: Option<Steady>,
}

/// Something to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// About a workflow.
    Workflow {
        /// Which.
        workflow: WorkflowId,
        /// What.
        work: FetchTask,
    },
    /// For an execution by itself.
    Execution(ExecutionId),
}

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchTask {
    /// See these open executions again, and what is new.
    Visit {
        /// Those that were open.
        open: Vec<OpenExecution>,
        /// The lists to read.
        fetch_plan: FetchPlan,
        /// Which of the workflow's visits it is.
        part: Part,
    },
    /// Read what started between these, before the watch began.
    History {
        /// The beginning.
        since: Timestamp,
        /// The end.
        until: Timestamp,
    },
}

/// A visit may be about all that is open in a workflow, or about a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// What started since some moment.
    Recent,
    /// What started before that.
    Older,
}

impl FetchTask {
    /// The executions that are known to be open.
    pub fn open(&self) -> Vec<ExecutionId> {
        match self {
            Self::Visit { open, .. } => open.iter().map(|execution| execution.id.clone()).collect(),
            Self::History { .. } => Vec::new(),
        }
    }
}

/// Why a workflow is due.
#[derive(Debug, Clone, Copy, PartialEq)]
struct DueReason {
    since: Steady,
    weight: f64,
    news: News,
    /// It was never asked about.
    first: bool,
}

/// The plan, with the executions that are asked for one by one and the moments since when they are due.
#[must_use]
pub fn queue(
    account: &Account,
    singles: Vec<(Steady, ExecutionId)>,
    rules: &Rules,
) -> (Queue<Task>, Backlog) {
    let (mut urgent, mut history, mut at_rest) = (Vec::new(), Vec::new(), None);
    let mut backlog = backlog(account, rules);
    let workflows: Vec<_> = account.workflows().collect();
    let turn = turn(&workflows, rules);
    let mut open = account.ledger.open_with_counts(rules.kapso_now);
    for workflow in workflows {
        let KnownWorkflow { number, counted, .. } = workflow;
        let open = std::mem::take(&mut open[number]);
        let task = |work| Task::Workflow { workflow: counted.id.clone(), work };
        let visit = |open, fetch_plan| task(FetchTask::Visit { open, fetch_plan, part: Part::Whole });
        if let Some(due_reason) = due_reason(workflow, rules) {
            let urgency = due_reason.weight * seconds(due_reason.since, rules.now);
            let unread_since = unread_since(workflow, rules);
            let fetch_plan = match due_reason.first {
                true => FetchPlan::whole(unread_since),
                false if turn == Some(&counted.id) => {
                    fetch_plan(&open, unread_since, due_reason.news).with_every_status()
                }
                false => fetch_plan(&open, unread_since, due_reason.news),
            };
            urgent.push((urgency, visit(open, fetch_plan)));
        } else if turn == Some(&counted.id) {
            at_rest = Some(visit(open, FetchPlan::whole(unread_since(workflow, rules))));
        }
        if let Some((since, until)) = unread_history(workflow, rules) {
            history.push(task(FetchTask::History { since, until }));
        }
    }
    for (since, id) in singles {
        backlog.wait(since, rules.now);
        backlog.due += 1;
        urgent.push((seconds(since, rules.now), Task::Execution(id)));
    }
    // Those that are not due yet keep the order of the workflows from sweep to sweep, and so an even distance.
    urgent.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    (Queue::new(urgent.into_iter().map(|(_, task)| task), history.into_iter().chain(at_rest)), backlog)
}

/// How much there is to do.
#[must_use]
pub fn backlog(account: &Account, rules: &Rules) -> Backlog {
    let mut backlog = Backlog::default();
    let mut resting = 0;
    for workflow in account.workflows() {
        let KnownWorkflow { counted, read, .. } = workflow;
        if counted.has_open_executions() {
            backlog.list(read.visited, rules.now, rules.kapso_now);
        }
        if let Some(due_reason) = due_reason(workflow, rules) {
            backlog.wait(due_reason.since, rules.now);
            backlog.due += 1;
        }
        backlog.failing += usize::from(read.attempts.is_failing());
        resting += usize::from(read.is_listed());
    }
    backlog.full_scan_seconds = full_scan_seconds(resting, rules);
    backlog
}

/// How long it takes until each of so many workflows has had its turn.
pub fn full_scan_seconds(workflows: usize, rules: &Rules) -> f64 {
    queue::full_scan_seconds(workflows, TURNS_PER_PASS, rules.interval, RECHECK)
}

/// The beginning and the end of the history that is not read yet.
pub fn unread_history(workflow: KnownWorkflow<'_>, rules: &Rules) -> Option<(Timestamp, Timestamp)> {
    let KnownWorkflow { counted, read, .. } = workflow;
    let is_due = read.attempts.postpone(rules.now, rules.interval) <= rules.now;
    let since =
        counted.watch_start(rules.watch_start).saturating_sub(rules.history).unwrap_or(Timestamp::MIN);
    let covered = read.covered.filter(|covered| is_due && !read.deleted && covered.since > since)?;
    Some((since, covered.since))
}

/// The list of new ones begins where it was read up to, the first time where the watch began.
pub fn unread_since(workflow: KnownWorkflow<'_>, rules: &Rules) -> Timestamp {
    let watch_start = workflow.counted.watch_start(rules.watch_start);
    let first = watch_start.saturating_sub(START_DELAY).unwrap_or(Timestamp::MIN);
    workflow.read.unread_since().unwrap_or(first)
}

fn due_reason(workflow: KnownWorkflow<'_>, rules: &Rules) -> Option<DueReason> {
    if !workflow.read.is_listed() {
        return None;
    }
    let due_reason = undelayed(workflow, rules)?;
    let since = workflow.read.attempts.postpone(due_reason.since, rules.interval);
    (since.since(rules.now) <= rules.ahead).then_some(DueReason { since, ..due_reason })
}

fn undelayed(workflow: KnownWorkflow<'_>, rules: &Rules) -> Option<DueReason> {
    let counted = workflow.counted;
    let (visited, news, missing) = match lists_due(workflow, rules) {
        ListsDue::First { since } => {
            return Some(DueReason { since, weight: MOVED_WEIGHT, news: News::Expected, first: true });
        }
        ListsDue::Again { visited, news, missing } => (visited, news, missing),
    };
    let is_due = |since: &Steady| since.since(rules.now) <= rules.ahead;
    let open = counted.has_open_executions().then(|| visited.plus(rules.interval)).filter(is_due);
    let since = [news, missing, open].into_iter().flatten().min()?;
    let weight = if news.is_some() { MOVED_WEIGHT } else { weight(counted.last_event_at, rules.kapso_now) };
    let news = if news.or(missing).is_some() { News::Expected } else { News::None };
    Some(DueReason { since, weight, news, first: false })
}

/// Since when a workflow's lists are due, whatever is open in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ListsDue {
    /// It was never asked about.
    First {
        /// Since it was discovered.
        since: Steady,
    },
    /// It was asked about before.
    Again {
        /// When it last was.
        visited: Steady,
        /// Since when there may be new executions that it has not shown.
        news: Option<Steady>,
        /// Since when it is to be asked whether it is still there.
        missing: Option<Steady>,
    },
}

/// Whether there is anything to be learned of a workflow beside its open executions.
pub fn lists_due(workflow: KnownWorkflow<'_>, rules: &Rules) -> ListsDue {
    let read = workflow.read;
    let (Some(covered_at), Some(visited)) = (read.covered_at, read.visited) else {
        return ListsDue::First { since: read.discovered.unwrap_or(rules.now) };
    };
    let next = |last: Steady| last.plus(rules.interval);
    let is_due = |since: &Steady| since.since(rules.now) <= rules.ahead;
    let moved = read.moved.filter(|&at| covered_at.since(at) < START_DELAY);
    let moved = moved.map(|at| if at > covered_at { at } else { next(covered_at) });
    let again = read.doubtful.then(|| next(covered_at));
    let news = [moved, again, read.owes_since(rules.interval)].into_iter().flatten().min().filter(is_due);
    let missing = is_missing(read, visited, rules).then(|| next(visited));
    ListsDue::Again { visited, news, missing }
}

/// Whether it left the list of workflows and was not asked about since: at once, then now and again; or whether it
/// was not there when it was asked about.
fn is_missing(read: &WorkflowFrontier, visited: Steady, rules: &Rules) -> bool {
    if read.is_in_doubt() {
        return true;
    }
    let Some(discovered) = read.discovered else { return false };
    let missed = rules.workflows_read.is_some_and(|read| read > discovered && read > visited);
    let first = visited.since(discovered) <= rules.interval;
    missed && (first || rules.now.since(visited) >= RECHECK)
}

/// The workflow that has its turn in the slow full scan: the one that has waited for longest.
pub fn turn<'a>(workflows: &[KnownWorkflow<'a>], rules: &Rules) -> Option<&'a WorkflowId> {
    let due_since = |(number, workflow): (usize, &KnownWorkflow<'a>)| {
        let pause = match due_reason(*workflow, rules) {
            None => RECHECK,
            Some(_) => spread(RECHECK_BUSY, number, workflows.len()),
        };
        Some((recheck_due(workflow.read, pause, rules)?, &workflow.counted.id))
    };
    workflows.iter().enumerate().filter_map(due_since).min().map(|(_, id)| id)
}

/// Up to a quarter less, so that those that were new together do not have their turns together for good.
#[allow(clippy::cast_precision_loss, reason = "a count of what is in memory")]
fn spread(pause: SignedDuration, number: usize, of: usize) -> SignedDuration {
    pause - pause.mul_f64(number as f64 / of as f64 / 4.0)
}

fn recheck_due(read: &WorkflowFrontier, pause: SignedDuration, rules: &Rules) -> Option<Steady> {
    let surveyed = read.surveyed.filter(|_| read.is_listed())?;
    let since = read.attempts.postpone(surveyed.plus(pause.max(rules.interval)), rules.interval);
    (since <= rules.now).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Steady;
    use crate::{
        account::{Account, Order, Settings, Statuses, VisitedList},
        model::{Execution, ListedWorkflow, Page, Reading, Status, Workflow},
    };

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn steady(seconds: i64) -> Steady {
        Steady::at(at(seconds))
    }

    /// At `now`, with the list of workflows last read then.
    fn rules(workflows_read: i64, now: i64) -> Rules {
        Rules {
            now: steady(now),
            kapso_now: at(now),
            interval: SignedDuration::from_mins(1),
            ahead: SignedDuration::ZERO,
            watch_start: at(0),
            history: SignedDuration::from_hours(10),
            workflows_read: Some(steady(workflows_read)),
        }
    }

    /// A workflow by its id, with so many executions ever.
    fn listed(account: &mut Account, workflows: &[(&str, u64)], now: i64) {
        let items = workflows.iter().map(|&(id, count)| ListedWorkflow {
            workflow: Workflow { id: id.into(), name: None },
            execution_count: Some(count),
            last_executed_at: None,
        });
        account.learn_workflows(&page(items.collect(), now));
    }

    fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
        Page::whole(items, now.unsigned_abs(), at(now))
    }

    /// Visits a workflow that has open executions with these starts, and reads its history.
    fn visited(account: &mut Account, id: &str, open: &[i64], now: i64) {
        let items = open.iter().map(|&start| Execution {
            workflow: Some(Workflow { id: id.into(), name: None }),
            ..Execution::waiting(&format!("{id}{start}"), at(start))
        });
        let mut visit = account.visit(&id.into());
        account.see(&mut visit, VisitedList::ByStart, &page(items.collect(), now), at(now));
        account.reached(&visit, at(-10 * HOUR), Reading::clean(at(now)));
        account.close_visit(&visit, Statuses::Every);
    }

    fn order(account: &Account, workflows_read: i64, now: i64) -> Vec<Task> {
        let (mut queue, _) = queue(account, Vec::new(), &rules(workflows_read, now));
        std::iter::from_fn(|| queue.pop()).collect()
    }

    fn name(task: &Task) -> &str {
        match task {
            Task::Workflow { workflow, .. } => workflow.as_str(),
            Task::Execution(id) => id.as_str(),
        }
    }

    fn ids(tasks: &[Task]) -> Vec<&str> {
        tasks.iter().map(name).collect()
    }

    #[test]
    fn a_new_workflow_is_asked_for_every_status_and_what_is_new_and_then_for_its_history() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("w", 5)], 1);
        let [Task::Workflow { work: FetchTask::Visit { fetch_plan, .. }, .. }] = &order(&account, 1, 1)[..]
        else {
            panic!("one visit");
        };
        assert_eq!(fetch_plan, &FetchPlan::whole(at(-2 * MINUTE)));
        assert_eq!(fetch_plan.asked(), Statuses::Every);
        let mut visit = account.visit(&"w".into());
        account.see(&mut visit, VisitedList::ByStart, &page(vec![], 2), at(2));
        account.reached(&visit, at(-2 * MINUTE), Reading::clean(at(2)));
        account.close_visit(&visit, Statuses::Every);
        let history = FetchTask::History { since: at(-10 * HOUR), until: at(-2 * MINUTE) };
        assert_eq!(order(&account, 1, 3), [Task::Workflow { workflow: "w".into(), work: history }]);
    }

    #[test]
    fn a_workflow_that_stands_still_costs_nothing_until_its_turn_in_the_slow_round() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("a", 5), ("b", 5)], 1);
        visited(&mut account, "a", &[], 4 * MINUTE);
        visited(&mut account, "b", &[], 5 * MINUTE);
        listed(&mut account, &[("a", 5), ("b", 5)], HOUR);
        assert_eq!(order(&account, HOUR, HOUR), []);
        listed(&mut account, &[("a", 5), ("b", 5)], 2 * HOUR);
        assert_eq!(ids(&order(&account, 2 * HOUR, 2 * HOUR)), ["a"], "one a pass");
    }

    #[test]
    fn a_busy_workflow_is_asked_for_every_status_every_three_hours() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("w", 1)], 1);
        visited(&mut account, "w", &[5], 10 * MINUTE);
        let last = account.visit_at(&"w".into(), steady(70 * MINUTE));
        account.close_visit(&last, Statuses::Known);
        let is_whole = |minute| {
            let tasks = order(&account, 2, minute * MINUTE);
            let [Task::Workflow { work: FetchTask::Visit { fetch_plan, .. }, .. }] = &tasks[..] else {
                panic!("one visit: {tasks:?}");
            };
            fetch_plan.asked() == Statuses::Every
        };
        assert_eq!([71, 189, 190].map(is_whole), [false, false, true]);
    }

    #[test]
    fn a_workflow_with_open_executions_in_every_status_needs_no_turn() {
        let statuses = [Status::Running, Status::Waiting, Status::Handoff];
        let all: Vec<_> = statuses
            .repeat(2)
            .into_iter()
            .map(|status| OpenExecution::started(status, at(0), None))
            .collect();
        assert_eq!(fetch_plan(&all, at(0), News::None).asked(), Statuses::Every);
        assert_eq!(fetch_plan(&all[..1], at(0), News::None).asked(), Statuses::Known);
    }

    #[test]
    fn a_move_is_read_at_once_until_it_has_settled_and_then_less_and_less_often_until_its_start_is_seen() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("w", 5)], 1);
        visited(&mut account, "w", &[], 10 * MINUTE);
        listed(&mut account, &[("w", 6)], 11 * MINUTE);
        let asked: Vec<_> = (11..=30)
            .filter(|&minute| {
                let due = !order(&account, minute * MINUTE, minute * MINUTE).is_empty();
                if due {
                    visited(&mut account, "w", &[], minute * MINUTE);
                }
                due
            })
            .collect();
        assert_eq!(asked, [11, 12, 13, 15, 19, 27]);
    }

    #[test]
    fn moved_comes_before_open_and_nobody_is_asked_again_within_an_interval() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("open", 1), ("moved", 1)], 1);
        visited(&mut account, "open", &[5], 10 * MINUTE);
        visited(&mut account, "moved", &[], 10 * MINUTE);
        listed(&mut account, &[("open", 1), ("moved", 2)], 10 * MINUTE + 30);
        assert_eq!(ids(&order(&account, 10 * MINUTE + 30, 10 * MINUTE + 40)), ["moved"]);
        assert_eq!(ids(&order(&account, 10 * MINUTE + 30, 11 * MINUTE + 5)), ["moved", "open"]);
    }

    #[test]
    fn a_workflow_that_is_listed_no_more_is_asked_whether_it_is_still_there() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("w", 1)], 10 * MINUTE);
        visited(&mut account, "w", &[], 10 * MINUTE + 1);
        assert_eq!(ids(&order(&account, 11 * MINUTE, 11 * MINUTE + 2)), ["w"]);
        visited(&mut account, "w", &[], 11 * MINUTE + 2);
        assert_eq!(order(&account, 12 * MINUTE, 12 * MINUTE), []);
        for minute in 13..=23 {
            account.workflow_not_found(&"w".into(), steady(minute * MINUTE), at(minute * MINUTE));
        }
        assert_eq!(order(&account, 9 * HOUR, 9 * HOUR), []);
    }

    #[test]
    fn a_workflow_that_only_executions_named_is_not_asked_about() {
        let mut account = Account::new(Settings::default());
        let mut listing = account.open(&"c".into(), Order::NewestFirst);
        let items = vec![Execution {
            id: "e".into(),
            workflow: None,
            conversation: None,
            status: Status::Running,
            started_at: Some(at(1)),
            last_event_at: None,
            ended_at: None,
            handoff: None,
            step: None,
        }];
        account.read(&mut listing, &page(items, 2), at(2));
        account.close(&listing);
        assert_eq!(order(&account, HOUR, HOUR), []);
    }

    #[test]
    fn the_load_tells_how_much_is_due_and_how_late_it_is() {
        let mut account = Account::new(Settings::default());
        listed(&mut account, &[("a", 1), ("b", 1), ("rest", 1)], 1);
        visited(&mut account, "a", &[5], 4 * MINUTE);
        visited(&mut account, "b", &[5], 8 * MINUTE);
        visited(&mut account, "rest", &[], 9 * MINUTE);
        listed(&mut account, &[("a", 1), ("b", 1), ("rest", 1)], 10 * MINUTE);
        let oldest_list = Some(at(4 * MINUTE));
        let expected =
            Backlog { due: 2, lateness: 300.0, oldest_list, full_scan_seconds: 3600.0, failing: 0 };
        assert_eq!(backlog(&account, &rules(10 * MINUTE, 10 * MINUTE)), expected);
    }
}
