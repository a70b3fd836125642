//! The ledger: what is known, and what was counted.
//!
//! A pure fold. Sources hand in the pages they read, with the time they asked for them; the ledger updates what
//! it knows and counts each event once. It does no I/O and has no clock, so a store can stand behind it.
//!
//! **News and history.** An event counts if its own timestamp is not before the watch began. Older ones are
//! history: they show in the current state and are never counted, whenever they are found.
//!
//! **Exactly once.** An execution is remembered by id while it is open or within the lookback after its end.
//! It is forgotten only after its list was completely read since its end; its conversation then keeps one
//! time, `settled`: everything that started up to it and is not remembered was counted before. So memory is
//! bounded by what is current, and an old list that is read again counts nothing again.
//!
//! **Order.** Answers may overtake each other: an observation that was asked for before the one on record is
//! ignored.

mod conversation;
mod current;
mod entry;
mod histogram;
mod listing;
#[cfg(test)]
mod tests;
mod totals;

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use self::entry::{Entry, Judge};
pub use self::{
    conversation::Record,
    current::{AtStep, ByStatus, Current, OpenInConversation},
    histogram::{Buckets, Histogram},
    listing::Listing,
    totals::{Event, Totals},
};
use crate::execution::{
    Conversation, ConversationId, Execution, ExecutionId, ListedWorkflow, Page, Workflow, WorkflowId,
};

/// The workflow of executions whose API answer names none.
pub const NO_WORKFLOW: &str = "unknown";

/// What a ledger has to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a finished execution stays in the current state.
    pub lookback: SignedDuration,
    /// How long a conversation without activity and without open executions is watched.
    pub conversation_max_age: SignedDuration,
    /// Bounds of the histograms.
    pub buckets: Buckets,
}

impl Default for Settings {
    /// What the flags say unless they are given.
    fn default() -> Self {
        Self {
            lookback: SignedDuration::from_hours(24),
            conversation_max_age: SignedDuration::from_hours(24 * 7),
            buckets: Buckets::default(),
        }
    }
}

/// The account of one workflow.
#[derive(Debug)]
pub struct Account {
    /// Identity.
    pub id: WorkflowId,
    /// The name it was last seen with.
    name: Option<Arc<str>>,
    /// The newest `last_event_at` of its executions.
    pub last_event_at: Option<Timestamp>,
    /// `execution_count`, as the API last said.
    pub execution_count: Option<u64>,
    /// What was counted.
    pub totals: Totals,
}

impl Account {
    /// The display name; the id where the API gives none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }
}

/// The account of all executions of one project in one API.
#[derive(Debug)]
pub struct Ledger {
    settings: Settings,
    watch_start: Option<Timestamp>,
    accounts: Vec<Account>,
    account_of: HashMap<WorkflowId, usize>,
    records: Vec<Record>,
    record_of: HashMap<ConversationId, usize>,
    executions: HashMap<ExecutionId, Entry>,
}

