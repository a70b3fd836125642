//! An account as rows of bytes: what a store keeps, and what an account is made of again.
//!
//! A row has a number and a content, of what was counted and what was read together. The account knows which rows
//! changed since they were last taken, so that a store writes only these. What can be told from other rows (who belongs
//! to whom, how many are open) is not kept.
//!
//! The first byte of a content is the version of the row; `versions` reads earlier ones.

use std::collections::{BTreeSet, HashSet};

use thiserror::Error;

use super::{
    Account, Settings,
    rows::{ArchivedRow, ConversationRow, WatermarksRow, WorkflowRow},
    versions::Versioned,
};
use crate::{
    frontier::Numbered,
    ledger::{DirtySet, Identified, Moment, Slot, Table, Unknown, index},
};

/// The format of the rows. Those of earlier ones are read, too.
pub const VERSION: u64 = 3;
/// The first format in which every row tells its version. Before that, the format was the version of all.
const FIRST_WITH_VERSIONS: u64 = 3;

/// Numbers of conversations and executions are lower. They are places in memory, so one that was never given must not
/// be believed.
const MOST: u32 = 1 << 25;

/// Tables of rows, beside the watermarks.
const TABLES: usize = 5;

/// A row: its number, and its content; `None` if it is no more.
pub type Row = (u32, Option<Vec<u8>>);

/// The rows that changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The one row that is always there.
    pub watermarks: Vec<u8>,
    /// Workflows.
    pub workflows: Vec<Row>,
    /// Conversations.
    pub conversations: Vec<Row>,
    /// Conversations in the archive.
    pub archive: Vec<Row>,
    /// Executions.
    pub executions: Vec<Row>,
    /// What was told and found of their outcomes.
    pub outcomes: Vec<Row>,
}

/// All rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The format of the rows.
    pub format: u64,
    /// The one row that is always there.
    pub watermarks: Vec<u8>,
    /// Workflows, from number 0 on without a gap.
    pub workflows: Vec<(u32, Vec<u8>)>,
    /// Conversations.
    pub conversations: Vec<(u32, Vec<u8>)>,
    /// Conversations in the archive.
    pub archive: Vec<(u32, Vec<u8>)>,
    /// Executions.
    pub executions: Vec<(u32, Vec<u8>)>,
    /// What was told and found of their outcomes.
    pub outcomes: Vec<(u32, Vec<u8>)>,
}

/// Rows that no account has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damaged {
    /// A content that cannot be read.
    #[error("row {number} of {table} cannot be read")]
    Content {
        /// Where.
        table: &'static str,
        /// Which.
        number: u32,
    },
    /// A row that is missing, or that another one refers to and is not there.
    #[error("row {number} of {table} is missing")]
    Missing {
        /// Where.
        table: &'static str,
        /// Which.
        number: u32,
    },
}

impl Changes {
    /// Whether nothing changed but the watermarks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows changed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables().into_iter().map(Vec::len).sum()
    }

    /// The rows of each table, in the order of [`Saved::tables`].
    #[must_use]
    pub fn tables(&self) -> [&Vec<Row>; TABLES] {
        [&self.workflows, &self.conversations, &self.archive, &self.executions, &self.outcomes]
    }

    /// Also removes all rows of `saved` that are not in here.
    pub fn remove_all_others(&mut self, saved: &Saved) {
        let Self { workflows, conversations, archive, executions, outcomes, .. } = self;
        let tables = [workflows, conversations, archive, executions, outcomes];
        for (rows, saved) in tables.into_iter().zip(saved.tables()) {
            let known: HashSet<_> = rows.iter().map(|&(number, _)| number).collect();
            let others = saved.iter().filter(|(number, _)| !known.contains(number));
            rows.extend(others.map(|&(number, _)| (number, None)));
        }
    }
}

impl Saved {
    /// The rows of each table. A database tells them apart by their places: a new one comes last.
    #[must_use]
    pub fn tables(&self) -> [&Vec<(u32, Vec<u8>)>; TABLES] {
        [&self.workflows, &self.conversations, &self.archive, &self.executions, &self.outcomes]
    }

