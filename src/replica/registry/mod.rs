//! The tables of replicas and leases: each statement does one thing, by the clock of the database.

mod records;

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

pub use self::records::{Beat, Known, Release, Renewal, Renewed, Seen, Taken};
use crate::{
    lease::{Epoch, KeyHash, Lease, Terms},
    state::postgres::{Database, Error, Operation},
};

/// Statements about leases are small: an answer that takes longer is of no use.
const LONGEST: Duration = Duration::from_secs(5);
/// Deliveries that nobody took in for so long are dropped: nobody watches their projects any more.
const UNCLAIMED_AFTER: &str = "1 day";
/// Leases that nobody took for so long are of keys that are no longer configured.
const UNUSED_AFTER: &str = "7 days";
/// Replicas that are gone for so long are forgotten.
const FORGOTTEN_AFTER: &str = "1 hour";

/// The tables, as one replica sees them.
#[derive(Clone)]
pub struct Registry {
    database: Database,
    /// The id of this replica: random, another one in each run.
    id: String,
    /// What people call it.
    name: String,
    terms: Terms,
}

impl Registry {
    /// For the replica of this id and name.
    #[must_use]
    pub fn new(database: Database, id: String, name: String, terms: Terms) -> Self {
        Self { database, id, name, terms }
    }

