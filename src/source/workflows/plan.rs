//! Which workflows to ask about: pure decisions over what is known.
//!
//! A workflow costs requests when it has something to tell: it is new, its `execution_count` or
//! `last_executed_at` moved, it is listed no more, or executions of it are open. Those are urgent, in the order
//! in which news is to be expected of them. The rest is the inventory: the history of each, read once, and a
//! slow round that looks at each as if it were new, since the two fields are not promised to tell everything.

use jiff::{SignedDuration, Timestamp};

use super::cover::{Cover, cover};
use crate::{
    execution::{WorkflowId, seconds_between},
    ledger::{Account, OpenExecution, Reach},
    source::queue::{self, Load, MOVED_WEIGHT, Queue, weight},
};

/// A list that was read this soon after a start may have missed it.
const SETTLING: SignedDuration = SignedDuration::from_mins(2);
/// Every workflow is looked at as if it were new after this time, or later if there are many.
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// Workflows that are looked at so in a beat.
const AT_REST_PER_BEAT: usize = 1;

/// What the plan goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// From one beat to the next: an open execution is to be looked at this often.
    pub interval: SignedDuration,
    /// What becomes due within this time is due already.
    pub ahead: SignedDuration,
    /// When the watch began.
    pub watch_start: Timestamp,
    /// History is read back to then.
    pub history_since: Timestamp,
    /// When the list of workflows was last read to the end.
    pub workflows_read: Option<Timestamp>,
}

/// Something to ask about a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Which.
    pub workflow: WorkflowId,
    /// What.
    pub work: Work,
}

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// See these open executions again, and what is new.
    Visit {
        /// Those that were open.
        open: Vec<OpenExecution>,
        /// The lists to read.
        cover: Cover,
        /// Every status is asked for, whether an execution is known to be in it or not.
        whole: bool,
    },
    /// Read what started between these, before the watch began.
    History {
        /// The beginning.
        since: Timestamp,
        /// The end.
        until: Timestamp,
    },
}

/// Why a workflow is due.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Need {
    since: Timestamp,
    weight: f64,
    /// There may be new executions.
    news: bool,
    /// It was never asked about.
    first: bool,
}

/// The plan at `now`, for accounts with their open executions.
#[must_use]
pub fn queue(
    accounts: &[Account],
    open: Vec<Vec<OpenExecution>>,
    rules: &Rules,
    now: Timestamp,
) -> (Queue<Task>, Load) {
    let mut urgent = Vec::new();
    let mut history = Vec::new();
    let mut at_rest = Vec::new();
    for (account, open) in accounts.iter().zip(open) {
        let visit = |open, cover, whole| Task {
            workflow: account.id.clone(),
            work: Work::Visit { open, cover, whole },
        };
        if let Some(need) = need(account, rules, now) {
            let urgency = need.weight * seconds_between(need.since, now);
            let cover = lists(account, &open, need, rules);
            urgent.push((urgency, visit(open, cover, need.first)));
        } else if let Some(since) = rechecked(account, rules, now) {
            at_rest.push((since, visit(open, Cover::whole(unread_since(account, rules)), true)));
        }
        if let Some(reach) = account.reach.filter(|reach| !account.gone && reach.since > rules.history_since)
        {
            let work = Work::History { since: rules.history_since, until: reach.since };
            history.push(Task { workflow: account.id.clone(), work });
        }
    }
    urgent.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    at_rest.sort_by_key(|&(since, _)| since);
    let at_rest = at_rest.into_iter().take(AT_REST_PER_BEAT).map(|(_, task)| task);
    let queue = Queue::new(urgent.into_iter().map(|(_, task)| task), history.into_iter().chain(at_rest));
    (queue, load(accounts, rules, now))
}

/// How much there is to do at `now`.
#[must_use]
pub fn load(accounts: &[Account], rules: &Rules, now: Timestamp) -> Load {
    let mut load = Load::default();
    let mut resting = 0;
    for account in accounts {
        if account.has_open_executions() {
            load.list(account.visited);
        }
        if let Some(need) = need(account, rules, now) {
            load.wait(need.since, now);
            load.due += 1;
        }
        resting += usize::from(is_listed(account));
    }
    load.round = queue::round(resting, AT_REST_PER_BEAT, rules.interval, RECHECK);
    load
}

fn lists(account: &Account, open: &[OpenExecution], need: Need, rules: &Rules) -> Cover {
    let unread_since = unread_since(account, rules);
    if need.first { Cover::whole(unread_since) } else { cover(open, unread_since, need.news) }
}

/// The list of new ones begins where it was read up to, the first time where the watch began.
fn unread_since(account: &Account, rules: &Rules) -> Timestamp {
    let start = Reach { since: rules.watch_start, until: rules.watch_start };
    account.reach.unwrap_or(start).unread_since()
}

