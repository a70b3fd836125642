//! All accounts of the database at once: out of it, and into it.

use std::{collections::BTreeMap, time::Duration};

use tokio_postgres::types::{ToSql, Type};

use super::{Database, Error, Operation, rows::Rows};
use crate::{account::Saved, state::Export};

/// For millions of rows.
const WITHIN: Duration = Duration::from_mins(10);

impl Database {
    /// All accounts, as they are at one moment.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn export(&self) -> Result<Vec<Export>, Error> {
        // One statement sees one moment.
        let sql = "
            SELECT name, format, watermarks, identity, NULL::int2, NULL::int4, NULL::bytea
            FROM kapso_exporter.account
            UNION ALL
            SELECT account.name, NULL, NULL, NULL, r.kind, r.number, r.content
            FROM kapso_exporter.account_row AS r JOIN kapso_exporter.account ON account.id = r.account
            ORDER BY 1, 5 NULLS FIRST, 6";
        let mut accounts = BTreeMap::<String, Export>::new();
        for row in self.ask(Operation::Read, WITHIN, sql, &[]).await? {
            let name: String = row.get(0);
            let Some(kind) = row.get::<_, Option<i16>>(4) else {
                let format = u64::try_from(row.get::<_, i16>(1)).unwrap_or(u64::MAX);
                let saved = Saved { format, watermarks: row.get(2), ..Saved::default() };
                accounts.insert(name.clone(), Export { name, saved, identity: row.get(3) });
                continue;
            };
            if let Some(account) = accounts.get_mut(&name) {
                self.add_row(&mut account.saved, &name, (kind, row.get(5), row.get(6)))?;
            }
        }
        Ok(accounts.into_values().collect())
    }

    /// Adds accounts, all or none.
    ///
    /// # Errors
    /// If a replica is alive, the database knows one of the accounts already, or they cannot be written.
    pub async fn import(&self, accounts: &[Export]) -> Result<(), Error> {
        let names: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
        let sql = "SELECT name FROM kapso_exporter.replica WHERE until > now()
            UNION ALL SELECT name FROM kapso_exporter.account WHERE name = ANY($1)";
        let found = self.ask(Operation::Read, WITHIN, sql, &[(&names, Type::TEXT_ARRAY)]).await?;
        if let Some(row) = found.first() {
            let name: String = row.get(0);
            return Err(Error::InUse { place: self.place().to_owned(), name });
        }
        let formats: Vec<_> =
            accounts.iter().map(|a| i16::try_from(a.saved.format).unwrap_or(i16::MAX)).collect();
        let watermarks: Vec<_> = accounts.iter().map(|a| a.saved.watermarks.as_slice()).collect();
        let identities: Vec<_> = accounts.iter().map(|a| a.identity.as_deref()).collect();
        let rows = Rows::saved(accounts.iter().map(|account| &account.saved));
        let sql = "
            WITH asked AS (
                SELECT * FROM unnest($1::text[], $2::int2[], $3::bytea[], $4::bytea[])
                    WITH ORDINALITY AS asked (name, format, watermarks, identity, place)
            ), added AS (
                INSERT INTO kapso_exporter.account AS account (name, generation, epoch, format, watermarks, identity)
                SELECT name, 1, 0, format, watermarks, identity FROM asked
                RETURNING account.id, account.name
            )
            INSERT INTO kapso_exporter.account_row (account, kind, number, content)
            SELECT added.id, r.kind, r.number, r.content
            FROM unnest($5::int8[], $6::int2[], $7::int4[], $8::bytea[]) AS r (place, kind, number, content)
            JOIN asked USING (place) JOIN added USING (name)";
        let parameters: [(&(dyn ToSql + Sync), Type); 8] = [
            (&names, Type::TEXT_ARRAY),
            (&formats, Type::INT2_ARRAY),
            (&watermarks, Type::BYTEA_ARRAY),
            (&identities, Type::BYTEA_ARRAY),
            (&rows.places, Type::INT8_ARRAY),
            (&rows.kinds, Type::INT2_ARRAY),
            (&rows.numbers, Type::INT4_ARRAY),
            (&rows.contents, Type::BYTEA_ARRAY),
        ];
        self.ask(Operation::Write, WITHIN, sql, &parameters).await.map(drop)
    }
}
