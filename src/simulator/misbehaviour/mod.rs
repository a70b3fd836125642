//! What a real API may do to whoever believes it: answers that are wrong without being errors, lists that never
//! work, replicas that disagree. Everything is off at first, can be turned on and off at any time, and never
//! changes the world: the tally stays the truth.

mod conduct;
mod endless;
mod lies;
mod times;

use std::{collections::BTreeMap, time::Duration};

pub use self::{
    conduct::{Asked, Conduct, is_among},
    lies::{Lie, Subject, Untruth},
    times::{OddTime, OddTimes},
};
use super::Simulator;

/// Everything that goes wrong at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misbehaviour {
    /// Answers that take everything away.
    pub lies: Vec<Lie>,
    /// A replica that lags behind.
    pub lag: Option<Lag>,
    /// Lists of executions that never work, by the id of their conversation or workflow.
    pub broken: BTreeMap<String, Breakage>,
    /// The list of executions of this conversation or workflow has no end: behind its last item come made-up ones
    /// that ended long ago.
    pub endless: Option<String>,
    /// The page of the list of conversations that shows this one always answers 500.
    pub failing_page_of: Option<String>,
    /// A cursor that is older answers 400.
    pub cursor_lifetime: Option<Duration>,
    /// Lists tell different things of the same executions, conversations and workflows.
    pub disagreement: Disagreement,
    /// Times that can't be.
    pub odd_times: Option<OddTimes>,
    /// Lists of executions show so many items at most, and nothing leads on or tells of more.
    pub capped_at: Option<usize>,
    /// Whether numbered pages tell how many there are.
    pub totals: Totals,
    /// For so long from its start a legacy association comes without its agent execution.
    pub associated_after: Duration,
    /// The rate limits that answers tell by turns; the one that holds is another matter.
    pub limits_told: Option<[u32; 2]>,
}

/// Some answers show the world as it was a while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// How long ago; never before the simulation began.
    pub behind: Duration,
    /// Of each path's answers, every so many-th one; 1 for all.
    pub one_in: u32,
}

/// What a list answers that never works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// 500.
    ServerError,
    /// 403.
    Forbidden,
    /// Nothing, for ever.
    Hangs,
}

/// In what lists differ. Shares are in percent and depend on the ids alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disagreement {
    /// Of the executions, those that the list of the conversation which they name does not show.
    pub hidden_percent: u32,
    /// Of the conversations, those that come without `last_active_at`, and not at all where activity is filtered.
    pub without_activity_percent: u32,
    /// Whether lists of a workflow's executions tell their conversations.
    pub conversation_ids: ConversationIds,
    /// Whether replicas agree about the names of workflows.
    pub names: Names,
}

/// The conversation ids in lists of a workflow's executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConversationIds {
    /// They are there.
    #[default]
    Told,
    /// The field is left out.
    Omitted,
}

/// The names of workflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Every answer has the same.
    #[default]
    Agreed,
    /// Of each path's answers every other one has an old name.
    Alternating,
}

/// The totals in `meta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Totals {
    /// `total_pages` and `total_count` are there.
    #[default]
    Told,
    /// They are left out.
    Missing,
}

impl Simulator {
    /// Other misbehaviour from the next request on.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.with(|state, _| state.conduct.replace(misbehaviour));
    }

    /// No misbehaviour any more.
    pub fn behave(&self) {
        self.misbehave(Misbehaviour::default());
    }
}

#[cfg(test)]
mod tests;
