//! How leases are granted, renewed and released.

use tokio_postgres::{Row, types::Type};

use super::{Beat, Registry, Release, Renewal, Renewed, Taken, key, seconds};
use crate::{
    lease::{Epoch, KeyHash, Lease},
    state::postgres::Error,
};

impl Registry {
    /// Takes those of these leases that are free. Each is granted in a later epoch than any that is known here.
    ///
    /// # Errors
    /// If the database does not do so. Then some may have been taken; they are free again after their time.
    pub async fn take(&self, leases: &[(KeyHash, Epoch)]) -> Result<Vec<Taken>, Error> {
        let (keys, epochs): (Vec<_>, Vec<_>) = leases.iter().map(|(key, epoch)| (&key.0[..], *epoch)).unzip();
        let sql = "
            WITH asked AS (
                SELECT * FROM unnest($3::bytea[], $4::int8[]) AS asked (key, epoch)
            ), free AS (
                SELECT lease.key, lease.usage, greatest(lease.epoch, asked.epoch) + 1 AS epoch,
                    extract(epoch FROM now() - lease.told)::float8 AS told_ago
                FROM kapso_exporter.lease JOIN asked USING (key)
                WHERE lease.until <= now()
                ORDER BY lease.key
                FOR UPDATE OF lease SKIP LOCKED
            )
            UPDATE kapso_exporter.lease SET owner = $1, epoch = free.epoch, held_since = now(),
                until = now() + $2 * interval '1 second'
            FROM free WHERE lease.key = free.key
            RETURNING lease.key, lease.epoch, free.usage, free.told_ago";
        let rows = self
            .ask(
                sql,
                &[
                    (&self.id, Type::TEXT),
                    (&self.terms.ttl.as_secs_f64(), Type::FLOAT8),
                    (&keys, Type::BYTEA_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                ],
            )
            .await?;
        let taken = |row: &Row| {
            Some(Taken {
                key: key(row, 0)?,
                epoch: row.get(1),
                usage: row.get(2),
                told_ago: seconds(row.get(3)),
            })
        };
        Ok(rows.iter().filter_map(taken).collect())
    }

    /// Tells that this replica is alive, and renews its leases.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn beat(&self, renewals: &[Renewal]) -> Result<Beat, Error> {
        let (keys, epochs) = granted(renewals.iter().map(|renewal| &renewal.lease));
        let costs: Vec<_> = renewals.iter().map(|renewal| renewal.cost).collect();
        let usages: Vec<_> = renewals.iter().map(|renewal| renewal.usage.as_deref()).collect();
        let sql = "
            WITH beat AS (
                INSERT INTO kapso_exporter.replica (id, name, version, until)
                VALUES ($1, $2, $3, now() + $4 * interval '1 second')
                ON CONFLICT (id) DO UPDATE SET seen = now(), until = excluded.until
            ), asked AS (
                SELECT * FROM unnest($5::bytea[], $6::int8[], $7::float4[], $8::bytea[])
                    WITH ORDINALITY AS asked (key, epoch, cost, usage, place)
            ), renewed AS (
                UPDATE kapso_exporter.lease SET until = now() + $4 * interval '1 second',
                    cost = CASE lease.cost WHEN 0 THEN asked.cost ELSE lease.cost + (asked.cost - lease.cost) / 10 END,
                    usage = coalesce(asked.usage, lease.usage),
                    told = CASE WHEN asked.usage IS NULL THEN lease.told ELSE now() END
                FROM asked
                WHERE lease.key = asked.key AND lease.epoch = asked.epoch AND lease.owner = $1
                RETURNING asked.place
            )
            SELECT renewed.place IS NOT NULL, lease.epoch > asked.epoch
                OR (lease.epoch = asked.epoch AND lease.owner <> $1), asked.place, was.alive
            FROM (SELECT coalesce((SELECT until > now() FROM kapso_exporter.replica WHERE id = $1), false) AS alive) AS was
            LEFT JOIN asked ON true
            LEFT JOIN renewed USING (place)
            LEFT JOIN kapso_exporter.lease ON lease.key = asked.key
            ORDER BY asked.place";
        let rows = self
            .ask(
                sql,
                &[
                    (&self.id, Type::TEXT),
                    (&self.name, Type::TEXT),
                    (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                    (&self.terms.ttl.as_secs_f64(), Type::FLOAT8),
                    (&keys, Type::BYTEA_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                    (&costs, Type::FLOAT4_ARRAY),
                    (&usages, Type::BYTEA_ARRAY),
                ],
            )
            .await?;
        let renewed = |row: &Row| match (row.get(0), row.get(1)) {
            (true, _) => Renewed::Granted,
            (false, Some(true)) => Renewed::Lost,
            (false, _) => Renewed::Older,
        };
        let is_lease = |row: &&Row| row.get::<_, Option<i64>>(2).is_some();
        Ok(Beat {
            renewed: rows.iter().filter(is_lease).map(renewed).collect(),
            was_alive: rows.first().is_some_and(|row| row.get(3)),
        })
    }

    /// Tells what the keys of these leases were used for, and how many requests are reserved with it. Returns the places of
    /// those leases that this replica has.
    ///
    /// # Errors
    /// If the database does not take note of it.
    pub async fn reserve(&self, told: &[(Lease, Vec<u8>)]) -> Result<Vec<usize>, Error> {
        let (keys, epochs) = granted(told.iter().map(|(lease, _)| lease));
        let usages: Vec<_> = told.iter().map(|(_, usage)| usage.as_slice()).collect();
        let sql = "
            UPDATE kapso_exporter.lease SET usage = asked.usage, told = now()
            FROM unnest($2::bytea[], $3::int8[], $4::bytea[]) WITH ORDINALITY AS asked (key, epoch, usage, place)
            WHERE lease.key = asked.key AND lease.epoch = asked.epoch AND lease.owner = $1
            RETURNING asked.place - 1";
        let rows = self
            .ask(
                sql,
                &[
                    (&self.id, Type::TEXT),
                    (&keys, Type::BYTEA_ARRAY),
                    (&epochs, Type::INT8_ARRAY),
                    (&usages, Type::BYTEA_ARRAY),
                ],
            )
            .await?;
        Ok(rows.iter().filter_map(|row| usize::try_from(row.get::<_, i64>(0)).ok()).collect())
    }

    /// Takes a lease again that the database knows in an earlier epoch than this replica, or not at all. Returns its epoch;
    /// `None` if another replica has it.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn take_again(&self, lease: &Lease) -> Result<Option<Epoch>, Error> {
        let sql = "
            INSERT INTO kapso_exporter.lease AS lease (key, owner, epoch, until)
            VALUES ($1, $2, $3 + 1, now() + $4 * interval '1 second')
            ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, epoch = greatest(lease.epoch + 1, excluded.epoch),
                until = excluded.until, held_since = now()
            WHERE lease.until <= now() OR lease.owner = excluded.owner
            RETURNING epoch";
        let rows = self
            .ask(
                sql,
                &[
                    (&&lease.key().0[..], Type::BYTEA),
                    (&self.id, Type::TEXT),
                    (&lease.epoch(), Type::INT8),
                    (&self.terms.ttl.as_secs_f64(), Type::FLOAT8),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Gives leases away: to this replica first, if one is named, and with what their keys were used for.
    ///
    /// # Errors
    /// If the database does not do so; then they are free after their time.
    pub async fn release(&self, leases: &[Release]) -> Result<(), Error> {
        let (keys, epochs) = granted(leases.iter().map(|release| &release.lease));
        let usages: Vec<_> = leases.iter().map(|release| release.usage.as_deref()).collect();
        let successors: Vec<_> =
            leases.iter().map(|release| release.successor.as_deref().unwrap_or("")).collect();
        let sql = "
            UPDATE kapso_exporter.lease SET owner = asked.successor, until = now(),
                usage = coalesce(asked.usage, lease.usage),
                told = CASE WHEN asked.usage IS NULL THEN lease.told ELSE now() END
            FROM unnest($2::bytea[], $3::int8[], $4::bytea[], $5::text[]) AS asked (key, epoch, usage, successor)
            WHERE lease.key = asked.key AND lease.epoch = asked.epoch AND lease.owner = $1";
        self.ask(
            sql,
            &[
                (&self.id, Type::TEXT),
                (&keys, Type::BYTEA_ARRAY),
                (&epochs, Type::INT8_ARRAY),
                (&usages, Type::BYTEA_ARRAY),
                (&successors, Type::TEXT_ARRAY),
            ],
        )
        .await
        .map(drop)
    }
}

/// The columns that tell which leases are meant, and in which epochs they were granted.
fn granted<'a>(leases: impl Iterator<Item = &'a Lease>) -> (Vec<Vec<u8>>, Vec<Epoch>) {
    leases.map(|lease| (lease.key().0.to_vec(), lease.epoch())).unzip()
}
