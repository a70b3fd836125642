//! The rows of accounts in the database.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use tokio_postgres::types::{ToSql, Type};

use super::{Database, Error, Operation};
use crate::{
    account::{Changes, Saved, VERSION},
    lease::{Epoch, KeyHash},
};

/// For accounts with millions of rows.
const READ_WITHIN: Duration = Duration::from_mins(1);
/// A first write may be as large.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// What is kept of an account: its rows, whose it is as JSON, and how many times it was written.
pub(super) struct Found {
    pub saved: Saved,
    pub identity: Option<Vec<u8>>,
    pub generation: i64,
}

/// What is to be written of an account under a lease.
pub(super) struct Leased<'a> {
    pub name: &'a str,
    pub key: KeyHash,
    pub epoch: Epoch,
    /// How many times it was written so far; zero if it is not there.
    pub generation: i64,
    pub changes: &'a Changes,
    pub identity: Option<Vec<u8>>,
}

/// What the database says to that.
pub(super) struct Answer {
    /// Whether it was written.
    pub written: bool,
    /// The epoch of the lease now; `None` if there is no such lease.
    pub epoch: Option<Epoch>,
    /// Whether the lease is ours.
    pub is_ours: bool,
    /// How many times the account had been written before; zero if it was not there.
    pub generation: i64,
    /// The epoch in which it was last written.
    pub written_in: Option<Epoch>,
}

/// What that means for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was written.
    Written,
    /// Nothing was written: the lease was granted anew since.
    Late,
    /// Nothing was written, and nothing is wrong with the account: it is tried again later.
    Refused,
    /// Nothing was written: it had been before, and the answer was lost.
    AnswerLost,
    /// Nothing was written: another owner wrote the account since it was read here.
    Overtaken,
    /// Nothing was written: the account is an older state than we wrote or read.
    Older,
}

impl Answer {
    /// What it says to a write in this epoch, of an account that was written `generation` times as far as we know.
    pub fn outcome(&self, epoch: Epoch, generation: i64) -> Outcome {
        if self.written {
            return Outcome::Written;
        }
        if !self.is_ours {
            return if self.epoch > Some(epoch) { Outcome::Late } else { Outcome::Refused };
        }
        match self.generation.cmp(&generation) {
            Ordering::Less => Outcome::Older,
            Ordering::Equal => Outcome::Refused,
            // Nobody but us writes in our epoch.
            Ordering::Greater if self.written_in == Some(epoch) => Outcome::AnswerLost,
            Ordering::Greater => Outcome::Overtaken,
        }
    }
}

/// Locks the leases while it writes, so that none is granted to another replica before that is done; and writes what is
/// written under a lease of ours to an account that is as we know it.
const WRITE: &str = "
WITH asked AS (
    SELECT * FROM unnest($2::text[], $3::bytea[], $4::int8[], $5::int8[], $6::bytea[], $7::bytea[])
        WITH ORDINALITY AS asked (name, key, epoch, generation, watermarks, identity, place)
), ours AS (
    SELECT asked.place FROM asked
    JOIN kapso_exporter.lease ON lease.key = asked.key AND lease.epoch = asked.epoch AND lease.owner = $1
    FOR SHARE OF lease
), updated AS (
    UPDATE kapso_exporter.account SET generation = asked.generation + 1, epoch = asked.epoch, format = $8,
        watermarks = asked.watermarks, identity = coalesce(asked.identity, account.identity), used = now()
    FROM asked JOIN ours USING (place)
    WHERE account.name = asked.name AND account.generation = asked.generation
    RETURNING account.id, asked.place
), inserted AS (
    INSERT INTO kapso_exporter.account AS account (name, generation, epoch, format, watermarks, identity)
    SELECT name, 1, epoch, $8, watermarks, identity FROM asked JOIN ours USING (place) WHERE generation = 0
    ON CONFLICT DO NOTHING
    RETURNING account.id, account.name
), written AS (
    SELECT id, place FROM updated
    UNION ALL SELECT inserted.id, asked.place FROM inserted JOIN asked USING (name)
), rows AS (
    SELECT written.id, r.kind, r.number, r.content
    FROM unnest($9::int8[], $10::int2[], $11::int4[], $12::bytea[]) AS r (place, kind, number, content)
    JOIN written USING (place)
), removed AS (
    DELETE FROM kapso_exporter.account_row USING rows
    WHERE rows.content IS NULL AND account_row.account = rows.id AND account_row.kind = rows.kind
        AND account_row.number = rows.number
), put AS (
    INSERT INTO kapso_exporter.account_row (account, kind, number, content)
    SELECT id, kind, number, content FROM rows WHERE content IS NOT NULL
    ON CONFLICT (account, kind, number) DO UPDATE SET content = excluded.content
)
SELECT asked.place, written.id IS NOT NULL, ours.place IS NOT NULL, lease.epoch, account.generation, account.epoch
FROM asked
LEFT JOIN ours USING (place)
LEFT JOIN written USING (place)
LEFT JOIN kapso_exporter.lease ON lease.key = asked.key
LEFT JOIN kapso_exporter.account ON account.name = asked.name
ORDER BY asked.place";

