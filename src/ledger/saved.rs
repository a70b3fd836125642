//! The ledger as rows of bytes: what a store keeps, and what a ledger is made of again.
//!
//! A row has a number and a content. The ledger knows which rows changed since they were last taken, so that a
//! store writes only these. What can be told from other rows (who belongs to whom, how many are open) is not kept.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    Account, Ledger, Record, Settings, entry::Entry, executions::Executions, migration::Migrate,
    tracked::Changed,
};

/// The version of the rows' contents. Rows of format 1 are read, too.
pub const VERSION: u64 = 2;

/// Numbers of executions are lower. They are places in memory, so one that was never given must not be believed.
const MOST_EXECUTIONS: u32 = 1 << 25;

/// A row: its number, and its content; `None` if it is no more.
pub type Row = (u32, Option<Vec<u8>>);

/// The rows that changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The one row that is always there.
    pub marks: Vec<u8>,
    /// Workflows.
    pub accounts: Vec<Row>,
    /// Conversations.
    pub records: Vec<Row>,
    /// Executions.
    pub executions: Vec<Row>,
}

/// All rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The version of the rows' contents.
    pub format: u64,
    /// The one row that is always there.
    pub marks: Vec<u8>,
    /// Workflows, from number 0 on without a gap.
    pub accounts: Vec<(u32, Vec<u8>)>,
    /// Conversations, likewise.
    pub records: Vec<(u32, Vec<u8>)>,
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
        self.accounts.len() + self.records.len() + self.executions.len()
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
            marks: changes.marks,
            accounts: kept(changes.accounts),
            records: kept(changes.records),
            executions: kept(changes.executions),
        }
    }
}

impl Ledger {
    /// Notes changes from now on. Everything that is known counts as changed.
    pub fn track(&mut self) {
        let all = |length: usize| 0..super::index(length);
        self.accounts.changed.watch(all(self.accounts.len()));
        self.records.changed.watch(all(self.records.len()));
        let slots: Vec<_> = self.executions.iter().map(|(slot, _)| slot).collect();
        self.executions.changed.watch(slots.into_iter());
    }

    /// The rows that changed since this was last called.
    pub fn take_changes(&mut self) -> Changes {
        let accounts = self.accounts.changed.take();
        let records = self.records.changed.take();
        let executions = self.executions.changed.take();
        Changes {
            marks: content(&self.marks).unwrap_or_default(),
            accounts: accounts.into_iter().map(|n| (n, content(&self.accounts[n as usize]))).collect(),
            records: records.into_iter().map(|n| (n, content(&self.records[n as usize]))).collect(),
            executions: executions
                .into_iter()
                .map(|n| (n, self.executions.get(n).and_then(content)))
                .collect(),
        }
    }

    /// Counts rows as changed that could not be written.
    pub fn give_back(&mut self, changes: &Changes) {
        let note = |changed: &mut Changed, rows: &[Row]| rows.iter().for_each(|&(n, _)| changed.note(n));
        note(&mut self.accounts.changed, &changes.accounts);
        note(&mut self.records.changed, &changes.records);
        note(&mut self.executions.changed, &changes.executions);
    }

    /// The ledger of these rows, which notes changes from now on; all of it has changed if they are of an earlier format.
    ///
    /// # Errors
    /// If they are not the rows of one ledger.
    pub fn restore(settings: Settings, saved: &Saved) -> Result<Self, Damaged> {
        let version = saved.format;
        let marks = read("marks", 0, &saved.marks, version)?;
        let mut accounts: Vec<Account> = numbered("accounts", &saved.accounts, version)?;
        for account in &mut accounts {
            let none = super::Totals::new(&settings.buckets);
            account.totals = std::mem::replace(&mut account.totals, none).with_bounds(&settings.buckets);
        }
        let records: Vec<Record> = numbered("records", &saved.records, version)?;
        let mut ledger = Self { marks, ..Self::new(settings) };
        ledger.account_of = accounts.iter().enumerate().map(|(n, account)| (account.id.clone(), n)).collect();
        ledger.record_of = records.iter().enumerate().map(|(n, record)| (record.id.clone(), n)).collect();
        (ledger.accounts, ledger.records) = (accounts.into(), records.into());
        let twice = |number| Damaged::Content { table: "executions", number };
        let entry = |(number, content): &(u32, Vec<u8>)| match *number {
            0..MOST_EXECUTIONS => Ok((*number, read("executions", *number, content, version)?)),
            _ => Err(Damaged::Content { table: "executions", number: *number }),
        };
        let entries: Vec<(u32, Entry)> = saved.executions.iter().map(entry).collect::<Result<_, _>>()?;
        if let Some([_, (number, _)]) = entries.array_windows().find(|[(a, _), (b, _)]| a >= b) {
            return Err(twice(*number));
        }
        for (slot, entry) in &entries {
            ledger.attach(*slot, entry)?;
        }
        ledger.executions = Executions::kept(entries).map_err(twice)?;
        ledger.track();
        if version == VERSION {
            ledger.take_changes();
        }
        Ok(ledger)
    }

    /// Puts an execution under its workflow and its conversation.
    fn attach(&mut self, slot: u32, entry: &Entry) -> Result<(), Damaged> {
        let missing = |table, number| Damaged::Missing { table, number };
        if entry.workflow as usize >= self.accounts.len() {
            return Err(missing("accounts", entry.workflow));
        }
        let open = usize::from(entry.is_open());
        self.accounts.untracked(entry.workflow).open += open;
        let Some(record) = entry.conversation else { return Ok(()) };
        if record as usize >= self.records.len() {
            return Err(missing("records", record));
        }
        let record = self.records.untracked(record);
        record.open += u32::from(entry.is_open());
        record.executions.push(slot);
        Ok(())
    }
}

/// Serialisation into memory fails for no type of ours.
fn content(row: &impl Serialize) -> Option<Vec<u8>> {
    postcard::to_stdvec(row).ok()
}

fn read<T: DeserializeOwned + Migrate>(
    table: &'static str,
    number: u32,
    content: &[u8],
    version: u64,
) -> Result<T, Damaged> {
    let row = match version {
        1 => postcard::from_bytes(content).map(T::from_first),
        _ => postcard::from_bytes(content),
    };
    row.map_err(|_| Damaged::Content { table, number })
}

fn numbered<T: DeserializeOwned + Migrate>(
    table: &'static str,
    rows: &[(u32, Vec<u8>)],
    version: u64,
) -> Result<Vec<T>, Damaged> {
    let row = |(expected, (number, content)): (u32, &(u32, Vec<u8>))| {
        let missing = Damaged::Missing { table, number: expected };
        if *number == expected { read(table, *number, content, version) } else { Err(missing) }
    };
    (0..).zip(rows).map(row).collect()
}
