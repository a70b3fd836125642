//! Rows of earlier versions, and what they are in the present one. The first versions kept one time for what was read,
//! in Kapso's clock; steady time began as that, and is written in the same way.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::rows::{
    ArchivedRow, ConversationRow, SecondConversationRow, SecondWorkflowRow, ThirdConversationRow,
    ThirdWorkflowRow, WatermarksRow, WorkflowRow,
};
use crate::{
    clock::Steady,
    frontier::{self, ConversationFrontier, CoveredRange, WorkflowFrontier},
    ledger::{self, Decided, Entry, Micros, Name, Outcomes, Totals},
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

impl Versioned for WatermarksRow {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstWatermarks, _>(content))?
    }
}

impl Versioned for WorkflowRow {
    const VERSION: u8 = 4;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        match version {
            1 => earlier::<FirstWorkflowRow, _>(content),
            2 => earlier::<SecondWorkflowRow, _>(content),
            3 => earlier::<ThirdWorkflowRow, _>(content),
            _ => None,
        }
    }
}

impl Versioned for ConversationRow {
    const VERSION: u8 = 4;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        match version {
            1 => earlier::<FirstConversationRow, _>(content),
            2 => earlier::<SecondConversationRow, _>(content),
            3 => earlier::<ThirdConversationRow, _>(content),
            _ => None,
        }
    }
}

impl Versioned for ArchivedRow {
    const VERSION: u8 = 1;

    fn from_earlier(_: u8, _: &[u8]) -> Option<Self> {
        None
    }
}

impl Versioned for Outcomes {
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
    full_scan_read: Option<Steady>,
    learned: Option<Steady>,
}

#[derive(Deserialize)]
struct FirstWorkflowRow {
    id: WorkflowId,
    name: Name,
    last_event_at: Option<Micros>,
    execution_count: Option<u64>,
    last_executed_at: Option<Micros>,
    totals: Totals,
    first_count: Option<(u64, Micros)>,
    started_before: u64,
    discovered: Option<Steady>,
    moved: Option<Steady>,
    covered: Option<CoveredRange>,
    doubtful: bool,
    visited: Option<Steady>,
    surveyed: Option<Steady>,
    deleted: bool,
    forgotten_up_to: Option<Micros>,
}

#[derive(Deserialize)]
struct FirstConversationRow {
    id: ConversationId,
    status: ConversationStatus,
    last_active_at: Option<Micros>,
    discovered: Option<Steady>,
    listed: Option<Micros>,
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

impl From<FirstWatermarks> for WatermarksRow {
    fn from(first: FirstWatermarks) -> Self {
        let counted = ledger::Watermarks { watch_start: first.watch_start, horizon: first.horizon };
        let read = frontier::Watermarks {
            activity_read: first.activity_read,
            full_scan_read: first.full_scan_read,
            learned: first.learned,
            // Whether they were listed so shows in the workflows, which are read whole: none is begun anew.
            by_workflow: false,
        };
        Self(counted, read)
    }
}

impl From<FirstWorkflowRow> for WorkflowRow {
    fn from(first: FirstWorkflowRow) -> Self {
        let until = first.covered.map(|covered| Micros::from(covered.until));
        let read = WorkflowFrontier {
            discovered: first.discovered,
            moved: first.moved,
            covered: first.covered,
            covered_at: steady(until),
            doubtful: first.doubtful,
            visited: first.visited,
            surveyed: first.surveyed,
            deleted: first.deleted,
            ..WorkflowFrontier::default()
        };
        SecondWorkflowRow {
            id: first.id,
            name: first.name,
            last_event_at: first.last_event_at.map(Into::into),
            newest_start: until,
            execution_count: first.execution_count,
            last_executed_at: first.last_executed_at.map(Into::into),
            totals: first.totals,
            first_count: first.first_count,
            started_before: first.started_before,
            read,
            forgotten_up_to: first.forgotten_up_to,
            counted_elsewhere: None,
        }
        .into()
    }
}

impl From<SecondWorkflowRow> for WorkflowRow {
    fn from(second: SecondWorkflowRow) -> Self {
        ThirdWorkflowRow { second, is_excluded: false, watched_from: None }.into()
    }
}

impl From<ThirdWorkflowRow> for WorkflowRow {
    fn from(third: ThirdWorkflowRow) -> Self {
        Self { third, natives: None, starts: None }
    }
}

impl From<FirstConversationRow> for ConversationRow {
    fn from(first: FirstConversationRow) -> Self {
        let read = ConversationFrontier {
            last_active_at: first.last_active_at,
            discovered: first.discovered,
            moved: steady(first.last_active_at),
            read_at: steady(first.listed),
            listed: first.listed,
            clean: first.clean,
            deleted: first.deleted,
            ..ConversationFrontier::default()
        };
        SecondConversationRow {
            id: first.id,
            status: first.status,
            read,
            last_event_at: first.last_event_at,
            forgotten_up_to: first.forgotten_up_to,
        }
        .into()
    }
}

impl From<SecondConversationRow> for ConversationRow {
    fn from(second: SecondConversationRow) -> Self {
        ThirdConversationRow { newest_start: second.read.listed, second }.into()
    }
}

impl From<ThirdConversationRow> for ConversationRow {
    fn from(third: ThirdConversationRow) -> Self {
        Self { third, phone_number: None }
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