    /// The id of this replica.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same over a connection of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { database: self.database.apart(), ..self.clone() }
    }

    /// An answer that comes when half of a lease is over comes too late.
    fn within(&self) -> Duration {
        LONGEST.min(self.terms.ttl / 2)
    }

    async fn ask(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        self.database.ask(Operation::Lease, self.within(), sql, parameters).await
    }

    /// Makes leases known that may be new, with the projects of their keys.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn announce(&self, leases: &[(KeyHash, String)]) -> Result<(), Error> {
        let (keys, projects): (Vec<_>, Vec<_>) =
            leases.iter().map(|(key, projects)| (&key.0[..], projects.as_str())).unzip();
        // An array of arrays has to be rectangular: the projects of a key come as one text.
        let sql = "
            INSERT INTO kapso_exporter.lease AS lease (key, projects)
            SELECT key, string_to_array(projects, ',') FROM unnest($1::bytea[], $2::text[]) AS asked (key, projects)
            ORDER BY key
            ON CONFLICT (key) DO UPDATE SET projects = excluded.projects
            WHERE lease.projects IS DISTINCT FROM excluded.projects";
        self.ask(sql, &[(&keys, Type::BYTEA_ARRAY), (&projects, Type::TEXT_ARRAY)]).await?;
        let sql =
            format!("DELETE FROM kapso_exporter.replica WHERE until < now() - interval '{FORGOTTEN_AFTER}'");
        self.ask(&sql, &[]).await?;
        let sql = format!("DELETE FROM kapso_exporter.lease WHERE until < now() - interval '{UNUSED_AFTER}'");
        self.ask(&sql, &[]).await?;
        let sql = format!(
            "DELETE FROM kapso_exporter.delivery WHERE received < now() - interval '{UNCLAIMED_AFTER}'"
        );
        self.ask(&sql, &[]).await.map(drop)
    }

    /// Tells that this replica is alive, and renews its leases.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn beat(&self, renewals: &[Renewal]) -> Result<Beat, Error> {
        let keys: Vec<_> = renewals.iter().map(|renewal| renewal.lease.key()).collect();
        let keys: Vec<_> = keys.iter().map(|key| &key.0[..]).collect();
        let epochs: Vec<_> = renewals.iter().map(|renewal| renewal.lease.epoch()).collect();
        let costs: Vec<_> = renewals.iter().map(|renewal| renewal.cost).collect();
        let usages: Vec<_> = renewals.iter().map(|renewal| renewal.usage.as_slice()).collect();
        let sql = "
            WITH beat AS (
                INSERT INTO kapso_exporter.replica (id, name, version, until)
                VALUES ($1, $2, $3, now() + $4 * interval '1 second')
                ON CONFLICT (id) DO UPDATE SET seen = now(), until = excluded.until
            ), asked AS (
                SELECT * FROM unnest($5::bytea[], $6::int8[], $7::float4[], $8::bytea[])
                    WITH ORDINALITY AS asked (key, epoch, cost, usage, place)
            ), renewed AS (
                UPDATE kapso_exporter.lease SET until = now() + $4 * interval '1 second', renewed = now(),
                    cost = CASE lease.cost WHEN 0 THEN asked.cost ELSE lease.cost + (asked.cost - lease.cost) / 10 END,
                    usage = asked.usage
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

    /// The leases that are free, and whether the database knows that this replica is alive.
    ///
    /// # Errors
    /// If the database does not tell.
    pub async fn free(&self) -> Result<(Vec<KeyHash>, bool), Error> {
        let sql = "
            SELECT lease.key, was.alive
            FROM (SELECT coalesce((SELECT until > now() FROM kapso_exporter.replica WHERE id = $1), false) AS alive) AS was
            LEFT JOIN kapso_exporter.lease ON lease.until <= now()";
        let rows = self.ask(sql, &[(&self.id, Type::TEXT)]).await?;
        let is_alive = rows.first().is_some_and(|row| row.get(1));
        Ok((rows.iter().filter_map(|row| key(row, 0)).collect(), is_alive))
    }

    /// The replicas that are alive, and all leases.
    ///
    /// # Errors
    /// If the database does not tell.
    pub async fn overview(&self) -> Result<(Vec<Seen>, Vec<Known>), Error> {
        let sql = "
            SELECT id, name, version, extract(epoch FROM started)::float8, extract(epoch FROM seen)::float8,
                extract(epoch FROM now() - started)::float8
            FROM kapso_exporter.replica WHERE until > now() ORDER BY started, id";
        let replicas = self.ask(sql, &[]).await?;
        let sql = "
            SELECT key, owner, epoch, until <= now(), extract(epoch FROM held_since)::float8, cost, projects,
                extract(epoch FROM now() - held_since)::float8
            FROM kapso_exporter.lease ORDER BY key";
        let leases = self.ask(sql, &[]).await?;
        let known = |row: &Row| {
            Some(Known {
                key: key(row, 0)?,
                owner: row.get(1),
                epoch: row.get(2),
                is_free: row.get(3),
                held_since: moment(row.get(4)),
                cost: row.get(5),
                projects: row.get(6),
                held_for: seconds(row.get(7)),
            })
        };
        let seen = |row: &Row| Seen {
            id: row.get(0),
            name: row.get(1),
            version: row.get(2),
            started: moment(row.get(3)),
            beaten: moment(row.get(4)),
            age: seconds(row.get(5)),
        };
        Ok((replicas.iter().map(seen).collect(), leases.iter().filter_map(known).collect()))
    }

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
                SELECT lease.key, lease.released, lease.usage, greatest(lease.epoch, asked.epoch) + 1 AS epoch,
                    extract(epoch FROM now() - lease.renewed)::float8 AS told_ago
                FROM kapso_exporter.lease JOIN asked USING (key)
                WHERE lease.until <= now()
                ORDER BY lease.key
                FOR UPDATE OF lease SKIP LOCKED
            )
            UPDATE kapso_exporter.lease SET owner = $1, epoch = free.epoch, released = false, held_since = now(),
                until = now() + $2 * interval '1 second'
            FROM free WHERE lease.key = free.key
            RETURNING lease.key, lease.epoch, free.usage, free.told_ago, free.released";
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
                was_released: row.get(4),
            })
        };
        Ok(rows.iter().filter_map(taken).collect())
    }

    /// Takes a lease again that the database knows in an earlier epoch than this replica, or not at all. Returns its epoch;
    /// `None` if another replica has it.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn take_again(&self, lease: &Lease) -> Result<Option<Epoch>, Error> {
        let sql = "
            INSERT INTO kapso_exporter.lease AS lease (key, owner, epoch, until, released)
            VALUES ($1, $2, $3 + 1, now() + $4 * interval '1 second', false)
            ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, epoch = greatest(lease.epoch + 1, excluded.epoch),
                until = excluded.until, released = false, held_since = now()
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
        let keys: Vec<_> = leases.iter().map(|release| release.lease.key()).collect();
        let keys: Vec<_> = keys.iter().map(|key| &key.0[..]).collect();
        let epochs: Vec<_> = leases.iter().map(|release| release.lease.epoch()).collect();
        let usages: Vec<_> = leases.iter().map(|release| release.usage.as_slice()).collect();
        let successors: Vec<_> =
            leases.iter().map(|release| release.successor.as_deref().unwrap_or("")).collect();
        let sql = "
            UPDATE kapso_exporter.lease SET owner = asked.successor, released = true, until = now(), renewed = now(),
                usage = asked.usage
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

    /// This replica stops: nobody is to give leases to it.
    ///
    /// # Errors
    /// If the database does not do so; then it is taken for alive until its time is over.
    pub async fn leave(&self) -> Result<(), Error> {
        let sql = "DELETE FROM kapso_exporter.replica WHERE id = $1";
        self.ask(sql, &[(&self.id, Type::TEXT)]).await.map(drop)
    }
}

fn key(row: &Row, column: usize) -> Option<KeyHash> {
    row.get::<_, Option<&[u8]>>(column)?.try_into().ok().map(KeyHash)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[allow(clippy::cast_possible_truncation, reason = "microseconds of this century")]
fn moment(unix_seconds: f64) -> Timestamp {
    Timestamp::from_microsecond((unix_seconds * 1e6) as i64).unwrap_or_default()
}
