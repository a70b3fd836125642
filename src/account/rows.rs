//! The rows of an account, as they are written today: each is made of what was counted and what was read.

use jiff::{Timestamp, fmt::serde::timestamp::microsecond};
use serde::{Deserialize, Serialize};

use super::{Account, versions::Versioned};
use crate::{
    frontier::{self, AtRest, ConversationFrontier, PhoneNumber, WorkflowFrontier},
    ledger::{
        self, Archived, ConversationState, Hash, Micros, Name, Natives, Starts, Totals, Watch, WorkflowState,
    },
    model::{ConversationId, ConversationStatus, WorkflowId},
};

/// What is kept beside workflows, conversations and executions.
#[derive(Serialize, Deserialize)]
pub(super) struct WatermarksRow(pub ledger::Watermarks, pub frontier::Watermarks);

/// Version 3 was the same without native counts and starts.
#[derive(Serialize, Deserialize)]
pub(super) struct WorkflowRow {
    pub third: ThirdWorkflowRow,
    pub natives: Option<Natives>,
    pub starts: Option<Starts>,
}

/// Version 2 was the same without what tells whether it is watched.
#[derive(Serialize, Deserialize)]
pub(super) struct ThirdWorkflowRow {
    pub second: SecondWorkflowRow,
    pub is_excluded: bool,
    pub watched_from: Option<Micros>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SecondWorkflowRow {
    pub id: WorkflowId,
    pub name: Name,
    #[serde(with = "microsecond::optional")]
    pub last_event_at: Option<Timestamp>,
    pub newest_start: Option<Micros>,
    pub execution_count: Option<u64>,
    #[serde(with = "microsecond::optional")]
    pub last_executed_at: Option<Timestamp>,
    pub totals: Totals,
    pub first_count: Option<(u64, Micros)>,
    pub started_before: u64,
    pub read: WorkflowFrontier,
    pub forgotten_up_to: Option<Micros>,
    pub counted_elsewhere: Option<Micros>,
}

/// Version 3 was the same without the phone number.
#[derive(Serialize, Deserialize)]
pub(super) struct ConversationRow {
    pub third: ThirdConversationRow,
    pub phone_number: Option<PhoneNumber>,
}

/// Version 2 was the same without the newest start.
#[derive(Serialize, Deserialize)]
pub(super) struct ThirdConversationRow {
    pub second: SecondConversationRow,
    pub newest_start: Option<Micros>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SecondConversationRow {
    pub id: ConversationId,
    pub status: ConversationStatus,
    pub read: ConversationFrontier,
    pub last_event_at: Option<Micros>,
    pub forgotten_up_to: Option<Micros>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ArchivedRow {
    id: Hash,
    status: ConversationStatus,
    listed: Option<Micros>,
    forgotten_up_to: Option<Micros>,
    newest_start: Option<Micros>,
}

impl WorkflowRow {
    fn of(counted: &WorkflowState, read: &WorkflowFrontier) -> Self {
        let second = SecondWorkflowRow {
            id: counted.id.clone(),
            name: counted.name.clone(),
            last_event_at: counted.last_event_at,
            newest_start: read.newest_start,
            execution_count: counted.execution_count,
            last_executed_at: counted.last_executed_at,
            totals: Totals::clone(&counted.totals),
            first_count: counted.first_count,
            started_before: counted.started_before,
            read: read.clone(),
            forgotten_up_to: counted.forgotten_up_to,
            counted_elsewhere: counted.counted_elsewhere,
        };
        let watched_from = counted.watched_from;
        let third = ThirdWorkflowRow { second, is_excluded: counted.is_excluded(), watched_from };
        Self { third, natives: Some(counted.totals.natives()), starts: counted.starts.clone() }
    }

    /// What was counted since `watch_start`, in histograms with these bounds, and what was read.
    pub fn halves(
        self,
        buckets: &ledger::Buckets,
        watch_start: Option<Micros>,
    ) -> (WorkflowState, WorkflowFrontier) {
        let Self { third: ThirdWorkflowRow { second, is_excluded, watched_from }, natives, starts } = self;
        let (totals, starts) = if let Some(natives) = natives {
            (second.totals.with_natives(natives), starts)
        } else {
            let since = watched_from.or(watch_start);
            let starts = since.map(|since| Starts::of_an_earlier_version(&second.totals, since));
            (second.totals, starts)
        };
        let counted = WorkflowState {
            name: second.name,
            watch: if is_excluded { Watch::Excluded } else { Watch::Watched },
            watched_from,
            last_event_at: second.last_event_at,
            execution_count: second.execution_count,
            last_executed_at: second.last_executed_at,
            starts,
            totals: totals.with_bounds(buckets).into(),
            first_count: second.first_count,
            started_before: second.started_before,
            forgotten_up_to: second.forgotten_up_to,
            counted_elsewhere: second.counted_elsewhere,
            ..WorkflowState::new(second.id, buckets)
        };
        (counted, WorkflowFrontier { newest_start: second.newest_start, ..second.read })
    }
}

impl ConversationRow {
    fn of(counted: &ConversationState, read: &ConversationFrontier) -> Self {
        let second = SecondConversationRow {
            id: counted.id.clone(),
            status: counted.status,
            read: read.clone(),
            last_event_at: counted.last_event_at,
            forgotten_up_to: counted.forgotten_up_to,
        };
        let third = ThirdConversationRow { second, newest_start: read.newest_start };
        Self { third, phone_number: read.phone_number }
    }

    /// What was counted and what was read.
    pub fn halves(self) -> (ConversationState, ConversationFrontier) {
        let Self { third: ThirdConversationRow { second, newest_start }, phone_number } = self;
        let counted = ConversationState {
            status: second.status,
            last_event_at: second.last_event_at,
            forgotten_up_to: second.forgotten_up_to,
            ..ConversationState::new(second.id)
        };
        (counted, ConversationFrontier { newest_start, phone_number, ..second.read })
    }
}

impl ArchivedRow {
    fn of(counted: &Archived, read: AtRest) -> Self {
        let (Archived { id, status, forgotten_up_to }, AtRest { listed, newest_start }) = (*counted, read);
        Self { id, status, listed, forgotten_up_to, newest_start }
    }

    /// What was counted and what was read.
    pub fn halves(self) -> (Archived, AtRest) {
        let Self { id, status, listed, forgotten_up_to, newest_start } = self;
        (Archived { id, status, forgotten_up_to }, AtRest { listed, newest_start })
    }
}

impl Account {
    pub(super) fn watermarks_row(&self) -> Option<Vec<u8>> {
        content(&WatermarksRow(self.ledger.watermarks, self.frontier.watermarks))
    }

    pub(super) fn workflow_row(&self, number: u32) -> Option<Vec<u8>> {
        let counted = self.ledger.workflows().get(number as usize)?;
        content(&WorkflowRow::of(counted, self.frontier.workflow(number as usize)))
    }

    pub(super) fn conversation_row(&self, number: u32) -> Option<Vec<u8>> {
        let counted = self.ledger.conversations.get(number)?;
        content(&ConversationRow::of(counted, self.frontier.conversation(number)))
    }

    pub(super) fn archived_row(&self, number: u32) -> Option<Vec<u8>> {
        let counted = self.ledger.archive.get(number)?;
        content(&ArchivedRow::of(counted, *self.frontier.archive.get(number as usize)))
    }

    pub(super) fn outcomes_row(&self, number: u32) -> Option<Vec<u8>> {
        self.ledger.outcomes.get(number).and_then(content)
    }

    pub(super) fn execution_row(&self, number: u32) -> Option<Vec<u8>> {
        self.ledger.executions.get(number).and_then(content)
    }
}

/// Serialisation into memory fails for no type of ours.
fn content<T: Versioned + Serialize>(row: &T) -> Option<Vec<u8>> {
    postcard::to_extend(row, vec![T::VERSION]).ok()
}