impl Database {
    /// What is kept under these names, of those under which something is.
    pub(super) async fn accounts(&self, names: &[&str]) -> Result<BTreeMap<String, Found>, Error> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = "SELECT id, name, format, watermarks, identity, generation FROM kapso_exporter.account \
                   WHERE name = ANY($1)";
        let rows = self.ask(Operation::Read, READ_WITHIN, sql, &[(&names, Type::TEXT_ARRAY)]).await?;
        let found = |row: &tokio_postgres::Row| {
            let format = u64::try_from(row.get::<_, i16>(2)).unwrap_or(u64::MAX);
            let saved = Saved { format, watermarks: row.get(3), ..Saved::default() };
            (row.get(0), (row.get(1), Found { saved, identity: row.get(4), generation: row.get(5) }))
        };
        let mut accounts: BTreeMap<i32, (String, Found)> = rows.iter().map(found).collect();
        let ids: Vec<_> = accounts.keys().copied().collect();
        let sql = "SELECT account, kind, number, content FROM kapso_exporter.account_row \
                   WHERE account = ANY($1) ORDER BY account, kind, number";
        for row in self.ask(Operation::Read, READ_WITHIN, sql, &[(&ids, Type::INT4_ARRAY)]).await? {
            if let Some((name, found)) = accounts.get_mut(&row.get(0)) {
                self.add_row(&mut found.saved, name, (row.get(1), row.get(2), row.get(3)))?;
            }
        }
        Ok(accounts.into_values().collect())
    }

    /// Writes these as `owner`; an answer for each, in their order.
    pub(super) async fn write(&self, owner: &str, writes: &[Leased<'_>]) -> Result<Vec<Answer>, Error> {
        let (names, keys): (Vec<_>, Vec<_>) = writes.iter().map(|w| (w.name, &w.key.0[..])).unzip();
        let (epochs, generations): (Vec<_>, Vec<_>) = writes.iter().map(|w| (w.epoch, w.generation)).unzip();
        let watermarks: Vec<_> = writes.iter().map(|w| w.changes.watermarks.as_slice()).collect();
        let identities: Vec<_> = writes.iter().map(|w| w.identity.as_deref()).collect();
        let rows = Rows::of(writes);
        let format = i16::try_from(VERSION).unwrap_or(i16::MAX);
        let parameters: [(&(dyn ToSql + Sync), Type); 12] = [
            (&owner, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&keys, Type::BYTEA_ARRAY),
            (&epochs, Type::INT8_ARRAY),
            (&generations, Type::INT8_ARRAY),
            (&watermarks, Type::BYTEA_ARRAY),
            (&identities, Type::BYTEA_ARRAY),
            (&format, Type::INT2),
            (&rows.places, Type::INT8_ARRAY),
            (&rows.kinds, Type::INT2_ARRAY),
            (&rows.numbers, Type::INT4_ARRAY),
            (&rows.contents, Type::BYTEA_ARRAY),
        ];
        let answers = self.ask(Operation::Write, WRITTEN_WITHIN, WRITE, &parameters).await?;
        let answer = |row: &tokio_postgres::Row| Answer {
            written: row.get(1),
            is_ours: row.get(2),
            epoch: row.get(3),
            generation: row.get::<_, Option<i64>>(4).unwrap_or_default(),
            written_in: row.get(5),
        };
        Ok(answers.iter().map(answer).collect())
    }

    /// Adds a row to those of the account `name`.
    pub(super) fn add_row(
        &self,
        saved: &mut Saved,
        name: &str,
        (kind, number, content): (i16, i32, Vec<u8>),
    ) -> Result<(), Error> {
        let table = (0..).zip(saved.tables_mut()).find(|(place, _)| *place == kind);
        let (_, rows) = table.ok_or_else(|| self.damaged(format!("rows of kind {kind} of {name}")))?;
        let number = u32::try_from(number).map_err(|_| self.damaged(format!("a row of {name}")))?;
        rows.push((number, content));
        Ok(())
    }

    fn damaged(&self, what: String) -> Error {
        Error::Damaged { place: self.place().to_owned(), what }
    }
}

