//! Whether the state file can be used, and whether it is of this project. Nothing is written to it.

use std::{fs, path::Path, sync::Arc};

use serde::Serialize;

use super::{
    State,
    allowance::{Allowance, Unobserved, metered},
};
use crate::{
    config::StateConfig,
    model::Api,
    project::Project,
    state::{Error, OpenedAccount, Standing, Keeper},
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

/// What is still to be verified about the account of this API. The file is closed again.
fn open(
    project: &Project,
    path: &Path,
    api: Api,
    allowance: &Allowance,
) -> anyhow::Result<Result<Option<Verification>, Error>> {
    let kept = Keeper::open(path).and_then(|kept| {
        kept.account(&project.key(api).to_string(), project.config.account.clone(), project.opener(api))
    });
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
