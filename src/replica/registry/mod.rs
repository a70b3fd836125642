//! The tables of replicas and leases: each statement does one thing, by the clock of the database.

mod grants;
mod records;

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

pub use self::records::{Beat, Known, Release, Renewal, Renewed, Seen, Taken};
use crate::{
    lease::{KeyHash, Terms},
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