/// All rows that changed, by column.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// Which of the accounts, from one on.
    pub places: Vec<i64>,
    pub kinds: Vec<i16>,
    pub numbers: Vec<i32>,
    pub contents: Vec<Option<&'a [u8]>>,
}

impl<'a> Rows<'a> {
    fn of(writes: &'a [Leased<'a>]) -> Self {
        let mut rows = Self::default();
        for (place, write) in (1..).zip(writes) {
            for (kind, changed) in (0..).zip(write.changes.tables()) {
                for (number, content) in changed {
                    rows.add(place, kind, *number, content.as_deref());
                }
            }
        }
        rows
    }

    /// All rows of these accounts.
    pub fn saved(accounts: impl Iterator<Item = &'a Saved>) -> Self {
        let mut rows = Self::default();
        for (place, saved) in (1..).zip(accounts) {
            for (kind, kept) in (0..).zip(saved.tables()) {
                for (number, content) in kept {
                    rows.add(place, kind, *number, Some(content));
                }
            }
        }
        rows
    }

    fn add(&mut self, place: i64, kind: i16, number: u32, content: Option<&'a [u8]>) {
        self.places.push(place);
        self.kinds.push(kind);
        // Numbers are places in memory: lower by far.
        self.numbers.push(i32::try_from(number).unwrap_or(i32::MAX));
        self.contents.push(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a lease of ours in epoch 7 hears of an account that it knows to be written three times, and that was written
    /// so many times, last in this epoch.
    fn outcome(generation: i64, written_in: Option<Epoch>) -> Outcome {
        let answer = Answer { written: false, epoch: Some(7), is_ours: true, generation, written_in };
        answer.outcome(7, 3)
    }

    #[test]
    fn an_account_that_we_wrote_once_more_than_we_know_was_written_by_a_request_whose_answer_was_lost() {
        assert_eq!(outcome(4, Some(7)), Outcome::AnswerLost);
    }

    #[test]
    fn what_another_owner_wrote_since_it_was_read_is_never_written_over() {
        assert_eq!([4, 5].map(|generation| outcome(generation, Some(6))), [Outcome::Overtaken; 2]);
    }

    #[test]
    fn an_account_that_was_written_less_often_than_we_know_is_an_older_state() {
        assert_eq!([outcome(2, Some(6)), outcome(2, Some(7)), outcome(0, None)], [Outcome::Older; 3]);
    }

    #[test]
    fn nothing_is_known_of_a_write_that_was_overtaken_within_the_statement() {
        assert_eq!(outcome(3, Some(7)), Outcome::Refused);
    }

    #[test]
    fn a_lease_that_was_granted_anew_is_not_ours_whatever_the_account_says() {
        let answer =
            |epoch| Answer { written: false, epoch, is_ours: false, generation: 4, written_in: Some(7) };
        assert_eq!(answer(Some(8)).outcome(7, 3), Outcome::Late);
        // It is given away, or forgotten.
        assert_eq!([Some(7), Some(6), None].map(|epoch| answer(epoch).outcome(7, 3)), [Outcome::Refused; 3]);
    }
}
