//! The library behind the `kapso-exporter` program: everything but `main`.

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crawl;
pub mod kapso;
pub mod label;
pub mod ledger;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod once;
pub mod process;
pub mod publisher;
pub mod serve;
pub mod simulate;
pub mod simulator;
pub mod state;
pub mod sweep;
pub mod verification;
pub mod web;
pub mod wiring;

use std::{fmt, process::ExitCode};

use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use self::{
    cli::{Cli, Command, Watch},
    clock::Clock,
    config::Config,
    wiring::Project,
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
    match cli.command {
        None => {
            let project = project(cli.serve.watch, clock, shutdown).await?;
            serve::serve(project, cli.serve.web).await.map_err(CliError::Run)
        }
        Some(Command::Once(flags)) => {
            once::once(project(flags, clock, shutdown).await?).await.map_err(CliError::Run)
        }
        Some(Command::Check(flags)) if flags.offline => {
            let config = Config::load(flags.watch).map_err(CliError::Usage)?;
            check::offline(&config, flags.output).map_err(CliError::Run)
        }
        Some(Command::Check(flags)) => {
            let project = project(flags.watch, clock, shutdown).await?;
            check::check(&project, flags.output).await.map_err(CliError::Run)
        }
        Some(Command::Simulate(flags)) => {
            simulate::simulate(flags, clock, shutdown).await.map_err(CliError::Run)
        }
    }
}

/// The project that the flags name; for the demo that of the embedded simulated Kapso.
async fn project(flags: Watch, clock: Clock, shutdown: CancellationToken) -> Result<Project, CliError> {
    let demo = flags.demo;
    let mut config = Config::load(flags).map_err(CliError::Usage)?;
    if demo {
        wiring::embed_simulator(&mut config, &clock, &shutdown).await.map_err(CliError::Run)?;
    }
    Ok(Project::new(config, clock, shutdown))
}
