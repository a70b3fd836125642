//! `kapso-exporter migrate`, and `state export` and `state import`, which move what was counted between a database and a state
//! file.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow, ensure};

use crate::{
    cli::{Move, StateCommand, StateUrl},
    config::{self, STATE_URL_VARIABLE},
    metrics::ReplicaMetrics,
    process::CliError,
    state::{self, Export, FileStore, postgres::Database},
};

/// Creates the tables, or brings them to this version.
pub(super) async fn migrate(flags: &StateUrl) -> Result<(), CliError> {
    let database = database(flags)?;
    let changed = database.migrate().await.map_err(|error| CliError::Run(error.into()))?;
    let place = database.place();
    if changed {
        tracing::info!("the tables are created in PostgreSQL ({place})");
    } else {
        tracing::info!("the tables in PostgreSQL ({place}) are those of this version");
    }
    Ok(())
}

/// Moves what was counted.
pub(super) async fn transfer(command: &StateCommand) -> Result<(), CliError> {
    match command {
        StateCommand::Export(flags) => export(flags, &database(&flags.url)?).await.map_err(CliError::Run),
        StateCommand::Import(flags) => import(flags, &database(&flags.url)?).await.map_err(CliError::Run),
    }
}

fn database(flags: &StateUrl) -> Result<Database, CliError> {
    let url = config::database_url(flags.url_file.as_deref()).map_err(CliError::Usage)?;
    let missing = || anyhow!("which database? Give --state.url-file or {STATE_URL_VARIABLE}");
    let url = url.ok_or_else(missing).map_err(CliError::Usage)?;
    Database::new(url, Arc::<ReplicaMetrics>::default()).map_err(|error| CliError::Usage(error.into()))
}

async fn export(flags: &Move, database: &Database) -> anyhow::Result<()> {
    let path = flags.file.clone();
    ensure!(!path.exists(), "{} exists already: name a new file", path.display());
    database.salt().await?;
    let accounts = database.export().await?;
    let count = accounts.len();
    write(&path, &accounts).with_context(|| format!("cannot write {}", path.display()))?;
    tracing::info!(accounts = count, file = %path.display(), "exported");
    Ok(())
}

fn write(path: &Path, accounts: &[Export]) -> Result<(), state::Error> {
    FileStore::open(path)?.import(accounts)
}

async fn import(flags: &Move, database: &Database) -> anyhow::Result<()> {
    let path = flags.file.clone();
    ensure!(path.is_file(), "there is no state file {}", path.display());
    database.salt().await?;
    let accounts = FileStore::open(&path)?.export()?;
    let count = accounts.len();
    database.import(&accounts).await?;
    tracing::info!(accounts = count, file = %path.display(), "imported");
    Ok(())
}
