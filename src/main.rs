//! The `kapso-exporter` program.

use std::process::ExitCode;

use clap::Parser;
use kapso_exporter::{cli::Cli, logging, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(&cli.log);
    let failure = match run(cli).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    eprintln!("error: {failure}");
    failure.exit_code()
}
