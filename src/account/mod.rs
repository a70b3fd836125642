//! The account of a project in one API: what was counted (the ledger), and what was read (the frontier).
//!
//! The two stand behind one lock and are saved together (`saved`), so that neither is ever ahead of the other. Whoever
//! reads a list hands in its pages: their executions go into the ledger one by one, each in the same way
//! (`Account::apply`), and what the reading covered goes into the frontier.

mod archive;
mod known;
mod listing;
mod phone_numbers;
mod rows;
mod saved;
#[cfg(test)]
mod tests;
mod versions;
mod visit;

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

pub use self::{
    known::{KnownConversation, KnownWorkflow},
    listing::{Listing, Order},
    saved::{Changes, Damaged, Row, Saved, VERSION},
    visit::{Statuses, Visit, VisitedList},
};
pub use crate::ledger::Scope;
use crate::{
    clock::Steady,
    frontier::{ConversationFrontier, Frontier, PhoneNumber},
    ledger::{Applied, Buckets, Current, Ledger, Observation, OpenInConversation, Origin, Taken},
    model::{Conversation, ConversationId, Delivery, Execution, ExecutionId, ListedWorkflow, Page},
};

/// What an account has to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a finished execution stays in the current state.
    pub lookback: SignedDuration,
    /// How long it is remembered at least, so that one that lists hide for a while is not taken for forgotten: longer
    /// than from one whole reading of a list to the next.
    pub remembered: SignedDuration,
    /// How long a conversation without activity and without open executions is watched.
    pub conversation_max_age: SignedDuration,
    /// The current state is no longer shown if nothing was learned for so long.
    pub max_staleness: SignedDuration,
    /// Bounds of the histograms.
    pub buckets: Buckets,
    /// Which workflows are watched.
    pub scope: Scope,
    /// Only conversations of phone numbers with these ids are watched; none = all.
    pub phone_number_ids: Vec<String>,
    /// Whether webhook deliveries tell of outcomes, too.
    pub expects_deliveries: bool,
    /// Whether open executions are told apart by what is to be expected of them.
    pub treatment: Treatment,
}

/// Whether open executions are told apart by what is to be expected of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Treatment {
    /// By what was learned of their workflows.
    #[default]
    Learned,
    /// All are alike, which benchmarks compare with.
    Equal,
}

impl Default for Settings {
    /// What the flags say unless they are given.
    fn default() -> Self {
        Self {
            lookback: SignedDuration::from_hours(24),
            remembered: SignedDuration::from_hours(2),
            conversation_max_age: SignedDuration::from_hours(24 * 7),
            max_staleness: SignedDuration::from_mins(10),
            buckets: Buckets::default(),
            scope: Scope::default(),
            phone_number_ids: Vec::new(),
            expects_deliveries: false,
            treatment: Treatment::default(),
        }
    }
}

/// What was counted and what was read of one project in one API.
#[derive(Debug)]
pub struct Account {
    /// What was counted.
    pub ledger: Ledger,
    /// What was read.
    pub frontier: Frontier,
    conversation_max_age: SignedDuration,
    max_staleness: SignedDuration,
    /// Only their conversations are watched; none = all.
    phone_numbers: BTreeSet<PhoneNumber>,
    /// How many times workflows were let in.
    times_let_in: u64,
    treatment: Treatment,
    /// Whether the lists of all conversations are read.
    lists_conversations: bool,
}

/// Which lists are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListedBy {
    /// Those of conversations.
    pub conversations: bool,
    /// Those of workflows.
    pub workflows: bool,
}

impl Account {
    /// Goes on with other settings. What was counted stays.
    pub fn configure(&mut self, settings: Settings) {
        let Settings { lookback, remembered, conversation_max_age, max_staleness, .. } = settings;
        let Settings { buckets, scope, phone_number_ids, expects_deliveries, treatment, .. } = settings;
        self.treatment = treatment;
        self.ledger.configure(lookback, remembered, buckets, scope);
        self.ledger.expect_deliveries(expects_deliveries);
        (self.conversation_max_age, self.max_staleness) = (conversation_max_age, max_staleness);
        let phone_numbers = phone_number_ids.iter().map(|id| id.as_str().into()).collect();
        if self.phone_numbers != phone_numbers {
            self.phone_numbers = phone_numbers;
            self.restrict_to_scope();
        }
    }

