//! The library behind the `kapso-exporter` program: everything but `main`.

pub mod account;
pub mod app;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crawl;
pub mod frontier;
pub mod kapso;
pub mod label;
pub mod ledger;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod once;
pub mod process;
pub mod project;
pub mod publisher;
pub mod serve;
pub mod simulate;
pub mod simulator;
pub mod state;
pub mod sweep;
pub mod verification;
pub mod web;

use std::{fmt, process::ExitCode, sync::Arc};

use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use self::{
    cli::{Cli, Command, Watch},
    clock::Clock,
    config::Config,
    project::{HttpTransports, Project, Transports},
};

/// The day of this version's release, as the changelog has it: no clock that is right shows an earlier one. A release
/// updates it together with the version.
pub const RELEASED: Date = jiff::civil::date(2026, 11, 22);

/// Why the program failed; its text says what, where and what is allowed.
#[derive(Debug)]
pub enum CliError {
    /// The command line or the configuration.
    Usage(anyhow::Error),
    /// Something at run time.
    Run(anyhow::Error),
}

impl CliError {
    /// 2 for usage, 1 at run time.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Run(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) | Self::Run(error) => write!(f, "{error:#}"),
        }
    }
}

/// Does what the command line says, until it is done or `shutdown` is cancelled.
async fn perform(cli: Cli, shutdown: CancellationToken) -> Result<(), CliError> {
    let clock = Clock::system();
    let transports: Arc<dyn Transports> = Arc::new(HttpTransports);
    match cli.command {
        None => {
            let config = config(cli.serve.watch, &clock, &shutdown).await?;
            serve::serve(config, cli.serve.web, transports, clock, shutdown).await.map_err(CliError::Run)
        }
        Some(Command::Once(flags)) => {
            let config = config(flags, &clock, &shutdown).await?;
            once::once(config, transports, clock, shutdown).await.map_err(CliError::Run)
        }
        Some(Command::Check(flags)) if flags.offline => {
            let config = Config::load(flags.watch).map_err(CliError::Usage)?;
            check::offline(&config, flags.output).map_err(CliError::Run)
        }
        Some(Command::Check(flags)) => {
            let config = config(flags.watch, &clock, &shutdown).await?;
            let project = Project::new(config, transports, clock, shutdown);
            check::check(&project, flags.output).await.map_err(CliError::Run)
        }
        Some(Command::Simulate(flags)) => {
            simulate::simulate(flags, clock, shutdown).await.map_err(CliError::Run)
        }
    }
}

/// What the flags come to; for the demo with the embedded simulated Kapso.
async fn config(flags: Watch, clock: &Clock, shutdown: &CancellationToken) -> Result<Config, CliError> {
    let demo = flags.demo;
    let mut config = Config::load(flags).map_err(CliError::Usage)?;
    if demo {
        simulate::embed(&mut config, clock, shutdown).await.map_err(CliError::Run)?;
    }
    Ok(config)
}