/// Whether it is a workflow that can be asked about: the list of workflows shows or showed it.
fn is_listed(account: &Account) -> bool {
    !account.gone && (account.discovered.is_some() || account.reach.is_some())
}

fn need(account: &Account, rules: &Rules, now: Timestamp) -> Option<Need> {
    if !is_listed(account) {
        return None;
    }
    let (Some(reach), Some(visited)) = (account.reach, account.visited) else {
        let since = account.discovered.unwrap_or(now);
        return Some(Need { since, weight: MOVED_WEIGHT, news: true, first: true });
    };
    let next = |last: Timestamp| last.saturating_add(rules.interval).unwrap_or(last);
    let is_due = |since: &Timestamp| since.duration_since(now) <= rules.ahead;
    let moved = account.moved.filter(|&at| reach.until.duration_since(at) < SETTLING);
    let news = moved.map(|at| if at > reach.until { at } else { next(reach.until) });
    let news = news.or_else(|| account.doubtful.then(|| next(reach.until))).filter(is_due);
    let missing = is_missing(account, visited, rules, now).then(|| next(visited));
    let open = account.has_open_executions().then(|| next(visited)).filter(is_due);
    let since = [news, missing, open].into_iter().flatten().min()?;
    let weight = if news.is_some() { MOVED_WEIGHT } else { weight(account.last_event_at, now) };
    Some(Need { since, weight, news: news.is_some() || missing.is_some(), first: false })
}

/// Whether it left the list of workflows and was not asked about since: at once, then now and again.
fn is_missing(account: &Account, visited: Timestamp, rules: &Rules, now: Timestamp) -> bool {
    let Some(discovered) = account.discovered else { return false };
    let missed = rules.workflows_read.is_some_and(|read| read > discovered && read > visited);
    let first = visited.duration_since(discovered) <= rules.interval;
    missed && (first || now.duration_since(visited) >= RECHECK)
}

