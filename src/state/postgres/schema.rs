//! The tables, and how they come about.
//!
//! - `meta`: one row: the version of the tables, and the salt of the hashes of keys.
//! - `replica`: a row for each process that runs, with how long it counts as alive.
//! - `lease`: a row for each API key: who holds it until when (or who is to have it, if that is over and it was released),
//!   how often it was granted, and what the key was used for when that was `told`.
//! - `account`, `account_row`: the rows of the accounts, as in a state file.
//! - `delivery`: webhook deliveries that the owner of their project has not taken in yet.
//!
//! Rows of `lease` change every few seconds: no index but that of the key, and room in the pages, so that an update
//! touches no index.

use std::time::Duration;

use super::{Database, Error, Operation};

/// Creating tables may have to wait for others.
const WITHIN: Duration = Duration::from_secs(30);

/// What leads from each version to the next, beginning with nothing.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE kapso_exporter.meta (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        version int NOT NULL,
        salt bytea NOT NULL
    );
    CREATE TABLE kapso_exporter.replica (
        id text PRIMARY KEY,
        name text NOT NULL,
        version text NOT NULL,
        started timestamptz NOT NULL DEFAULT now(),
        seen timestamptz NOT NULL DEFAULT now(),
        until timestamptz NOT NULL
    );
    CREATE TABLE kapso_exporter.lease (
        key bytea PRIMARY KEY,
        owner text NOT NULL DEFAULT '',
        epoch bigint NOT NULL DEFAULT 0,
        until timestamptz NOT NULL DEFAULT now(),
        held_since timestamptz NOT NULL DEFAULT now(),
        told timestamptz NOT NULL DEFAULT now(),
        cost real NOT NULL DEFAULT 0,
        projects text[] NOT NULL DEFAULT '{}',
        usage bytea
    ) WITH (fillfactor = 50);
    CREATE TABLE kapso_exporter.account (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        generation bigint NOT NULL,
        epoch bigint NOT NULL,
        format smallint NOT NULL,
        watermarks bytea NOT NULL,
        identity bytea,
        used timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70);
    CREATE TABLE kapso_exporter.account_row (
        account int NOT NULL,
        kind smallint NOT NULL,
        number int NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (account, kind, number)
    ) WITH (fillfactor = 80);
    CREATE TABLE kapso_exporter.delivery (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project text NOT NULL,
        idempotency_key text NOT NULL,
        content bytea NOT NULL,
        received timestamptz NOT NULL DEFAULT now(),
        UNIQUE (project, idempotency_key)
    );
    INSERT INTO kapso_exporter.meta (version, salt) VALUES (1, decode(md5(random()::text) || md5(clock_timestamp()::text), 'hex'));
"];

/// The newest version of the tables that is known.
const KNOWN: i32 = 1;
const _: () = assert!(MIGRATIONS.len() == 1 && KNOWN == 1);

impl Database {
    /// The salt of the hashes of keys, if the tables are those of this version.
    ///
    /// # Errors
    /// If they are not, or the database is away.
    pub async fn salt(&self) -> Result<Vec<u8>, Error> {
        let sql = "SELECT version, salt FROM kapso_exporter.meta";
        let rows = self.ask(Operation::Lease, WITHIN, sql, &[]).await?;
        let not_migrated = || Error::NotMigrated { place: self.place().to_owned() };
        let row = rows.first().ok_or_else(not_migrated)?;
        match row.get(0) {
            KNOWN => Ok(row.get(1)),
            version if version > KNOWN => {
                Err(Error::Newer { place: self.place().to_owned(), version, known: KNOWN })
            }
            _ => Err(not_migrated()),
        }
    }

    /// Creates the tables, or brings them to this version. Returns whether there was something to do.
    ///
    /// # Errors
    /// If the role may not do so, the tables are of a later version, or the database is away.
    pub async fn migrate(&self) -> Result<bool, Error> {
        match self.salt().await {
            Ok(_) => return Ok(false),
            Err(Error::NotMigrated { .. }) => {}
            Err(error) => return Err(error),
        }
        let exists = "SELECT to_regnamespace('kapso_exporter') IS NOT NULL";
        let exists: bool = match self.ask(Operation::Lease, WITHIN, exists, &[]).await?.first() {
            Some(row) => row.get(0),
            None => false,
        };
        let create = if exists { "" } else { "CREATE SCHEMA kapso_exporter;" };
        let [first] = MIGRATIONS;
        // One message is one transaction. After an error in one that was begun by itself the connection would be of no
        // use to anybody.
        let migrated = self.run(WITHIN, &format!("{create} {first}")).await;
        match migrated {
            Ok(()) => Ok(true),
            // Another replica may have been faster.
            Err(error) => self.salt().await.map(|_| false).map_err(|_| error),
        }
    }
}