    /// The same, to add to them.
    pub fn tables_mut(&mut self) -> [&mut Vec<(u32, Vec<u8>)>; TABLES] {
        let Self { workflows, conversations, archive, executions, outcomes, .. } = self;
        [workflows, conversations, archive, executions, outcomes]
    }
}

impl From<Changes> for Saved {
    /// What a store that held nothing holds once it was given these.
    fn from(changes: Changes) -> Self {
        let kept = |rows: Vec<Row>| {
            rows.into_iter().filter_map(|(number, content)| Some((number, content?))).collect()
        };
        Self {
            format: VERSION,
            watermarks: changes.watermarks,
            workflows: kept(changes.workflows),
            conversations: kept(changes.conversations),
            archive: kept(changes.archive),
            executions: kept(changes.executions),
            outcomes: kept(changes.outcomes),
        }
    }
}

impl From<Saved> for Changes {
    /// What a store that holds nothing is to be given so that it holds these.
    fn from(saved: Saved) -> Self {
        let put = |rows: Vec<(u32, Vec<u8>)>| {
            rows.into_iter().map(|(number, content)| (number, Some(content))).collect()
        };
        Self {
            watermarks: saved.watermarks,
            workflows: put(saved.workflows),
            conversations: put(saved.conversations),
            archive: put(saved.archive),
            executions: put(saved.executions),
            outcomes: put(saved.outcomes),
        }
    }
}

impl Account {
    /// Notes changes from now on. Everything that is known counts as changed.
    pub fn track(&mut self) {
        let Self { ledger, frontier, .. } = self;
        ledger.workflows.dirty.watch(0..index(ledger.workflows.len()));
        ledger.conversations.track();
        ledger.archive.track();
        ledger.executions.track();
        ledger.outcomes.track();
        for dirty in
            [&mut frontier.workflows.dirty, &mut frontier.conversations.dirty, &mut frontier.archive.dirty]
        {
            dirty.watch(std::iter::empty());
        }
    }

    /// The rows that changed since this was last called, in either half.
    pub fn take_changes(&mut self) -> Changes {
        let Self { ledger, frontier, .. } = self;
        let workflows = both(&mut ledger.workflows.dirty, &mut frontier.workflows.dirty);
        let conversations = both(&mut ledger.conversations.dirty, &mut frontier.conversations.dirty);
        let archive = both(&mut ledger.archive.dirty, &mut frontier.archive.dirty);
        let executions = ledger.executions.dirty.take();
        let outcomes = ledger.outcomes.dirty.take();
        Changes {
            watermarks: self.watermarks_row().unwrap_or_default(),
            workflows: workflows.into_iter().map(|n| (n, self.workflow_row(n))).collect(),
            conversations: conversations.into_iter().map(|n| (n, self.conversation_row(n))).collect(),
            archive: archive.into_iter().map(|n| (n, self.archived_row(n))).collect(),
            executions: executions.into_iter().map(|n| (n, self.execution_row(n))).collect(),
            outcomes: outcomes.into_iter().map(|n| (n, self.outcomes_row(n))).collect(),
        }
    }

    /// Counts rows as changed that could not be written.
    pub fn give_back(&mut self, changes: &Changes) {
        let note = |changed: &mut DirtySet, rows: &[Row]| rows.iter().for_each(|&(n, _)| changed.note(n));
        note(&mut self.ledger.workflows.dirty, &changes.workflows);
        note(&mut self.ledger.conversations.dirty, &changes.conversations);
        note(&mut self.ledger.archive.dirty, &changes.archive);
        note(&mut self.ledger.executions.dirty, &changes.executions);
        note(&mut self.ledger.outcomes.dirty, &changes.outcomes);
    }