/// The circumstances of an observation; all times in Kapso's clock.
#[derive(Debug, Clone, Copy)]
struct Observed {
    /// Index of the conversation's record.
    record: usize,
    /// When the page was asked for.
    as_of: Timestamp,
    /// When it was taken in.
    now: Timestamp,
    /// When the reading of the list began.
    since: Timestamp,
    judge: Judge,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            watch_start: None,
            accounts: Vec::new(),
            account_of: HashMap::new(),
            records: Vec::new(),
            record_of: HashMap::new(),
            executions: HashMap::new(),
        }
    }

    /// Says when watching began, in Kapso's clock. Only the first call counts; it comes before any page.
    pub fn watch_from(&mut self, at: Timestamp) {
        self.watch_start.get_or_insert(at);
    }

    /// When watching began, in Kapso's clock.
    #[must_use]
    pub fn watch_start(&self) -> Option<Timestamp> {
        self.watch_start
    }

    /// The accounts of all workflows ever seen, in the order of their first sight.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// All conversations ever seen.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many executions are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.executions.len()
    }

    /// How many executions are open.
    #[must_use]
    pub fn open_executions(&self) -> usize {
        self.records.iter().filter(|record| !record.gone).map(|record| record.open).sum()
    }

    /// Takes in a page of the list of workflows.
    pub fn learn_workflows(&mut self, page: &Page<ListedWorkflow>) {
        for listed in &page.items {
            let account = self.account(Some(&listed.workflow));
            self.accounts[account].execution_count = listed.execution_count;
        }
    }

    /// Takes in a page of the list of conversations.
    pub fn learn_conversations(&mut self, page: &Page<Conversation>) {
        for conversation in &page.items {
            let record = self.record(&conversation.id);
            self.records[record].learn(conversation, page.as_of);
        }
    }

    /// Takes note that the API no longer has a conversation: its executions leave the current state. What was
    /// counted stays counted.
    /// Returns whether that is news.
    pub fn forget_conversation(&mut self, id: &ConversationId) -> bool {
        let record = self.record(id);
        !std::mem::replace(&mut self.records[record].gone, true)
    }

    /// Forgets the executions whose lookback has passed and that can never be counted again.
    pub fn prune(&mut self, now: Timestamp) {
        for record in 0..self.records.len() {
            self.prune_conversation(record, now);
        }
    }

    fn account(&mut self, workflow: Option<&Workflow>) -> usize {
        let id = workflow.map_or_else(|| NO_WORKFLOW.into(), |workflow| workflow.id.clone());
        let index = *self.account_of.entry(id).or_insert_with_key(|id| {
            self.accounts.push(Account {
                id: id.clone(),
                name: None,
                last_event_at: None,
                execution_count: None,
                totals: Totals::new(&self.settings.buckets),
            });
            self.accounts.len() - 1
        });
        if let Some(name) = workflow.and_then(|workflow| workflow.name.as_ref()) {
            self.accounts[index].name = Some(name.clone());
        }
        index
    }

    fn record(&mut self, id: &ConversationId) -> usize {
        if let Some(&index) = self.record_of.get(id) {
            return index;
        }
        self.records.push(Record::new(id.clone()));
        self.record_of.insert(id.clone(), self.records.len() - 1);
        self.records.len() - 1
    }

    /// Takes in one execution. Returns whether it was known before the reading began.
    fn observe(&mut self, seen: &Execution, at: Observed) -> bool {
        let Observed { record, as_of, now, since, judge } = at;
        let settled = self.records[record].settled;
        if !self.executions.contains_key(&seen.id) && seen.position().is_some_and(|at| Some(at) <= settled) {
            return true;
        }
        let account = seen.workflow.as_ref().map(|workflow| self.account(Some(workflow)));
        let account = account
            .or_else(|| self.executions.get(&seen.id).map(|entry| entry.workflow))
            .unwrap_or_else(|| self.account(None));
        let was_known = self.executions.get(&seen.id).is_some_and(|entry| entry.as_of < since);
        let entry = self.executions.entry(seen.id.clone()).or_insert_with(|| {
            self.records[record].executions.push(seen.id.clone());
            Entry::unseen(account, record, as_of)
        });
        if as_of < entry.as_of {
            return was_known;
        }
        entry.workflow = account;
        let was_open = entry.is_open();
        let events = entry.observe(seen, as_of, judge);
        let record = &mut self.records[entry.conversation];
        record.open = record.open + usize::from(entry.is_open()) - usize::from(was_open);
        record.last_event_at = record.last_event_at.max(seen.last_event_at);
        let account = &mut self.accounts[account];
        account.last_event_at = account.last_event_at.max(seen.last_event_at);
        for event in &events {
            account.totals.count(event, now);
        }
        was_known
    }

    fn prune_conversation(&mut self, record: usize, now: Timestamp) {
        let Self { records, executions, settings, .. } = self;
        let record = &mut records[record];
        let Some(listed) = record.listed.filter(|_| record.clean || record.gone) else {
            return;
        };
        let mut settled = record.settled;
        record.executions.retain(|id| {
            let Some(entry) = executions.get(id) else {
                return false;
            };
            let over = entry.ended_at.or(entry.last_event_at).unwrap_or(entry.as_of);
            let past = now.duration_since(over) > settings.lookback;
            let open = entry.is_open() && !record.gone;
            if open || !past || entry.position.is_none() || listed <= over {
                return true;
            }
            settled = settled.max(entry.position);
            record.open -= usize::from(entry.is_open());
            executions.remove(id);
            false
        });
        record.settled = settled;
    }
}