fn rechecked(account: &Account, rules: &Rules, now: Timestamp) -> Option<Timestamp> {
    let surveyed = account.surveyed.filter(|_| is_listed(account))?;
    let since = surveyed.saturating_add(RECHECK.max(rules.interval)).unwrap_or(surveyed);
    (since <= now).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Steady;
    use crate::{
        execution::{Execution, Flaws, ListedWorkflow, Page, Status, Workflow},
        ledger::{Ledger, Settings},
    };

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn rules(workflows_read: i64) -> Rules {
        Rules {
            interval: SignedDuration::from_mins(1),
            ahead: SignedDuration::ZERO,
            watch_start: at(0),
            history_since: at(-10 * HOUR),
            workflows_read: Some(at(workflows_read)),
        }
    }

    /// A workflow by its id, with so many executions ever.
    fn listed(ledger: &mut Ledger, workflows: &[(&str, u64)], now: i64) {
        let items = workflows.iter().map(|&(id, count)| ListedWorkflow {
            workflow: Workflow { id: id.into(), name: None },
            execution_count: Some(count),
            last_executed_at: None,
        });
        ledger.learn_workflows(&page(items.collect(), now));
    }

    fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
        Page {
            items,
            flaws: Flaws::default(),
            asked: now.unsigned_abs(),
            asked_at: Steady::at(at(now)),
            as_of: at(now),
            last: true,
        }
    }

    /// Visits a workflow that has open executions with these starts, and reads its history.
    fn visited(ledger: &mut Ledger, id: &str, open: &[i64], now: i64) {
        let items = open.iter().map(|&start| Execution {
            id: format!("{id}{start}").as_str().into(),
            workflow: Some(Workflow { id: id.into(), name: None }),
            conversation: None,
            status: Status::Waiting,
            started_at: Some(at(start)),
            last_event_at: Some(at(start)),
            ended_at: None,
            handoff: None,
            step: None,
        });
        let mut visit = ledger.visit(&id.into());
        ledger.see(&mut visit, &page(items.collect(), now), at(now));
        ledger.reached(&visit, at(-10 * HOUR), at(now), true);
        ledger.close_visit(&visit, true);
    }

    fn order(ledger: &Ledger, rules: &Rules, now: i64) -> Vec<Task> {
        let (mut queue, _) = queue(ledger.accounts(), ledger.open_by_account(at(now)), rules, at(now));
        std::iter::from_fn(|| queue.pop()).collect()
    }

    fn ids(tasks: &[Task]) -> Vec<&str> {
        tasks.iter().map(|task| task.workflow.as_str()).collect()
    }

    #[test]
    fn a_new_workflow_is_asked_for_every_status_and_what_is_new_and_then_for_its_history() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("w", 5)], 1);
        let [Task { work: Work::Visit { cover, whole, .. }, .. }] = &order(&ledger, &rules(1), 1)[..] else {
            panic!("one visit");
        };
        assert_eq!((cover, whole), (&Cover::whole(at(-2 * MINUTE)), &true));
        let mut visit = ledger.visit(&"w".into());
        ledger.see(&mut visit, &page(vec![], 2), at(2));
        ledger.reached(&visit, at(-2 * MINUTE), at(2), true);
        ledger.close_visit(&visit, true);
        let history = Work::History { since: at(-10 * HOUR), until: at(-2 * MINUTE) };
        assert_eq!(order(&ledger, &rules(1), 3), [Task { workflow: "w".into(), work: history }]);
    }

    #[test]
    fn a_workflow_that_stands_still_costs_nothing_until_its_turn_in_the_slow_round() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("a", 5), ("b", 5)], 1);
        visited(&mut ledger, "a", &[], 4 * MINUTE);
        visited(&mut ledger, "b", &[], 5 * MINUTE);
        listed(&mut ledger, &[("a", 5), ("b", 5)], HOUR);
        assert_eq!(order(&ledger, &rules(HOUR), HOUR), []);
        listed(&mut ledger, &[("a", 5), ("b", 5)], 2 * HOUR);
        assert_eq!(ids(&order(&ledger, &rules(2 * HOUR), 2 * HOUR)), ["a"], "one a beat");
    }

    #[test]
    fn a_move_is_read_at_once_and_again_until_it_has_settled() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("w", 5)], 1);
        visited(&mut ledger, "w", &[], 10 * MINUTE);
        listed(&mut ledger, &[("w", 6)], 11 * MINUTE);
        let asked: Vec<_> = (11..=15)
            .filter(|&minute| {
                let due = !order(&ledger, &rules(minute * MINUTE), minute * MINUTE).is_empty();
                if due {
                    visited(&mut ledger, "w", &[], minute * MINUTE);
                }
                due
            })
            .collect();
        assert_eq!(asked, [11, 12, 13]);
    }

    #[test]
    fn moved_comes_before_open_and_nobody_is_asked_again_within_an_interval() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("open", 1), ("moved", 1)], 1);
        visited(&mut ledger, "open", &[5], 10 * MINUTE);
        visited(&mut ledger, "moved", &[], 10 * MINUTE);
        listed(&mut ledger, &[("open", 1), ("moved", 2)], 10 * MINUTE + 30);
        assert_eq!(ids(&order(&ledger, &rules(10 * MINUTE + 30), 10 * MINUTE + 40)), ["moved"]);
        assert_eq!(ids(&order(&ledger, &rules(10 * MINUTE + 30), 11 * MINUTE + 5)), ["moved", "open"]);
    }

    #[test]
    fn a_workflow_that_is_listed_no_more_is_asked_whether_it_is_still_there() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("w", 1)], 10 * MINUTE);
        visited(&mut ledger, "w", &[], 10 * MINUTE + 1);
        assert_eq!(ids(&order(&ledger, &rules(11 * MINUTE), 11 * MINUTE + 2)), ["w"]);
        visited(&mut ledger, "w", &[], 11 * MINUTE + 2);
        assert_eq!(order(&ledger, &rules(12 * MINUTE), 12 * MINUTE), []);
        ledger.forget_workflow(&"w".into(), at(13 * MINUTE));
        assert_eq!(order(&ledger, &rules(9 * HOUR), 9 * HOUR), []);
    }

    #[test]
    fn a_workflow_that_only_executions_named_is_not_asked_about() {
        let mut ledger = Ledger::new(Settings::default());
        let mut listing = ledger.open(&"c".into(), true);
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
        ledger.read(&mut listing, &page(items, 2), at(2));
        ledger.close(&listing);
        assert_eq!(order(&ledger, &rules(HOUR), HOUR), []);
    }

    #[test]
    fn the_load_tells_how_much_is_due_and_how_late_it_is() {
        let mut ledger = Ledger::new(Settings::default());
        listed(&mut ledger, &[("a", 1), ("b", 1), ("rest", 1)], 1);
        visited(&mut ledger, "a", &[5], 4 * MINUTE);
        visited(&mut ledger, "b", &[5], 8 * MINUTE);
        visited(&mut ledger, "rest", &[], 9 * MINUTE);
        listed(&mut ledger, &[("a", 1), ("b", 1), ("rest", 1)], 10 * MINUTE);
        let expected = Load { due: 2, lateness: 300.0, oldest_list: Some(at(4 * MINUTE)), round: 3600.0 };
        assert_eq!(load(ledger.accounts(), &rules(10 * MINUTE), at(10 * MINUTE)), expected);
    }
}
