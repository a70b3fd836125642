//! A connection to the database, which is made anew when it was lost.
//!
//! Every statement is one message that is answered at once and changes everything or nothing: nothing is left open that a
//! pooler in transaction mode would lose, and a client that goes away in the middle holds no lock. Only `query_typed`
//! does so without a prepared statement.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use strum::{EnumCount, IntoStaticStr, VariantArray};
use tokio::time::timeout;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use super::{Error, tls::connector};
use crate::config::DatabaseUrl;

/// What the database is asked for; the `operation` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Operation {
    /// Leases and replicas.
    Lease,
    /// The rows of accounts are read.
    Read,
    /// The rows of accounts are written.
    Write,
    /// Webhook deliveries that wait for the owner of their project.
    Delivery,
}

/// Is told how each statement went.
pub trait Observer: Send + Sync {
    /// It took so long, and succeeded or not.
    fn asked(&self, operation: Operation, took: Duration, succeeded: bool);
    /// An account was found older than this process had written it.
    fn found_older(&self);
}

/// Statements and the types of their parameters.
pub(crate) type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// The database, over one connection. Clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    target: DatabaseUrl,
    place: String,
    tls: MakeRustlsConnect,
    observer: Arc<dyn Observer>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// One connects, and whoever comes meanwhile waits for that.
    connecting: tokio::sync::Mutex<()>,
}

struct Connection {
    client: Client,
    /// What reads and writes; it ends with the connection, whatever the server does.
    _task: AbortOnDropHandle<()>,
}

impl Database {
    /// The database there; nothing is asked yet.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(target: DatabaseUrl, observer: Arc<dyn Observer>) -> Result<Self, Error> {
        let tls = connector(&target.tls).map_err(Error::Tls)?;
        let place = target.to_string();
        Ok(Self::of(target, place, tls, observer))
    }

    fn of(target: DatabaseUrl, place: String, tls: MakeRustlsConnect, observer: Arc<dyn Observer>) -> Self {
        let (connection, connecting) = Default::default();
        Self(Arc::new(Inner { target, place, tls, observer, connection, connecting }))
    }

    /// The same database, over a connection of its own: who waits here holds up nobody there.
    #[must_use]
    pub fn apart(&self) -> Self {
        let Inner { target, place, tls, observer, .. } = &*self.0;
        Self::of(target.clone(), place.clone(), tls.clone(), observer.clone())
    }

    /// Who is told how it is doing.
    pub(super) fn observer(&self) -> &dyn Observer {
        &*self.0.observer
    }

    /// Its hosts and its name.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Asks for this, and waits for the answer for so long.
    ///
    /// # Errors
    /// If there is none, or it is an error. Whether the statement took effect is not known then.
    pub(crate) async fn ask(
        &self,
        operation: Operation,
        within: Duration,
        sql: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.observed(operation, within, async |connection: &Connection| {
            connection.client.query_typed(sql, parameters).await
        })
        .await
    }

    /// Does several statements without parameters, all or nothing.
    pub(super) async fn run(&self, within: Duration, sql: &str) -> Result<(), Error> {
        self.observed(Operation::Write, within, async |connection: &Connection| {
            connection.client.batch_execute(sql).await
        })
        .await
    }

    async fn observed<T>(
        &self,
        operation: Operation,
        within: Duration,
        act: impl AsyncFnOnce(&Connection) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let acted = timeout(within, async {
            let connection = self.connected().await?;
            let acted = act(&connection).await;
            if acted.is_err() {
                self.forget_if_closed(&connection);
            }
            acted.map_err(|error| Error::of(&self.0.place, &error))
        });
        let result = acted.await.unwrap_or_else(|_| {
            // What it is doing is not known: nothing more is asked over it.
            *self.0.connection.lock() = None;
            let why = format!("no answer within {}", humantime::format_duration(within));
            Err(Error::Away { place: self.0.place.clone(), why })
        });
        self.0.observer.asked(operation, begun.elapsed(), result.is_ok());
        result
    }

    async fn connected(&self) -> Result<Arc<Connection>, Error> {
        let open = || self.0.connection.lock().clone().filter(|open| !open.client.is_closed());
        if let Some(open) = open() {
            return Ok(open);
        }
        let _connecting = self.0.connecting.lock().await;
        if let Some(open) = open() {
            return Ok(open);
        }
        let connected = self.0.target.config().connect(self.0.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| Error::of(&self.0.place, &error))?;
        let task = tokio::spawn(async {
            // Whoever waits for an answer is told so.
            connection.await.ok();
        });
        let connection = Arc::new(Connection { client, _task: AbortOnDropHandle::new(task) });
        *self.0.connection.lock() = Some(connection.clone());
        Ok(connection)
    }

    fn forget_if_closed(&self, failed: &Arc<Connection>) {
        let mut connection = self.0.connection.lock();
        let is_failed = connection.as_ref().is_some_and(|open| Arc::ptr_eq(open, failed));
        if is_failed && failed.client.is_closed() {
            *connection = None;
        }
    }
}
