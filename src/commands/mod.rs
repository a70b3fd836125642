//! What the program does: one command, as the command line says.

pub mod backfill;
pub mod check;
pub mod once;
mod progress;
pub mod serve;
pub mod simulate;
mod state;

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use self::check::WebReport;
use crate::{
    cli::{self, Cli, Command, WebFile},
    clock::Clock,
    config::{self, Config, STATE_URL_VARIABLE, StateConfig, WebConfig},
    process::CliError,
    project::{HttpTransports, Transports},
    reload::LoadConfig,
    remote_write::RemoteWrite,
    simulator::Simulator,
    web::{Opened, Rules, Watch},
};

/// Does what the command line says, until it is done or `shutdown` is cancelled.
///
/// # Errors
/// What is wrong with the command line or the configuration, or what failed.
pub async fn perform(cli: Cli, shutdown: CancellationToken) -> Result<(), CliError> {
    let clock = Clock::system();
    let transports: Arc<dyn Transports> = Arc::new(HttpTransports::new().map_err(CliError::Run)?);
    match cli.command {
        None => {
            let (config, demo) = config(cli.serve.watch, &clock, &shutdown).await?;
            let web: WebConfig = cli.serve.web.into();
            let (access, load) = (access(web.file.as_deref())?, again(&config));
            let setup = serve::Setup { config, web, access, transports, clock, shutdown, load, demo };
            serve::serve(setup).await.map_err(CliError::Run)
        }
        Some(Command::Once(flags)) => {
            let receiver = receiver(flags.remote_write)?;
            let (config, _) = config(flags.watch, &clock, &shutdown).await?;
            refuse_shared_state(&config)?;
            once::once(config, receiver, transports, clock, shutdown).await.map_err(CliError::Run)
        }
        Some(Command::Backfill(flags)) => {
            let (config, _) = config(flags.watch, &clock, &shutdown).await?;
            backfill::backfill(config, flags.what.into(), transports, clock, shutdown).await
        }
        Some(Command::Check(flags)) if flags.offline => {
            let (config, web) = (given(flags.watch)?, web_report(flags.web, &clock)?);
            check::offline(&config, web.as_ref(), flags.output).map_err(CliError::Run)
        }
        Some(Command::Check(flags)) => {
            let web = web_report(flags.web, &clock)?;
            let (config, _) = config(flags.watch, &clock, &shutdown).await?;
            let checked = check::check(config, web.as_ref(), transports, clock, shutdown, flags.output);
            checked.await.map_err(CliError::Run)
        }
        Some(Command::Migrate(flags)) => state::migrate(&flags).await,
        Some(Command::State(command)) => state::transfer(&command).await,
        Some(Command::Simulate(flags)) => {
            simulate::simulate(flags, clock, shutdown).await.map_err(CliError::Run)
        }
    }
}

/// A single sweep beside replicas that run would count what they count.
fn refuse_shared_state(config: &Config) -> Result<(), CliError> {
    if config.state.shared.is_none() {
        return Ok(());
    }
    Err(CliError::Usage(anyhow::anyhow!(
        "once keeps its state in a file (--state.path) or in memory: a database (--state.url-file, {STATE_URL_VARIABLE}) \
         is for replicas that serve"
    )))
}

/// What the configuration file says, or the flags.
fn given(flags: cli::Watch) -> Result<Config, CliError> {
    let config = match flags.config_file.clone() {
        Some(file) => StateConfig::resolve(flags.state.into())
            .and_then(|state| config::file::read(&file, state).map_err(Into::into)),
        None => Config::resolve(flags.into()),
    };
    config.map_err(CliError::Usage)
}

/// Where the metrics are sent, if they are.
fn receiver(flags: cli::RemoteWrite) -> Result<Option<RemoteWrite>, CliError> {
    flags.config().map(|config| RemoteWrite::open(&config)).transpose().map_err(CliError::Usage)
}

/// Who may ask what, as the web configuration file says it; everybody may ask everything without one.
fn access(file: Option<&Path>) -> Result<(Rules, Option<Opened>), CliError> {
    let Some(file) = file else { return Ok((Rules::default(), None)) };
    let (rules, opened) = Watch::open(file).map_err(|problems| CliError::Usage(problems.into()))?;
    Ok((rules, Some(opened)))
}

fn web_report(flags: WebFile, clock: &Clock) -> Result<Option<WebReport>, CliError> {
    let Some(file) = flags.web_config_file else { return Ok(None) };
    let (rules, _) = access(Some(&file))?;
    Ok(Some(WebReport::of(&file, &rules, clock.wall())))
}

/// Reads the configuration file again, if there is one.
fn again(config: &Config) -> Option<LoadConfig> {
    let (file, state) = (config.file.clone()?, config.state.clone());
    Some(Arc::new(move || Ok(config::file::read(&file, state.clone())?)))
}

/// What the flags come to; for the demo with the embedded simulated Kapso.
async fn config(
    flags: cli::Watch,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> Result<(Config, Option<Simulator>), CliError> {
    let is_demo = flags.demo;
    let mut config = given(flags)?;
    let project = config.projects.first_mut().filter(|_| is_demo);
    let demo = match project {
        Some(project) => Some(simulate::embed(project, clock, shutdown).await.map_err(CliError::Run)?),
        None => None,
    };
    Ok((config, demo))
}
