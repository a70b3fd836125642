//! The tables of a state file.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};

use super::super::{Error, Export, error::Cause, identity::Identity};
use crate::account::{Changes, Row, Saved, VERSION};

/// What every database of this kind begins with.
const MAGIC: &[u8; 4] = b"redb";
/// Numbers about the file itself.
const FILE: TableDefinition<&str, u64> = TableDefinition::new("kapso-exporter");
const FORMAT: &str = "format";
const GENERATION: &str = "generation";

type Table = TableDefinition<'static, (&'static str, u32), &'static [u8]>;
/// The watermarks of each account, and the format of its rows: those of an account that was not opened since an upgrade
/// are still of an earlier one.
const WATERMARKS: Table = TableDefinition::new("marks");
const WATERMARKS_ROW: u32 = 0;
const VERSION_ROW: u32 = 1;
/// The format of rows that do not tell it.
const FIRST: u64 = 1;
#[allow(clippy::cast_possible_truncation, reason = "versions are small")]
const VERSION_BYTE: u8 = VERSION as u8;
// A table keeps its first name for good: files have it.
const WORKFLOWS: Table = TableDefinition::new("accounts");
const CONVERSATIONS: Table = TableDefinition::new("records");
const ARCHIVE: Table = TableDefinition::new("archive");
const EXECUTIONS: Table = TableDefinition::new("executions");
const OUTCOMES: Table = TableDefinition::new("outcomes");
/// Whose the accounts are. A file without this table is an older one.
const IDENTITIES: TableDefinition<&str, &[u8]> = TableDefinition::new("identities");

/// Looks at a file before the database does, which would repair what it takes for a database.
pub fn refuse_what_is_not_ours(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { action: "read", place: path.into(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_file() && metadata.len() == 0 {
        return Ok(());
    }
    let mut magic = [0; MAGIC.len()];
    let is_ours = metadata.is_file() && file.read_exact(&mut magic).is_ok() && magic == *MAGIC;
    if is_ours { Ok(()) } else { Err(Error::Foreign(path.to_owned())) }
}

/// Finds the file's generation; a new file gets its format written.
pub fn begin(database: &Database, path: &Path) -> Result<u64, Error> {
    let read = || -> Result<Option<(u64, u64)>, Cause> {
        let transaction = database.begin_read()?;
        let tables = transaction.list_tables()?.count();
        let file = match transaction.open_table(FILE) {
            Err(TableError::TableDoesNotExist(_)) => return Ok((tables > 0).then_some((0, 0))),
            table => table?,
        };
        let number = |name| Ok::<_, Cause>(file.get(name)?.map_or(0, |number| number.value()));
        Ok(Some((number(FORMAT)?, number(GENERATION)?)))
    };
    match read().map_err(|cause| cause.at(path, "read"))? {
        Some((1..=VERSION, generation)) => Ok(generation),
        Some((0, _)) => Err(Error::Foreign(path.to_owned())),
        Some((format, _)) => Err(Error::Newer { place: path.into(), format, known: VERSION }),
        None => write(database, 0, &[], &[]).map(|()| 0).map_err(|cause| cause.at(path, "write")),
    }
}

/// The names of all accounts.
pub fn names(transaction: &ReadTransaction) -> Result<BTreeSet<String>, Cause> {
    let table = match transaction.open_table(WATERMARKS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeSet::new()),
        table => table?,
    };
    let mut names = BTreeSet::new();
    for row in table.iter()? {
        names.insert(row?.0.value().0.to_owned());
    }
    Ok(names)
}

/// Takes note of the file's generation.
pub fn stamp(transaction: &WriteTransaction, generation: u64) -> Result<(), Cause> {
    let mut file = transaction.open_table(FILE)?;
    file.insert(FORMAT, VERSION)?;
    file.insert(GENERATION, generation)?;
    Ok(())
}

/// Writes these changes in one transaction.
pub fn write(
    database: &Database,
    generation: u64,
    changes: &[(&str, &Changes)],
    identities: &[(&str, Identity)],
) -> Result<(), Cause> {
    let transaction = database.begin_write()?;
    stamp(&transaction, generation)?;
    for (name, changes) in changes {
        Namespace::of(name).write(&transaction, changes)?;
    }
    for (name, identity) in identities {
        // Serialisation into memory fails for no type of ours.
        let content = serde_json::to_vec(identity).unwrap_or_default();
        transaction.open_table(IDENTITIES)?.insert(name, content.as_slice())?;
    }
    Ok(transaction.commit()?)
}

/// All accounts.
pub fn export(database: &Database) -> Result<Vec<Export>, Cause> {
    let transaction = database.begin_read()?;
    let mut accounts = Vec::new();
    for name in names(&transaction)? {
        let namespace = Namespace::of(&name);
        let (saved, identity) = (namespace.read(&transaction)?, namespace.identity(&transaction)?);
        accounts.extend(saved.map(|saved| Export { name: name.clone(), saved, identity }));
    }
    Ok(accounts)
}

/// Writes accounts as they are in one transaction.
pub fn import(database: &Database, generation: u64, accounts: &[Export]) -> Result<(), Cause> {
    let transaction = database.begin_write()?;
    stamp(&transaction, generation)?;
    for Export { name, saved, identity } in accounts {
        let format = u8::try_from(saved.format).unwrap_or(u8::MAX);
        Namespace::of(name).write_in(&transaction, &Changes::from(saved.clone()), format)?;
        if let Some(identity) = identity {
            transaction.open_table(IDENTITIES)?.insert(name.as_str(), identity.as_slice())?;
        }
    }
    Ok(transaction.commit()?)
}

/// The rows of one account.
pub struct Namespace<'a>(&'a str);

