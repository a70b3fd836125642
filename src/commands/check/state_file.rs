//! Whether the state file, or the database, can be used, and whether the file is of this project. Nothing is written.

use std::{fs, path::Path, sync::Arc};

use serde::Serialize;

use super::{
    State,
    allowance::{Allowance, Unobserved, metered},
};
use crate::{
    config::{SharedState, StateConfig},
    lease::Terms,
    metrics::ReplicaMetrics,
    model::Api,
    project::Project,
    replica::Registry,
    state::{
        Error, Keeper, OpenedAccount, Standing, Wanted,
        postgres::{self, Database},
    },
    verification::Verification,
};

/// The state file.
#[derive(Debug, Serialize)]
pub struct StateFileReport {
    /// Whether it can be used.
    pub state: State,
    /// What was found, in words.
    pub message: String,
}

/// Looks at the file, if one is named, with so many requests at most. Returns with it how many it took.
pub(super) async fn look(
    project: &Project,
    state: &StateConfig,
    allowed: u32,
) -> anyhow::Result<(Option<StateFileReport>, u32)> {
    if let Some(shared) = &state.shared {
        return Ok((Some(look_at_database(shared).await), 0));
    }
    let Some(path) = &state.path else { return Ok((None, 0)) };
    if fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0) || !path.exists() {
        return Ok((Some(StateFileReport::ok("a new file")), 0));
    }
    let allowance = Allowance::new(allowed);
    let mut found = StateFileReport::ok("kept with this API key");
    for api in project.config.apis() {
        found = match open(project, path, api, &allowance)? {
            Ok(None) => found,
            Ok(Some(verification)) => match verification.verify().await {
                Ok(()) => StateFileReport::ok("of this project, kept with another API key"),
                Err(reason) => return Ok((Some(StateFileReport::failed(&reason)), allowance.sent())),
            },
            Err(Error::Locked(_)) => StateFileReport::ok("in use by another process"),
            Err(error) => return Ok((Some(StateFileReport::failed(&error)), allowance.sent())),
        };
    }
    Ok((Some(found), allowance.sent()))
}

/// Whether the database can be used.
async fn look_at_database(shared: &SharedState) -> StateFileReport {
    let looked = async {
        let database = Database::new(shared.url.clone(), Arc::<ReplicaMetrics>::default())?;
        database.salt().await?;
        let terms = Terms { ttl: shared.lease_ttl };
        let registry = Registry::new(database.clone(), String::new(), String::new(), terms);
        let (replicas, leases) = registry.overview().await?;
        Ok::<_, postgres::Error>(format!(
            "PostgreSQL ({}): {} replicas are alive, {} API keys are known",
            database.place(),
            replicas.len(),
            leases.len()
        ))
    };
    match looked.await {
        Ok(message) => StateFileReport::ok(&message),
        Err(postgres::Error::NotMigrated { .. }) if shared.migrate => {
            StateFileReport::ok("a new database, in which the tables will be created")
        }
        Err(error) => StateFileReport::failed(&error),
    }
}

/// What is still to be verified about the account of this API. The file is closed again.
fn open(
    project: &Project,
    path: &Path,
    api: Api,
    allowance: &Allowance,
) -> anyhow::Result<Result<Option<Verification>, Error>> {
    let wanted = Wanted {
        name: project.key(api).to_string(),
        settings: project.config.account.clone(),
        opener: project.opener(api),
        earlier: None,
    };
    let kept = Keeper::open(path).and_then(|kept| kept.account(wanted));
    let OpenedAccount { account, claim, .. } = match kept {
        Ok(kept) if kept.claim.standing() == Standing::Verified => return Ok(Ok(None)),
        Ok(kept) => kept,
        Err(error) => return Ok(Err(error)),
    };
    let client = metered(project, allowance).client(api, Arc::new(Unobserved))?;
    let (interval, shutdown) = (project.config.interval, project.shutdown.clone());
    Ok(Ok(Some(Verification::new(client, account, claim, interval, shutdown))))
}

impl StateFileReport {
    fn ok(message: &str) -> Self {
        Self { state: State::Ok, message: message.into() }
    }

    fn failed(error: &impl ToString) -> Self {
        Self { state: State::Failed, message: error.to_string() }
    }
}
