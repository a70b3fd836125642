//! Accounts that nobody opens: the file holds since when, so that a project that was removed by mistake counts on when it
//! is put back, and one that was removed for good leaves no rows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{
    super::error::Cause,
    rows::{self, Namespace},
};

/// Since when, in microseconds of the wall clock.
const UNUSED: TableDefinition<&str, i64> = TableDefinition::new("unused");

/// Takes note of which accounts are not kept since when, and removes those that were not since `least` or before.
/// Returns whether there was something to write.
pub fn tidy(
    database: &Database,
    generation: u64,
    is_kept: impl Fn(&str) -> bool,
    now: Timestamp,
    least: Option<Timestamp>,
) -> Result<bool, Cause> {
    let (before, after) = (read(database)?, unused(database, is_kept, now)?);
    let is_over = |since: i64| least.is_some_and(|least| since <= least.as_microsecond());
    if before == after && !after.values().any(|&since| is_over(since)) {
        return Ok(false);
    }
    let transaction = database.begin_write()?;
    rows::stamp(&transaction, generation)?;
    {
        let mut table = transaction.open_table(UNUSED)?;
        table.retain(|_, _| false)?;
        for (name, &since) in &after {
            if is_over(since) {
                Namespace::of(name).remove(&transaction)?;
                tracing::info!(
                    account = name,
                    "removed from the state file: nothing has watched it for the retention"
                );
            } else {
                table.insert(name.as_str(), since)?;
            }
        }
    }
    transaction.commit()?;
    Ok(true)
}

/// Those that are not kept, and since when.
fn unused(
    database: &Database,
    is_kept: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Result<BTreeMap<String, i64>, Cause> {
    let since = read(database)?;
    let names = rows::names(&database.begin_read()?)?;
    let unused = names.into_iter().filter(|name| !is_kept(name));
    Ok(unused.map(|name| (name.clone(), since.get(&name).map_or(now.as_microsecond(), |&at| at))).collect())
}

fn read(database: &Database) -> Result<BTreeMap<String, i64>, Cause> {
    let table = match database.begin_read()?.open_table(UNUSED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        table => table?,
    };
    let mut unused = BTreeMap::new();
    for row in table.iter()? {
        let (name, since) = row?;
        unused.insert(name.value().to_owned(), since.value());
    }
    Ok(unused)
}
