//! Rows in a PostgreSQL that several replicas share (`--state.url-file`, `KAPSO_EXPORTER_STATE_URL`).
//!
//! Everything is written under a lease ([`crate::lease`]), in one statement that changes nothing if the lease is not ours
//! in its newest epoch, or if the account is not as we know it: a replica that is late changes nothing. An account that
//! was written more often than we know was written by us if that was in our epoch: an answer was lost. An account that
//! was written fewer times than we know is that of an older backup, or of a failover that lost something: then all that is
//! known here is written again.

mod database;
mod error;
mod rows;
mod schema;
mod tls;
mod transfer;

use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_postgres::types::Type;

use self::rows::{Answer, Found, Leased, Outcome};
pub use self::{
    database::{Database, Observer, Operation},
    error::Error,
};
use super::{Fate, InUse, Kept, Mark, Place, Store, Write, identity::Identity};
use crate::lease::{Lease, Leases};

/// From a failure to the next try.
const RETRY: Duration = Duration::from_secs(1);
const TIDIED_WITHIN: Duration = Duration::from_mins(1);

/// The accounts of the projects of which this replica holds the leases. Used on threads that may block.
pub struct PostgresStore {
    database: Database,
    leases: Leases,
    /// The id of this replica.
    owner: String,
    runtime: Handle,
}

impl PostgresStore {
    /// In this database, as the replica `owner` with these leases.
    #[must_use]
    pub fn new(database: Database, leases: Leases, owner: String, runtime: Handle) -> Self {
        Self { database, leases, owner, runtime }
    }

    /// The lease under which an account is written, if it is held.
    fn lease(&self, account: &str) -> Option<Lease> {
        let (project, _) = account.rsplit_once('/')?;
        self.leases.of(project).filter(Lease::is_held)
    }

    /// What became of a write under this lease; `None` if it is to be written once more, on top of what is there.
    fn fate(&self, lease: &Lease, write: &Leased<'_>, answer: &Answer) -> Result<Option<Fate>, Error> {
        let (account, generation) = (write.name, answer.generation);
        Ok(Some(match answer.outcome(write.epoch, write.generation) {
            Outcome::Written => Fate::Written(Mark { generation: write.generation + 1 }),
            Outcome::Refused => Fate::NotOurs,
            Outcome::AnswerLost => return Ok(None),
            Outcome::Late => {
                if lease.lose() {
                    tracing::warn!(account, "another replica has the lease: nothing was written");
                }
                Fate::NotOurs
            }
            Outcome::Overtaken => {
                // Whoever takes the lease next reads the account.
                if lease.lose() {
                    tracing::error!(
                        account,
                        "another replica wrote the account since it was read: the lease is given up"
                    );
                }
                Fate::NotOurs
            }
            Outcome::Older => {
                self.database.observer().found_older();
                let mut found = self.runtime.block_on(self.database.accounts(&[account]))?;
                let found = found.remove(account).map(|found| found.saved).unwrap_or_default();
                Fate::Older(Box::new(found), Mark { generation })
            }
        }))
    }
}

impl Store for PostgresStore {
    fn kept(&self, names: &[&str]) -> Result<Vec<Kept>, super::Error> {
        let mut found = self.runtime.block_on(self.database.accounts(names))?;
        Ok(names.iter().map(|&name| found.remove(name).map(Kept::from).unwrap_or_default()).collect())
    }

    fn put(&mut self, writes: &[Write<'_>]) -> Result<Vec<Fate>, super::Error> {
        let mut fates: Vec<_> = writes.iter().map(|_| Fate::NotOurs).collect();
        let leased = |(place, write): (usize, &Write<'_>)| Some((place, self.lease(write.name)?, write.mark));
        let mut pending: Vec<_> = writes.iter().enumerate().filter_map(leased).collect();
        // A second time for those of which an answer was lost.
        for _ in 0..2 {
            if pending.is_empty() {
                break;
            }
            let leased: Vec<_> = pending
                .iter()
                .map(|(place, lease, mark)| Leased::of(&writes[*place], lease, *mark))
                .collect();
            let answers = self.runtime.block_on(self.database.write(&self.owner, &leased))?;
            let mut again = Vec::new();
            for (((place, lease, _), write), answer) in pending.iter().zip(&leased).zip(&answers) {
                match self.fate(lease, write, answer)? {
                    Some(fate) => fates[*place] = fate,
                    None => again.push((*place, lease.clone(), Mark { generation: answer.generation })),
                }
            }
            pending = again;
        }
        Ok(fates)
    }

    fn tidy(
        &mut self,
        in_use: &InUse<'_>,
        now: Timestamp,
        least: Option<Timestamp>,
    ) -> Result<bool, super::Error> {
        let unused_for = least.map(|least| now.duration_since(least).as_secs_f64());
        Ok(self.runtime.block_on(self.database.tidy(in_use, unused_for))?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn place(&self) -> Place {
        Place::Database(self.database.place().to_owned())
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn retry_after(&self) -> Duration {
        RETRY
    }
}

impl From<Found> for Kept {
    fn from(found: Found) -> Self {
        let read = |content: Vec<u8>| serde_json::from_slice(&content).ok();
        let identity: Option<Identity> = found.identity.and_then(read);
        Self { saved: Some(found.saved), identity, mark: Mark { generation: found.generation } }
    }
}

impl<'a> Leased<'a> {
    fn of(write: &'a Write<'a>, lease: &Lease, mark: Mark) -> Self {
        // Serialisation into memory fails for no type of ours.
        let identity =
            write.identity.as_ref().map(|identity| serde_json::to_vec(identity).unwrap_or_default());
        Self {
            name: write.name,
            key: lease.key(),
            epoch: lease.epoch(),
            generation: mark.generation,
            changes: write.changes,
            identity,
        }
    }
}

impl Database {
    /// Takes note of which accounts are in use, and removes those that were not for so many seconds, if any are to be.
    async fn tidy(&self, in_use: &InUse<'_>, unused_for: Option<f64>) -> Result<bool, Error> {
        let ask = async |sql: &str, parameters: &database::Parameters<'_>| {
            self.ask(Operation::Write, TIDIED_WITHIN, sql, parameters).await
        };
        let names = ask("SELECT name FROM kapso_exporter.account", &[]).await?;
        let names: Vec<String> = names.iter().map(|row| row.get(0)).collect();
        let used: Vec<_> = names.iter().filter(|name| in_use(name)).collect();
        ask(
            "UPDATE kapso_exporter.account SET used = now() WHERE name = ANY($1)",
            &[(&used, Type::TEXT_ARRAY)],
        )
        .await?;
        let Some(unused_for) = unused_for else { return Ok(false) };
        let remove = "
            WITH unused AS (
                DELETE FROM kapso_exporter.account
                WHERE NOT name = ANY($1) AND account.used < now() - $2 * interval '1 second'
                RETURNING id, name
            ), rows AS (
                DELETE FROM kapso_exporter.account_row USING unused WHERE account_row.account = unused.id
            )
            SELECT name FROM unused";
        let removed = ask(remove, &[(&used, Type::TEXT_ARRAY), (&unused_for, Type::FLOAT8)]).await?;
        for row in &removed {
            let account: &str = row.get(0);
            tracing::info!(account, "removed from the database: nothing has watched it for the retention");
        }
        Ok(!removed.is_empty())
    }
}
