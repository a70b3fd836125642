//! The open executions of a workflow: how urgent each is, and whether it is due.

use jiff::{SignedDuration, Timestamp};

use super::{cover::Open, plan::Rules};
use crate::{
    account::{Account, KnownWorkflow, Treatment},
    crawl::{
        expectation::{LifeTable, MOST_WEIGHT, Urgency},
        queue::{Backlog, seconds},
    },
    ledger::OpenExecution,
    model::seconds_between,
};

/// An execution moves within this time after a message that moves it.
const MOVES_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// The open executions of a workflow.
pub struct Opened<'a> {
    pub account: &'a Account,
    pub workflow: KnownWorkflow<'a>,
    pub rules: &'a Rules,
}

impl Opened<'_> {
    /// Each of them, in the same order. Takes note in the backlog of those that are due.
    pub fn all(&self, open: Vec<OpenExecution>, backlog: &mut Backlog) -> Vec<Open> {
        let active = |execution: &OpenExecution| (self.age(execution) - self.idle(execution)).max(0.0);
        let active: Vec<_> = open.iter().map(active).collect();
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
        open.into_iter().map(one).collect()
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
