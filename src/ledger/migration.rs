//! Rows of format 1, and what they are in the present one. Format 1 kept one time for what was read, in Kapso's
//! clock.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Account, Attempts, Marks, Moment, Reach, Record, Totals,
    entry::{Entry, Settled},
    name::Name,
};
use crate::{
    clock::Steady,
    execution::{ConversationId, ConversationStatus, ExecutionId, Status, Step, WorkflowId},
};

/// A row of any format.
pub(super) trait Migrate {
    /// The row in format 1.
    type First: serde::de::DeserializeOwned;

    /// The same in the present format.
    fn from_first(first: Self::First) -> Self;
}

#[derive(Deserialize)]
pub(super) struct FirstMarks {
    watch_start: Option<Moment>,
    horizon: Option<Moment>,
    activity_read: Option<Moment>,
    round_read: Option<Moment>,
    learned: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct FirstAccount {
    id: WorkflowId,
    name: Name,
    last_event_at: Option<Moment>,
    execution_count: Option<u64>,
    last_executed_at: Option<Moment>,
    totals: Totals,
    first_count: Option<(u64, Moment)>,
    started_before: u64,
    discovered: Option<Moment>,
    moved: Option<Moment>,
    reach: Option<Reach>,
    doubtful: bool,
    visited: Option<Moment>,
    surveyed: Option<Moment>,
    gone: bool,
    settled: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct FirstRecord {
    id: ConversationId,
    status: ConversationStatus,
    last_active_at: Option<Moment>,
    discovered: Option<Moment>,
    listed: Option<Moment>,
    clean: bool,
    gone: bool,
    last_event_at: Option<Moment>,
    settled: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct FirstEntry {
    id: ExecutionId,
    started_at: Option<Moment>,
    last_event_at: Option<Moment>,
    over: Option<Moment>,
    step: Option<Box<Step>>,
    conversation: Option<u32>,
    workflow: u32,
    status: Status,
    vanished: bool,
    settled: Settled,
}

impl Migrate for Marks {
    type First = FirstMarks;

    fn from_first(first: FirstMarks) -> Self {
        Self {
            watch_start: first.watch_start,
            horizon: first.horizon,
            activity_read: first.activity_read,
            round_read: steady(first.round_read),
            learned: steady(first.learned),
            // Whether they were listed so shows in the accounts, which are read whole: none is begun anew.
            by_workflow: false,
        }
    }
}

impl Migrate for Account {
    type First = FirstAccount;

    fn from_first(first: FirstAccount) -> Self {
        let until = first.reach.map(|reach| Moment::from(reach.until));
        Self {
            id: first.id,
            name: first.name,
            last_event_at: first.last_event_at.map(Into::into),
            newest_start: until,
            execution_count: first.execution_count,
            last_executed_at: first.last_executed_at.map(Into::into),
            totals: first.totals,
            first_count: first.first_count,
            started_before: first.started_before,
            discovered: steady(first.discovered),
            moved: steady(first.moved),
            reach: first.reach,
            reached_at: steady(until),
            doubtful: first.doubtful,
            visited: steady(first.visited),
            surveyed: steady(first.surveyed),
            gone: first.gone,
            settled: first.settled,
            counted_elsewhere: None,
            attempts: Attempts::default(),
            missing: None,
            owed: None,
            open: 0,
        }
    }
}

impl Migrate for Record {
    type First = FirstRecord;

    fn from_first(first: FirstRecord) -> Self {
        Self {
            status: first.status,
            last_active_at: first.last_active_at,
            discovered: steady(first.discovered),
            moved: steady(first.last_active_at),
            read_at: steady(first.listed),
            listed: first.listed,
            clean: first.clean,
            gone: first.gone,
            last_event_at: first.last_event_at,
            settled: first.settled,
            ..Self::new(first.id)
        }
    }
}

impl Migrate for Entry {
    type First = FirstEntry;

    fn from_first(first: FirstEntry) -> Self {
        Self {
            started_at: first.started_at,
            last_event_at: first.last_event_at,
            over: first.over,
            handed_off_at: first.last_event_at.filter(|_| first.settled.handoff),
            step: first.step,
            conversation: first.conversation,
            status: first.status,
            vanished: first.vanished,
            in_conversation_list: first.conversation.is_some(),
            settled: first.settled,
            ..Self::unseen(first.id, first.workflow)
        }
    }
}

fn steady(at: Option<Moment>) -> Option<Steady> {
    at.map(|at| Steady::at(Timestamp::from(at)))
}