impl<'a> Namespace<'a> {
    pub fn of(name: &'a str) -> Self {
        Self(name)
    }

    fn write(&self, transaction: &WriteTransaction, changes: &Changes) -> Result<(), Cause> {
        self.write_in(transaction, changes, VERSION_BYTE)
    }

    /// Writes rows of this format.
    fn write_in(&self, transaction: &WriteTransaction, changes: &Changes, format: u8) -> Result<(), Cause> {
        let mut watermarks = transaction.open_table(WATERMARKS)?;
        watermarks.insert((self.0, WATERMARKS_ROW), changes.watermarks.as_slice())?;
        watermarks.insert((self.0, VERSION_ROW), [format].as_slice())?;
        drop(watermarks);
        self.put(transaction, WORKFLOWS, &changes.workflows)?;
        self.put(transaction, CONVERSATIONS, &changes.conversations)?;
        self.put(transaction, ARCHIVE, &changes.archive)?;
        self.put(transaction, EXECUTIONS, &changes.executions)?;
        self.put(transaction, OUTCOMES, &changes.outcomes)
    }

    fn put(&self, transaction: &WriteTransaction, table: Table, rows: &[Row]) -> Result<(), Cause> {
        let mut table = transaction.open_table(table)?;
        for (number, content) in rows {
            let key = (self.0, *number);
            match content {
                Some(content) => drop(table.insert(key, content.as_slice())?),
                None => drop(table.remove(key)?),
            }
        }
        Ok(())
    }

    /// Removes all of it.
    pub fn remove(&self, transaction: &WriteTransaction) -> Result<(), Cause> {
        for table in [WATERMARKS, WORKFLOWS, CONVERSATIONS, ARCHIVE, EXECUTIONS, OUTCOMES] {
            transaction.open_table(table)?.retain_in((self.0, 0)..=(self.0, u32::MAX), |_, _| false)?;
        }
        transaction.open_table(IDENTITIES)?.remove(self.0)?;
        Ok(())
    }

    /// Whose it is, as JSON, if the file tells.
    pub fn identity(&self, transaction: &ReadTransaction) -> Result<Option<Vec<u8>>, Cause> {
        match transaction.open_table(IDENTITIES) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(table?.get(self.0)?.map(|content| content.value().to_vec())),
        }
    }

    /// All rows, if there are any.
    pub fn read(&self, transaction: &ReadTransaction) -> Result<Option<Saved>, Cause> {
        let mut rows = self.get(transaction, WATERMARKS)?.into_iter();
        let Some((_, watermarks)) = rows.next() else { return Ok(None) };
        let format = rows.next().and_then(|(_, version)| Some(u64::from(*version.first()?)));
        Ok(Some(Saved {
            format: format.unwrap_or(FIRST),
            watermarks,
            workflows: self.get(transaction, WORKFLOWS)?,
            conversations: self.get(transaction, CONVERSATIONS)?,
            archive: self.get(transaction, ARCHIVE)?,
            executions: self.get(transaction, EXECUTIONS)?,
            outcomes: self.get(transaction, OUTCOMES)?,
        }))
    }

    fn get(&self, transaction: &ReadTransaction, table: Table) -> Result<Vec<(u32, Vec<u8>)>, Cause> {
        let table = match transaction.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let mut rows = Vec::new();
        for row in table.range((self.0, 0)..=(self.0, u32::MAX))? {
            let (key, content) = row?;
            rows.push((key.value().1, content.value().to_vec()));
        }
        Ok(rows)
    }
}