    /// An account in which there is nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { lookback, remembered, conversation_max_age, max_staleness, .. } = settings;
        let Settings { buckets, scope, phone_number_ids, expects_deliveries, treatment, .. } = settings;
        let phone_numbers = phone_number_ids.iter().map(|id| id.as_str().into()).collect();
        let mut ledger = Ledger::new(lookback, remembered, buckets, scope);
        ledger.expect_deliveries(expects_deliveries);
        Self {
            ledger,
            frontier: Frontier::default(),
            conversation_max_age,
            max_staleness,
            phone_numbers,
            times_let_in: 0,
            treatment,
            lists_conversations: true,
        }
    }

    /// Says when watching began, in Kapso's clock, if that is not known, and begins to watch the workflows that are to be
    /// let in: since this program `began`, or now.
    pub fn watch(&mut self, began: Timestamp, now: Timestamp) {
        self.ledger.watch_from(began);
        self.ledger.note_began(began);
        self.let_in(began, now);
    }

    /// Begins to watch the workflows that are to be let in. All lists that may have shown them are to be read again.
    pub fn let_in(&mut self, began: Timestamp, now: Timestamp) {
        let let_in = self.ledger.let_in(began, now);
        for &number in &let_in {
            self.frontier.workflows.change(number).begin_anew();
        }
        if !let_in.is_empty() {
            self.times_let_in += 1;
            for (number, _) in self.ledger.conversations.iter() {
                self.frontier.conversations.change(number as usize).doubt();
            }
        }
    }

    /// Takes in one execution, at `now` in Kapso's clock.
    fn apply(&mut self, seen: Observation<'_>, now: Timestamp) -> Applied {
        let applied = self.ledger.apply(seen, &self.frontier, now);
        if let Some(place) = applied.conversation {
            self.frontier.follow(place);
        }
        applied
    }

    /// Takes in an execution that was asked for by itself, at `now` in Kapso's clock.
    pub fn see_one(&mut self, page: &Page<Execution>, now: Timestamp) {
        self.frontier.note_learned(page.requested_at);
        for seen in Observation::all(page, Origin::Fetched) {
            self.apply(seen, now);
        }
    }

    /// Takes in a webhook delivery, at `now` in Kapso's clock. Of a conversation that is not of a phone number that is
    /// watched it takes nothing.
    pub fn deliver(&mut self, delivery: &Delivery, now: Timestamp) -> Taken {
        if !self.may_take(delivery) {
            return Taken::Ignored;
        }
        self.ledger.deliver(delivery, now)
    }

    /// Keeps a delivery until the API shows its execution.
    pub fn hold(&mut self, delivery: &Delivery, now: Timestamp) -> Taken {
        if self.may_take(delivery) { self.ledger.hold(delivery, now) } else { Taken::Ignored }
    }

    /// Whether a delivery may be of a conversation that is watched.
    fn may_take(&self, delivery: &Delivery) -> bool {
        let number = delivery.conversation.as_ref().and_then(|id| self.ledger.conversations.find(id));
        let is_in_scope = |number| self.is_in_scope(self.frontier.conversation(number));
        self.phone_numbers.is_empty() || number.is_some_and(is_in_scope)
    }

    /// Takes in a page of the list of workflows.
    pub fn learn_workflows(&mut self, page: &Page<ListedWorkflow>) {
        for listed in &page.items {
            let (number, told) = self.ledger.learn_workflow(listed, page.as_of);
            let uncounted = self.ledger.workflows()[number].uncounted();
            self.frontier.workflows.change(number).learn(page.requested_at, told, uncounted);
        }
        if page.last {
            self.ledger.note_workflows_read();
        }
    }

    /// Takes in a page of the list of conversations, whose recent activity is asked for every `interval`.
    pub fn learn_conversations(&mut self, page: &Page<Conversation>, interval: SignedDuration) {
        self.learn_conversations_of(None, page, interval);
    }

    /// The same of the conversations of one phone number.
    pub fn learn_conversations_of(
        &mut self,
        phone_number_id: Option<&str>,
        page: &Page<Conversation>,
        interval: SignedDuration,
    ) {
        let phone_number = phone_number_id.map(PhoneNumber::from);
        for conversation in &page.items {
            self.learn_conversation(conversation, phone_number, page, interval);
        }
    }

    /// Takes note that executions are listed by workflow from now on. If they were not before, what was over before
    /// the lookback was counted by other lists.
    pub fn begin_listing_by_workflow(&mut self) {
        let Self { ledger, frontier, .. } = self;
        if !std::mem::replace(&mut frontier.watermarks.by_workflow, true) {
            ledger.note_counted_elsewhere(|workflow| frontier.workflow(workflow).covered.is_none());
        }
    }

    /// Whether the lists of all conversations are read from now on. If they are not, one is watched for its activity
    /// alone, and not until its list was read.
    pub fn list_conversations(&mut self, lists_conversations: bool) {
        self.lists_conversations = lists_conversations;
    }

    /// Whether open executions are told apart.
    #[must_use]
    pub fn treatment(&self) -> Treatment {
        self.treatment
    }

    /// Whether a conversation is watched at `now`, in Kapso's clock.
    fn is_watched(&self, conversation: KnownConversation<'_>, now: Timestamp) -> bool {
        let max_age = self.conversation_max_age;
        if self.lists_conversations {
            conversation.is_watched(now, max_age, self.ledger.watch_start())
        } else {
            conversation.is_active(now, max_age)
        }
    }

    /// Takes executions out of the current state that belong to none of these conversations, until they are shown
    /// again. Returns how many of them were open.
    pub fn withdraw_all_but(&mut self, conversations: &[ConversationId]) -> usize {
        let find = |id| self.ledger.conversations.find(id);
        let kept: HashSet<_> = conversations.iter().filter_map(find).collect();
        let at = self.frontier.learned().map_or(Timestamp::UNIX_EPOCH, Steady::timestamp);
        self.ledger.withdraw(|number| kept.contains(&number), at)
    }

    /// Forgets what is over for long enough, and archives conversations at rest, at `now` in Kapso's clock.
    pub fn prune(&mut self, now: Timestamp) {
        self.ledger.prune(&self.frontier, self.conversation_max_age, now);
        self.archive_what_rests(now);
    }

    /// Whether nothing was learned for too long, so that the current state may be quite another.
    #[must_use]
    pub fn is_stale(&self, now: Steady) -> bool {
        self.frontier.learned().is_some_and(|learned| now.since(learned) > self.max_staleness)
    }

    /// The current state at `now`, in Kapso's clock.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Current {
        self.ledger.current(now, |number, counted| {
            let conversation = KnownConversation { counted, read: self.frontier.conversation(number) };
            self.is_in_scope(conversation.read) && self.is_watched(conversation, now)
        })
    }

    /// The conversations that have remembered executions, newest event first.
    #[must_use]
    pub fn conversations_by_event(&self) -> Vec<OpenInConversation<'_>> {
        let is_there = |read: &ConversationFrontier| !read.deleted && self.is_in_scope(read);
        self.ledger.conversations_by_event(|number| is_there(self.frontier.conversation(number)))
    }

    /// The open executions that no list of these shows, oldest look first: they are to be asked for one by one.
    #[must_use]
    pub fn unlisted(&self, by: ListedBy) -> Vec<ExecutionId> {
        self.ledger.unlisted(|workflow, conversation| {
            let is_there = |number| !self.frontier.conversation(number).deleted;
            by.conversations && conversation.is_some_and(is_there)
                || by.workflows && self.frontier.workflow(workflow).is_listed()
        })
    }
}
