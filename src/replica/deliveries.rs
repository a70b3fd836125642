//! Webhook deliveries that reach a replica which does not watch their project: it stores them, and the one that does takes
//! them in.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tokio_postgres::types::{ToSql, Type};
use tokio_util::sync::CancellationToken;

use crate::{
    inbox::{Fate, Inbox},
    kapso::webhook::{self, Headers, Refusal, Told},
    project::{Stream, Streams},
    state::postgres::{Database, Error, Operation},
    supervisor::Supervisor,
};

/// From one look for deliveries to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The most that are taken in at once.
const AT_ONCE: i64 = 1_000;
/// Statements about deliveries are small.
const WITHIN: Duration = Duration::from_secs(4);

/// Takes deliveries for projects that other replicas watch.
pub struct Elsewhere {
    database: Database,
    supervisor: Arc<Supervisor>,
}

impl Elsewhere {
    /// Over a connection of its own, for the projects that are configured.
    #[must_use]
    pub fn new(database: &Database, supervisor: Arc<Supervisor>) -> Self {
        Self { database: database.apart(), supervisor }
    }

    /// Whether this project takes deliveries.
    #[must_use]
    pub fn takes(&self, project: &str) -> bool {
        let config = self.supervisor.configured();
        config.projects.iter().any(|known| known.name == project && known.takes_deliveries())
    }

    /// What a delivery to this project tells.
    ///
    /// # Errors
    /// If it is not Kapso's, or not as Kapso sends it.
    pub fn open(&self, project: &str, headers: Headers<'_>, body: &[u8]) -> Result<Vec<Told>, Refusal> {
        let config = self.supervisor.configured();
        let known = config.projects.iter().find(|known| known.name == project);
        let known = known.ok_or(Refusal::Unauthorized)?;
        webhook::open(&known.webhook_secrets, headers, body, &known.handoff_reasons)
    }

    /// Stores it for the replica that watches the project; once, however often it comes.
    ///
    /// # Errors
    /// If the database does not do so.
    pub async fn store(
        &self,
        project: &str,
        key: Option<&str>,
        body: &[u8],
        told: &[Told],
    ) -> Result<(), Error> {
        let key =
            key.map_or_else(|| hex::encode(Sha256::digest(body)), |key| hex::encode(Sha256::digest(key)));
        // Serialisation into memory fails for no type of ours.
        let content = serde_json::to_vec(told).unwrap_or_default();
        let sql = "
            INSERT INTO kapso_exporter.delivery (project, idempotency_key, content) VALUES ($1, $2, $3)
            ON CONFLICT (project, idempotency_key) DO NOTHING";
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&project, Type::TEXT), (&key, Type::TEXT), (&content, Type::BYTEA)];
        self.database.ask(Operation::Delivery, WITHIN, sql, &parameters).await.map(drop)
    }
}

/// Takes in the deliveries that other replicas stored.
pub struct Drain {
    database: Database,
    streams: Arc<Streams>,
    inbox: Inbox,
}

impl Drain {
    /// Over a connection of its own, into the inbox.
    #[must_use]
    pub fn new(database: &Database, streams: Arc<Streams>, inbox: Inbox) -> Self {
        Self { database: database.apart(), streams, inbox }
    }

    /// Looks for deliveries until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let draining = async {
            loop {
                if let Err(error) = self.take_in().await {
                    tracing::debug!("deliveries wait: {error}");
                }
                sleep(LOOK_EVERY).await;
            }
        };
        shutdown.run_until_cancelled(draining).await;
    }

    async fn take_in(&self) -> Result<(), Error> {
        let streams = self.streams.all();
        let takes = |stream: &&Arc<Stream>| stream.webhook.is_some() && stream.is_held();
        let projects: Vec<_> = streams.iter().filter(takes).map(|stream| &*stream.key.project).collect();
        if projects.is_empty() {
            return Ok(());
        }
        let sql = "
            SELECT id, project, content FROM kapso_exporter.delivery WHERE project = ANY($1) ORDER BY id LIMIT $2";
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&projects, Type::TEXT_ARRAY), (&AT_ONCE, Type::INT8)];
        let rows = self.database.ask(Operation::Delivery, WITHIN, sql, &parameters).await?;
        let put = join_all(rows.iter().map(|row| self.put(row.get(0), row.get(1), row.get(2)))).await;
        let done: Vec<i64> = put.into_iter().flatten().collect();
        if done.is_empty() {
            return Ok(());
        }
        let sql = "DELETE FROM kapso_exporter.delivery WHERE id = ANY($1)";
        self.database.ask(Operation::Delivery, WITHIN, sql, &[(&done, Type::INT8_ARRAY)]).await.map(drop)
    }

    /// Takes in a delivery; its number, if it is not to be taken in again.
    async fn put(&self, id: i64, project: &str, content: &[u8]) -> Option<i64> {
        let Ok(told) = serde_json::from_slice::<Vec<Told>>(content) else {
            tracing::warn!(project, "a delivery that another replica stored cannot be read, and is dropped");
            return Some(id);
        };
        let stream = self.streams.with_webhook(project)?;
        let fate = self.inbox.put(stream, told).await;
        (fate == Fate::Taken).then_some(id)
    }
}
