//! The `kapso-exporter` program.

use std::process::ExitCode;

use kapso_exporter::{cli, commands, logging, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::parse();
    let log = match logging::start((&cli.log).into()) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("error: cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Err(failure) = process::run(|shutdown| commands::perform(cli, shutdown)) else {
        return ExitCode::SUCCESS;
    };
    log.say(&format!("error: {failure}"));
    failure.exit_code()
}
