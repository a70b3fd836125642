//! The `kapso-exporter` program.

use std::process::ExitCode;

use kapso_exporter::{config::arguments, logging, process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = arguments::parse();
    let log = match logging::start(&cli.log) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("error: cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Err(failure) = process::run(cli) else { return ExitCode::SUCCESS };
    log.say(&format!("error: {failure}"));
    failure.exit_code()
}
