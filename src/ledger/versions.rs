//! Rows of earlier versions, and what they are in the present one. The first versions kept one time for what was read,
//! in Kapso's clock.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Attempts, ConversationState, CoveredRange, Micros, Totals, Watermarks, WorkflowState,
    archive::Archived,
    entry::{Decided, Entry},
    name::Name,
};
use crate::{
    clock::Steady,
    model::{ConversationId, ConversationStatus, ExecutionId, Status, Step, WorkflowId},
};

/// A row that may have been written in an earlier version.
pub(super) trait Versioned: DeserializeOwned {
    /// The version that is written.
    const VERSION: u8;

    /// The row of an earlier version; `None` if it cannot be read.
    fn from_earlier(version: u8, content: &[u8]) -> Option<Self>;

    /// The row of any version.
    fn read(version: u8, content: &[u8]) -> Option<Self> {
        if version == Self::VERSION {
            return postcard::from_bytes(content).ok();
        }
        Self::from_earlier(version, content)
    }
}

/// The row of an earlier version, as it is now.
fn earlier<Earlier: DeserializeOwned, T: From<Earlier>>(content: &[u8]) -> Option<T> {
    postcard::from_bytes::<Earlier>(content).ok().map(T::from)
}

impl Versioned for Watermarks {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstWatermarks, _>(content))?
    }
}

impl Versioned for WorkflowState {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstWorkflowState, _>(content))?
    }
}

impl Versioned for ConversationState {
    const VERSION: u8 = 3;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        match version {
            1 => earlier::<FirstConversationState, _>(content),
            2 => earlier::<SecondConversationState, _>(content),
            _ => None,
        }
    }
}

impl Versioned for Archived {
    const VERSION: u8 = 1;

    fn from_earlier(_: u8, _: &[u8]) -> Option<Self> {
        None
    }
}

impl Versioned for Entry {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstEntry, _>(content))?
    }
}

#[derive(Deserialize)]
struct FirstWatermarks {
    watch_start: Option<Micros>,
    horizon: Option<Micros>,
    activity_read: Option<Micros>,
    full_scan_read: Option<Micros>,
    learned: Option<Micros>,
}

#[derive(Deserialize)]
struct FirstWorkflowState {
    id: WorkflowId,
    name: Name,
    last_event_at: Option<Micros>,
    execution_count: Option<u64>,
    last_executed_at: Option<Micros>,
    totals: Totals,
    first_count: Option<(u64, Micros)>,
    started_before: u64,
    discovered: Option<Micros>,
    moved: Option<Micros>,
    covered: Option<CoveredRange>,
    doubtful: bool,
    visited: Option<Micros>,
    surveyed: Option<Micros>,
    deleted: bool,
    forgotten_up_to: Option<Micros>,
}

#[derive(Deserialize)]
struct FirstConversationState {
    id: ConversationId,
    status: ConversationStatus,
    last_active_at: Option<Micros>,
    discovered: Option<Micros>,
    listed: Option<Micros>,
    clean: bool,
    deleted: bool,
    last_event_at: Option<Micros>,
    forgotten_up_to: Option<Micros>,
}

#[derive(Deserialize)]
struct SecondConversationState {
    id: ConversationId,
    status: ConversationStatus,
    last_active_at: Option<Micros>,
    discovered: Option<Steady>,
    moved: Option<Steady>,
    read_at: Option<Steady>,
    listed: Option<Micros>,
    read_whole: Option<(Steady, u32)>,
    clean: bool,
    deleted: bool,
    last_event_at: Option<Micros>,
    forgotten_up_to: Option<Micros>,
}

#[derive(Deserialize)]
struct FirstEntry {
    id: ExecutionId,
    started_at: Option<Micros>,
    last_event_at: Option<Micros>,
    over: Option<Micros>,
    step: Option<Box<Step>>,
    conversation: Option<u32>,
    workflow: u32,
    status: Status,
    deleted: bool,
    decided: Decided,
}

impl From<FirstWatermarks> for Watermarks {
    fn from(first: FirstWatermarks) -> Self {
        Self {
            watch_start: first.watch_start,
            horizon: first.horizon,
            activity_read: first.activity_read,
            full_scan_read: steady(first.full_scan_read),
            learned: steady(first.learned),
            // Whether they were listed so shows in the workflows, which are read whole: none is begun anew.
            by_workflow: false,
        }
    }
}

impl From<FirstWorkflowState> for WorkflowState {
    fn from(first: FirstWorkflowState) -> Self {
        let until = first.covered.map(|covered| Micros::from(covered.until));
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
            covered: first.covered,
            covered_at: steady(until),
            doubtful: first.doubtful,
            visited: steady(first.visited),
            surveyed: steady(first.surveyed),
            deleted: first.deleted,
            forgotten_up_to: first.forgotten_up_to,
            counted_elsewhere: None,
            attempts: Attempts::default(),
            missing: None,
            owed: None,
            open: 0,
        }
    }
}

impl From<FirstConversationState> for ConversationState {
    fn from(first: FirstConversationState) -> Self {
        Self {
            status: first.status,
            last_active_at: first.last_active_at,
            discovered: steady(first.discovered),
            moved: steady(first.last_active_at),
            read_at: steady(first.listed),
            listed: first.listed,
            clean: first.clean,
            deleted: first.deleted,
            last_event_at: first.last_event_at,
            forgotten_up_to: first.forgotten_up_to,
            newest_start: first.listed,
            ..Self::new(first.id)
        }
    }
}

impl From<SecondConversationState> for ConversationState {
    fn from(second: SecondConversationState) -> Self {
        Self {
            status: second.status,
            last_active_at: second.last_active_at,
            discovered: second.discovered,
            moved: second.moved,
            read_at: second.read_at,
            listed: second.listed,
            read_whole: second.read_whole,
            clean: second.clean,
            deleted: second.deleted,
            last_event_at: second.last_event_at,
            forgotten_up_to: second.forgotten_up_to,
            newest_start: second.listed,
            ..Self::new(second.id)
        }
    }
}

impl From<FirstEntry> for Entry {
    fn from(first: FirstEntry) -> Self {
        Self {
            started_at: first.started_at,
            last_event_at: first.last_event_at,
            over: first.over,
            handed_off_at: first.last_event_at.filter(|_| first.decided.handoff),
            step: first.step,
            conversation: first.conversation,
            status: first.status,
            deleted: first.deleted,
            in_conversation_list: first.conversation.is_some(),
            decided: first.decided,
            ..Self::unseen(first.id, first.workflow)
        }
    }
}

fn steady(at: Option<Micros>) -> Option<Steady> {
    at.map(|at| Steady::at(Timestamp::from(at)))
}