    /// The account of these rows, which notes changes from now on; all of it has changed if they are of an earlier
    /// format.
    ///
    /// # Errors
    /// If they are not the rows of one account.
    pub fn restore(settings: Settings, saved: &Saved) -> Result<Self, Damaged> {
        let (format, buckets) = (saved.format, settings.buckets.clone());
        let mut account = Self::new(settings);
        let Self { ledger, frontier, .. } = &mut account;
        let WatermarksRow(counted, read) = read("watermarks", 0, &saved.watermarks, format)?;
        (ledger.watermarks, frontier.watermarks) = (counted, read);
        for (number, row) in
            numbered::<WorkflowRow>("workflows", &saved.workflows, format)?.into_iter().enumerate()
        {
            let (counted, read) = row.halves(&buckets, ledger.watermarks.watch_start);
            ledger.add_workflow(counted);
            frontier.workflows.put(number, read);
        }
        let halves = |row: ConversationRow| row.halves();
        ledger.conversations =
            table("conversations", &saved.conversations, format, halves, &mut frontier.conversations)?;
        let halves = |row: ArchivedRow| row.halves();
        ledger.archive = table("archive", &saved.archive, format, halves, &mut frontier.archive)?;
        ledger.executions = kept("executions", slotted("executions", &saved.executions, format)?)?;
        ledger.outcomes = kept("outcomes", slotted("outcomes", &saved.outcomes, format)?)?;
        ledger.attach_executions().map_err(|Unknown(table, number)| Damaged::Missing { table, number })?;
        account.track();
        if format == VERSION {
            account.take_changes();
        }
        account.ledger.decide_on_all(Moment::Start);
        account.restrict_to_scope();
        Ok(account)
    }
}

/// What changed in either half.
fn both(counted: &mut DirtySet, read: &mut DirtySet) -> BTreeSet<u32> {
    let mut changed = counted.take();
    changed.append(&mut read.take());
    changed
}

fn read<T: Versioned>(table: &'static str, number: u32, content: &[u8], format: u64) -> Result<T, Damaged> {
    let versioned = if format < FIRST_WITH_VERSIONS {
        u8::try_from(format).ok().map(|version| (version, content))
    } else {
        content.split_first().map(|(&version, content)| (version, content))
    };
    let row = versioned.and_then(|(version, content)| T::read(version, content));
    row.ok_or(Damaged::Content { table, number })
}

/// The halves of rows that have their slots for numbers; what was read goes to `frontier`.
fn table<T: Versioned, Counted: Identified, Read: Default>(
    name: &'static str,
    rows: &[(Slot, Vec<u8>)],
    format: u64,
    halves: impl Fn(T) -> (Counted, Read),
    frontier: &mut Numbered<Read>,
) -> Result<Table<Counted>, Damaged> {
    let half = |(slot, row): (Slot, T)| {
        let (counted, read) = halves(row);
        frontier.put(slot as usize, read);
        (slot, counted)
    };
    kept(name, slotted(name, rows, format)?.into_iter().map(half).collect())
}

fn kept<T: Identified>(name: &'static str, items: Vec<(Slot, T)>) -> Result<Table<T>, Damaged> {
    Table::kept(items).map_err(|number| Damaged::Content { table: name, number })
}

/// Rows that have their slots for numbers, in ascending order.
fn slotted<T: Versioned>(
    name: &'static str,
    rows: &[(Slot, Vec<u8>)],
    format: u64,
) -> Result<Vec<(Slot, T)>, Damaged> {
    let damaged = |number| Damaged::Content { table: name, number };
    if let Some([_, (number, _)]) = rows.array_windows().find(|[(a, _), (b, _)]| a >= b) {
        return Err(damaged(*number));
    }
    if let Some((number, _)) = rows.last().filter(|(number, _)| *number >= MOST) {
        return Err(damaged(*number));
    }
    rows.iter().map(|(number, content)| Ok((*number, read(name, *number, content, format)?))).collect()
}

/// Rows that are numbered from 0 on without a gap.
fn numbered<T: Versioned>(
    table: &'static str,
    rows: &[(u32, Vec<u8>)],
    format: u64,
) -> Result<Vec<T>, Damaged> {
    let row = |(expected, (number, content)): (u32, &(u32, Vec<u8>))| {
        let missing = Damaged::Missing { table, number: expected };
        if *number == expected { read(table, *number, content, format) } else { Err(missing) }
    };
    (0..).zip(rows).map(row).collect()
}
