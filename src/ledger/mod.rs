//! The ledger: what was counted, and what is there now.
//!
//! A pure fold. Whoever sees an execution hands it in ([`Observation`]), and the ledger updates what it knows and
//! counts each event once. It does no I/O and has no clock, and what was read of which list it knows only by asking
//! ([`Coverage`]).
//!
//! **News and history.** An event counts if its own timestamp is not before the watch began. Older ones are
//! history: they show in the current state and are never counted, whenever they are found.
//!
//! **Exactly once.** An execution is remembered by id while it is open or within the lookback after its end, and for
//! two hours at least: whatever lists hide for a shorter time is still counted. It is shown by two lists, its
//! conversation's and its workflow's, whichever are read. It is forgotten only once one of them vouches for it. That
//! list then keeps one time, `forgotten_up_to`: everything in it that started up to then, is over for longer than the
//! lookback and is not remembered was counted before. So memory is bounded by what is current, and an old list that is
//! read again, by whichever source, counts nothing again.
//!
//! **Order.** Answers may overtake each other, and clocks may be set: an observation whose request has a lower
//! number than the one on record is ignored. One that is older than what is known, from a replica that lags behind,
//! changes nothing; `entry` has the table.
//!
//! **Doubt.** What an answer no longer shows is not gone: `doubt` says when it is.
//!
//! **Clocks.** What happened is told in Kapso's clock: [`Timestamp`]s. When something was read is told in steady time,
//! which no clock can set back: [`Steady`].

mod archive;
mod comparison;
mod conversation;
mod current;
mod deliveries;
mod dirty;
mod doubt;
mod entry;
mod executions;
mod exemplar;
mod forget;
mod found;
mod histogram;
mod micros;
mod name;
mod native;
mod observation;
mod open;
mod outcomes;
mod starts;
mod table;
mod totals;
mod watch;
mod workflow;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    archive::{Archive, Archived, Hash},
    comparison::Comparison,
    conversation::Conversations,
    dirty::{DirtySet, DirtyVec},
    doubt::{Doubts, Missing},
    entry::{Decided, Entry},
    executions::{Executions, Unknown},
    name::Name,
    outcomes::Outcomes,
    table::{Identified, Slot, Table},
    totals::Natives,
    watch::{Moment, Watch},
};
pub use self::{
    archive::{Before, Place},
    conversation::ConversationState,
    current::{AtStep, ByStatus, Current, OpenInConversation},
    deliveries::Taken,
    exemplar::Exemplar,
    histogram::{Buckets, Histogram},
    micros::Micros,
    native::{Native, SCHEMA, ZERO_THRESHOLD},
    observation::{Applied, Coverage, List, Observation, Origin},
    open::{IdleExecution, OpenExecution},
    starts::Starts,
    totals::{Event, HandoffKind, Totals},
    watch::Scope,
    workflow::{Told, WorkflowState},
};
use crate::{
    clock::Steady,
    label,
    model::{ConversationId, ListedWorkflow, Workflow, WorkflowId},
};

/// The workflow of executions whose API answer names none.
pub const NO_WORKFLOW: &str = "unknown";

/// What was counted of all executions of one project in one API.
#[derive(Debug)]
pub struct Ledger {
    /// How long a finished execution stays in the current state.
    lookback: SignedDuration,
    /// How long it is remembered at least, so that one that lists hide for a while is not taken for forgotten: longer
    /// than from one whole reading of a list to the next.
    remembered: SignedDuration,
    /// Bounds of the histograms.
    buckets: Buckets,
    /// Which workflows are watched.
    scope: Scope,
    /// No workflow waits to be let in.
    is_decided: bool,
    pub(crate) watermarks: Watermarks,
    pub(crate) workflows: DirtyVec<WorkflowState>,
    workflow_by_id: HashMap<WorkflowId, usize>,
    /// How many times the list of workflows was read to its end.
    workflow_readings: u64,
    pub(crate) conversations: Conversations,
    pub(crate) archive: Archive,
    pub(crate) executions: Executions,
    /// What was told and found of their outcomes, where deliveries tell any.
    pub(crate) outcomes: Table<Outcomes>,
    comparison: Comparison,
    /// Those of them that are open, and when each was last looked at since the program started: when the newest request
    /// was sent that showed it, or that said that it is not there.
    open: BTreeMap<Slot, Option<Steady>>,
    doubts: Doubts,
    stale_answers: u64,
}

/// What is known beside workflows, conversations and executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermarks {
    /// When watching began.
    pub watch_start: Option<Micros>,
    /// Executions that were over before then may have been forgotten.
    pub horizon: Option<Micros>,
}

