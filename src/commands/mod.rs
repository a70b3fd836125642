//! What the program does: one command, as the command line says.

pub mod check;
pub mod once;
pub mod serve;
pub mod simulate;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Command, Watch},
    clock::Clock,
    config::{self, Config},
    process::CliError,
    project::{HttpTransports, Transports},
    reload::LoadConfig,
    simulator::Simulator,
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
            let (web, load) = (cli.serve.web.into(), again(&config));
            let setup = serve::Setup { config, web, transports, clock, shutdown, load, demo };
            serve::serve(setup).await.map_err(CliError::Run)
        }
        Some(Command::Once(flags)) => {
            let (config, _) = config(flags, &clock, &shutdown).await?;
            once::once(config, transports, clock, shutdown).await.map_err(CliError::Run)
        }
        Some(Command::Check(flags)) if flags.offline => {
            let config = given(flags.watch)?;
            check::offline(&config, flags.output).map_err(CliError::Run)
        }
        Some(Command::Check(flags)) => {
            let (config, _) = config(flags.watch, &clock, &shutdown).await?;
            check::check(config, transports, clock, shutdown, flags.output).await.map_err(CliError::Run)
        }
        Some(Command::Simulate(flags)) => {
            simulate::simulate(flags, clock, shutdown).await.map_err(CliError::Run)
        }
    }
}

/// What the configuration file says, or the flags.
fn given(flags: Watch) -> Result<Config, CliError> {
    let config = match flags.config_file.clone() {
        Some(file) => config::file::read(&file, flags.state.into()).map_err(Into::into),
        None => Config::resolve(flags.into()),
    };
    config.map_err(CliError::Usage)
}

/// Reads the configuration file again, if there is one.
fn again(config: &Config) -> Option<LoadConfig> {
    let (file, state) = (config.file.clone()?, config.state.clone());
    Some(Arc::new(move || Ok(config::file::read(&file, state.clone())?)))
}

/// What the flags come to; for the demo with the embedded simulated Kapso.
async fn config(
    flags: Watch,
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
