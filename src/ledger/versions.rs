//! Rows of earlier versions, and what they are in the present one. The first versions kept one time for what was read,
//! in Kapso's clock.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Account, Attempts, Marks, Moment, Reach, Record, Totals,
    archive::Archived,
    entry::{Entry, Settled},
    name::Name,
};
use crate::{
    clock::Steady,
    execution::{ConversationId, ConversationStatus, ExecutionId, Status, Step, WorkflowId},
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

impl Versioned for Marks {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstMarks, _>(content))?
    }
}

impl Versioned for Account {
    const VERSION: u8 = 2;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        (version == 1).then(|| earlier::<FirstAccount, _>(content))?
    }
}

impl Versioned for Record {
    const VERSION: u8 = 3;

    fn from_earlier(version: u8, content: &[u8]) -> Option<Self> {
        match version {
            1 => earlier::<FirstRecord, _>(content),
            2 => earlier::<SecondRecord, _>(content),
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
struct FirstMarks {
    watch_start: Option<Moment>,
    horizon: Option<Moment>,
    activity_read: Option<Moment>,
    round_read: Option<Moment>,
    learned: Option<Moment>,
}

#[derive(Deserialize)]
struct FirstAccount {
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
struct FirstRecord {
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
struct SecondRecord {
    id: ConversationId,
    status: ConversationStatus,
    last_active_at: Option<Moment>,
    discovered: Option<Steady>,
    moved: Option<Steady>,
    read_at: Option<Steady>,
    listed: Option<Moment>,
    read_whole: Option<(Steady, u32)>,
    clean: bool,
    gone: bool,
    last_event_at: Option<Moment>,
    settled: Option<Moment>,
}

#[derive(Deserialize)]
struct FirstEntry {
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

impl From<FirstMarks> for Marks {
    fn from(first: FirstMarks) -> Self {
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

impl From<FirstAccount> for Account {
    fn from(first: FirstAccount) -> Self {
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

impl From<FirstRecord> for Record {
    fn from(first: FirstRecord) -> Self {
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
            newest_start: first.listed,
            ..Self::new(first.id)
        }
    }
}

impl From<SecondRecord> for Record {
    fn from(second: SecondRecord) -> Self {
        Self {
            status: second.status,
            last_active_at: second.last_active_at,
            discovered: second.discovered,
            moved: second.moved,
            read_at: second.read_at,
            listed: second.listed,
            read_whole: second.read_whole,
            clean: second.clean,
            gone: second.gone,
            last_event_at: second.last_event_at,
            settled: second.settled,
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
