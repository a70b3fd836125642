//! The ledger as rows of bytes: what a store keeps, and what a ledger is made of again.
//!
//! A row has a number and a content. The ledger knows which rows changed since they were last taken, so that a
//! store writes only these. What can be told from other rows (who belongs to whom, how many are open) is not kept.
//!
//! The first byte of a content is the version of the row; `versions` reads earlier ones.

use serde::Serialize;
use thiserror::Error;

use super::{
    Ledger, Settings, WorkflowState,
    dirty::DirtySet,
    entry::Entry,
    table::{Identified, Slot, Table},
    versions::Versioned,
};

/// The format of the rows. Those of earlier ones are read, too.
pub const VERSION: u64 = 3;
/// The first format in which every row tells its version. Before that, the format was the version of all.
const FIRST_WITH_VERSIONS: u64 = 3;

/// Numbers of conversations and executions are lower. They are places in memory, so one that was never given must not
/// be believed.
const MOST: u32 = 1 << 25;

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
}

/// Rows that no ledger has written.
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
    /// Whether nothing changed but the marks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows changed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workflows.len() + self.conversations.len() + self.archive.len() + self.executions.len()
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
        }
    }
}

impl Ledger {
    /// Notes changes from now on. Everything that is known counts as changed.
    pub fn track(&mut self) {
        self.workflows.dirty.watch(0..super::index(self.workflows.len()));
        self.conversations.track();
        self.archive.track();
        self.executions.track();
    }

    /// The rows that changed since this was last called.
    pub fn take_changes(&mut self) -> Changes {
        let workflows = self.workflows.dirty.take();
        Changes {
            watermarks: content(&self.watermarks).unwrap_or_default(),
            workflows: workflows.into_iter().map(|n| (n, content(&self.workflows[n as usize]))).collect(),
            conversations: self.conversations.take_changes(),
            archive: self.archive.take_changes(),
            executions: self.executions.take_changes(),
        }
    }

    /// Counts rows as changed that could not be written.
    pub fn give_back(&mut self, changes: &Changes) {
        let note = |changed: &mut DirtySet, rows: &[Row]| rows.iter().for_each(|&(n, _)| changed.note(n));
        note(&mut self.workflows.dirty, &changes.workflows);
        note(&mut self.conversations.dirty, &changes.conversations);
        note(&mut self.archive.dirty, &changes.archive);
        note(&mut self.executions.dirty, &changes.executions);
    }

    /// The ledger of these rows, which notes changes from now on; all of it has changed if they are of an earlier format.
    ///
    /// # Errors
    /// If they are not the rows of one ledger.
    pub fn restore(settings: Settings, saved: &Saved) -> Result<Self, Damaged> {
        let version = saved.format;
        let watermarks = read("watermarks", 0, &saved.watermarks, version)?;
        let mut workflows: Vec<WorkflowState> = numbered("workflows", &saved.workflows, version)?;
        for account in &mut workflows {
            let none = super::Totals::new(&settings.buckets);
            account.totals = std::mem::replace(&mut account.totals, none).with_bounds(&settings.buckets);
        }
        let mut ledger = Self { watermarks, ..Self::new(settings) };
        ledger.workflow_by_id =
            workflows.iter().enumerate().map(|(n, account)| (account.id.clone(), n)).collect();
        ledger.workflows = workflows.into();
        ledger.conversations = table("conversations", &saved.conversations, version)?;
        ledger.archive = table("archive", &saved.archive, version)?;
        let executions: Table<Entry> = table("executions", &saved.executions, version)?;
        for (slot, entry) in executions.iter() {
            ledger.attach(slot, entry)?;
        }
        ledger.executions = executions;
        ledger.track();
        if version == VERSION {
            ledger.take_changes();
        }
        Ok(ledger)
    }

    /// Puts an execution under its workflow and its conversation.
    fn attach(&mut self, slot: u32, entry: &Entry) -> Result<(), Damaged> {
        let missing = |table, number| Damaged::Missing { table, number };
        if entry.workflow as usize >= self.workflows.len() {
            return Err(missing("workflows", entry.workflow));
        }
        let open = usize::from(entry.is_open());
        self.workflows.untracked(entry.workflow).open += open;
        let Some(record) = entry.conversation else { return Ok(()) };
        let record = self.conversations.untracked(record).ok_or(missing("conversations", record))?;
        record.open += u32::from(entry.is_open());
        record.executions.push(slot);
        Ok(())
    }
}

impl<T: Identified + Versioned + Serialize> Table<T> {
    fn track(&mut self) {
        let slots: Vec<_> = self.iter().map(|(slot, _)| slot).collect();
        self.dirty.watch(slots.into_iter());
    }

    fn take_changes(&mut self) -> Vec<Row> {
        let changed = self.dirty.take();
        changed.into_iter().map(|slot| (slot, self.get(slot).and_then(content))).collect()
    }
}

/// Serialisation into memory fails for no type of ours.
fn content<T: Versioned + Serialize>(row: &T) -> Option<Vec<u8>> {
    postcard::to_extend(row, vec![T::VERSION]).ok()
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

/// Rows that have their slots for numbers, in ascending order.
fn table<T: Identified + Versioned>(
    name: &'static str,
    rows: &[(Slot, Vec<u8>)],
    format: u64,
) -> Result<Table<T>, Damaged> {
    let damaged = |number| Damaged::Content { table: name, number };
    if let Some([_, (number, _)]) = rows.array_windows().find(|[(a, _), (b, _)]| a >= b) {
        return Err(damaged(*number));
    }
    if let Some((number, _)) = rows.last().filter(|(number, _)| *number >= MOST) {
        return Err(damaged(*number));
    }
    let row = |(number, content): &(Slot, Vec<u8>)| Ok((*number, read(name, *number, content, format)?));
    Table::kept(rows.iter().map(row).collect::<Result<_, _>>()?).map_err(damaged)
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