impl Ledger {
    /// An empty ledger, in which a finished execution is shown for `lookback` and `remembered` for as long at least.
    pub(crate) fn new(
        lookback: SignedDuration,
        remembered: SignedDuration,
        buckets: Buckets,
        scope: Scope,
    ) -> Self {
        Self {
            lookback,
            remembered,
            buckets,
            scope,
            is_decided: true,
            watermarks: Watermarks::default(),
            workflows: DirtyVec::default(),
            workflow_by_id: HashMap::new(),
            workflow_readings: 0,
            conversations: Conversations::default(),
            archive: Archive::default(),
            executions: Executions::default(),
            outcomes: Table::default(),
            comparison: Comparison::default(),
            open: BTreeMap::new(),
            doubts: Doubts::default(),
            stale_answers: 0,
        }
    }

    /// Goes on with other times and bounds. What was counted stays; what was forgotten does not come back.
    pub(crate) fn configure(
        &mut self,
        lookback: SignedDuration,
        remembered: SignedDuration,
        buckets: Buckets,
        scope: Scope,
    ) {
        for number in (0..).take(self.workflows.len()) {
            let workflow = self.workflows.untracked(number);
            let totals = Totals::clone(&workflow.totals);
            workflow.totals = totals.with_bounds(&buckets).into();
        }
        (self.lookback, self.remembered, self.buckets) = (lookback, remembered, buckets);
        if self.scope != scope {
            self.scope = scope;
            self.decide_on_all(Moment::Now);
        }
    }

    /// Says when watching began, in Kapso's clock. Only the first call counts; it comes before any observation.
    pub fn watch_from(&mut self, at: Timestamp) {
        self.watermarks.watch_start.get_or_insert(at.into());
    }

    /// When watching began, in Kapso's clock.
    #[must_use]
    pub fn watch_start(&self) -> Option<Timestamp> {
        self.watermarks.watch_start.map(Into::into)
    }

    /// Answers that were older than what was known.
    #[must_use]
    pub fn stale_answers(&self) -> u64 {
        self.stale_answers
    }

    /// The workflows that were ever seen, in the order of their first sight, which is that of their numbers.
    #[must_use]
    pub fn workflows(&self) -> &[WorkflowState] {
        &self.workflows
    }

    /// How many conversations are remembered, those in the archive included.
    #[must_use]
    pub fn remembered_conversations(&self) -> usize {
        self.conversations.len() + self.archive.len()
    }

    /// Whether nothing was ever learned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workflows.is_empty() && self.remembered_conversations() == 0
    }

    /// Which conversation has this number.
    #[must_use]
    pub fn conversation_id(&self, number: u32) -> Option<&ConversationId> {
        self.conversations.get(number).map(|conversation| &conversation.id)
    }

    /// How many executions are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.executions.len()
    }

    /// Takes in what the list of workflows, which was asked for at `as_of`, says of one. Returns its number, and
    /// whether that is news.
    pub(crate) fn learn_workflow(&mut self, listed: &ListedWorkflow, as_of: Timestamp) -> (usize, Told) {
        let number = self.workflow_by_id(&listed.workflow.id);
        let workflow = &mut self.workflows[number];
        let told = workflow.learn(listed, as_of);
        if let Some(name) = &listed.workflow.name {
            workflow.name.learn(name, self.workflow_readings);
        }
        self.decide(number, Moment::Now);
        (number, told)
    }

    /// Takes note that the list of workflows was read to its end.
    pub(crate) fn note_workflows_read(&mut self) {
        self.workflow_readings += 1;
        self.decide_the_undecided();
    }

    /// The number of a workflow that an execution names, or of those that have none.
    fn workflow(&mut self, workflow: Option<&Workflow>) -> usize {
        let Some(workflow) = workflow else { return self.workflow_by_id(&NO_WORKFLOW.into()) };
        let number = self.workflow_by_id(&workflow.id);
        if let Some(name) = workflow.name.as_deref().filter(|_| self.workflows[number].name.get().is_none()) {
            self.workflows[number].name.suggest(name);
            self.decide(number, Moment::Now);
        }
        number
    }

    /// The number of the workflow with this id, if it is known.
    pub(crate) fn workflow_number(&self, id: &WorkflowId) -> Option<usize> {
        self.workflow_by_id.get(id).copied()
    }

    /// The number of the workflow with this id, which is known from now on.
    pub(crate) fn workflow_by_id(&mut self, id: &WorkflowId) -> usize {
        let known = self.workflow_by_id.get(id).copied();
        known.unwrap_or_else(|| {
            let number = self.add_workflow(WorkflowState::new(id.clone(), &self.buckets));
            self.decide(number, Moment::Now);
            number
        })
    }

    /// Gives a workflow the next number.
    pub(crate) fn add_workflow(&mut self, mut workflow: WorkflowState) -> usize {
        let id = workflow.id.clone();
        workflow.configured_name = self.scope.names.get(&id).map(|name| label::name(name).into());
        workflow.first_seen = self.workflow_readings;
        let number = self.workflows.push(workflow);
        self.workflow_by_id.insert(id, number);
        number
    }
}

/// The number of a workflow or a conversation as an entry keeps it.
#[allow(clippy::cast_possible_truncation, reason = "four billion of them do not fit into memory")]
pub(crate) fn index(index: usize) -> u32 {
    index as u32
}
