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
    config::Config,
    process::CliError,
    project::{HttpTransports, Transports},
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
            let config = config(cli.serve.watch, &clock, &shutdown).await?;
            let web = cli.serve.web.into();
            let setup = serve::Setup { config, web, transports, clock, shutdown, load: None };
            serve::serve(setup).await.map_err(CliError::Run)
        }
        Some(Command::Once(flags)) => {
            let config = config(flags, &clock, &shutdown).await?;
            once::once(config, transports, clock, shutdown).await.map_err(CliError::Run)
        }
        Some(Command::Check(flags)) if flags.offline => {
            let config = Config::resolve(flags.watch.into()).map_err(CliError::Usage)?;
            check::offline(&config, flags.output).map_err(CliError::Run)
        }
        Some(Command::Check(flags)) => {
            let config = config(flags.watch, &clock, &shutdown).await?;
            check::check(config, transports, clock, shutdown, flags.output).await.map_err(CliError::Run)
        }
        Some(Command::Simulate(flags)) => {
            simulate::simulate(flags, clock, shutdown).await.map_err(CliError::Run)
        }
    }
}

/// What the flags come to; for the demo with the embedded simulated Kapso.
async fn config(flags: Watch, clock: &Clock, shutdown: &CancellationToken) -> Result<Config, CliError> {
    let demo = flags.demo;
    let mut config = Config::resolve(flags.into()).map_err(CliError::Usage)?;
    if demo {
        for project in &mut config.projects {
            simulate::embed(project, clock, shutdown).await.map_err(CliError::Run)?;
        }
    }
    Ok(config)
}
