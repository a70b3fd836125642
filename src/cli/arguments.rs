//! From the arguments and the environment to the flags that they mean.

use std::{env, ffi::OsString, time::Duration};

use clap::{
    Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches, error::ErrorKind, parser::ValueSource,
};

use super::{Cli, Watch};
use crate::config::KEY_VARIABLE;

/// Headings of the flags whose place the configuration file takes.
const IN_FILE: [&str; 3] = ["Kapso", "Scraping Kapso", "Metrics"];

/// What the demo watches in place of.
const REAL: [&str; 3] = ["platform_url", "legacy_url", "api_key_file"];

/// The flags of this process; ends it where it is asked for help, or for something that it does not know.
#[must_use]
pub fn parse() -> Cli {
    parse_from(&env::args_os().collect::<Vec<_>>()).unwrap_or_else(|error| error.exit())
}

/// # Errors
/// What is allowed, if the arguments or the environment are not; or the help, if they ask for it.
fn parse_from(arguments: &[OsString]) -> Result<Cli, Error> {
    let mut command = without_empty(Cli::command());
    let matches = match command.try_get_matches_from_mut(arguments) {
        // The help names every variable.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Cli::command().try_get_matches_from(arguments)?
        }
        matches => matches?,
    };
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    if cli.serve.web.systemd_socket && is_given(&matches, "listen_address") {
        let message = "the argument '--web.systemd-socket' cannot be used with '--web.listen-address'";
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    let of_command = matches.subcommand().map_or(&matches, |(_, matches)| matches);
    let watch = match &mut cli.command {
        None => &mut cli.serve.watch,
        Some(super::Command::Once(flags)) => &mut flags.watch,
        Some(super::Command::Check(flags)) => &mut flags.watch,
        Some(super::Command::Backfill(flags)) => &mut flags.watch,
        Some(super::Command::Simulate(_) | super::Command::Migrate(_) | super::Command::State(_)) => {
            return Ok(cli);
        }
    };
    if watch.config_file.is_some() {
        refuse_beside_file(of_command, &mut command)?;
    }
    if watch.demo {
        refuse_beside_demo(of_command, &mut command)?;
        fit_for_demo(watch, of_command);
    }
    Ok(cli)
}

/// A variable that is empty, as a compose file passes one that is not set, is as good as none.
fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    let ignored = |arg: Arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg };
    command.mut_args(ignored).mut_subcommands(without_empty)
}

fn is_given(matches: &ArgMatches, flag: &str) -> bool {
    matches!(matches.value_source(flag), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// What the configuration file says stands nowhere else.
fn refuse_beside_file(matches: &ArgMatches, command: &mut Command) -> Result<(), Error> {
    let is_in_file = |arg: &&Arg| {
        arg.get_id() == "demo" || arg.get_help_heading().is_some_and(|heading| IN_FILE.contains(&heading))
    };
    let is_off = |arg: &Arg| arg.get_id() == "demo" && !matches.get_flag("demo");
    let flags = command.get_arguments().filter(is_in_file);
    let given = flags.filter(|arg| is_given(matches, arg.get_id().as_str()) && !is_off(arg));
    let mut refused: Vec<_> = given.map(|arg| format!("--{}", arg.get_long().unwrap_or_default())).collect();
    if env::var_os(KEY_VARIABLE).is_some_and(|key| !key.is_empty()) {
        refused.push(KEY_VARIABLE.into());
    }
    if refused.is_empty() {
        return Ok(());
    }
    let refused = refused.join(", ");
    let message =
        format!("with --config.file, the file says all of this itself; it cannot be used with {refused}");
    Err(command.error(ErrorKind::ArgumentConflict, message))
}

/// Neither a real API nor its key goes with the demo.
fn refuse_beside_demo(matches: &ArgMatches, command: &mut Command) -> Result<(), Error> {
    let is_refused =
        |arg: &&Arg| REAL.contains(&arg.get_id().as_str()) && is_given(matches, arg.get_id().as_str());
    let Some(refused) = command.get_arguments().find(is_refused).map(ToString::to_string) else {
        return Ok(());
    };
    let message = format!("the argument '--demo' cannot be used with '{refused}'");
    Err(command.error(ErrorKind::ArgumentConflict, message))
}

/// The demo shows everything, and often, unless it is told otherwise.
fn fit_for_demo(watch: &mut Watch, matches: &ArgMatches) {
    if !is_given(matches, "interval") {
        watch.scrape.interval = Duration::from_secs(5);
    }
    if !is_given(matches, "max_conversations") {
        watch.metrics.max_conversations = 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Source;

    fn watch(arguments: &[&str]) -> Result<Watch, String> {
        let arguments: Vec<_> = ["kapso-exporter"].iter().chain(arguments).map(OsString::from).collect();
        parse_from(&arguments).map(|cli| cli.serve.watch).map_err(|error| error.to_string())
    }

    #[test]
    fn the_demo_shows_both_apis_every_5s_unless_told_otherwise() {
        let shown = |watch: Watch| {
            (watch.scrape.source, watch.scrape.interval.as_secs(), watch.metrics.max_conversations)
        };
        assert_eq!(shown(watch(&["--demo"]).unwrap()), (vec![Source::Auto], 5, 10));
        assert_eq!(shown(watch(&["--demo=yes"]).unwrap()), (vec![Source::Auto], 5, 10));
        let told =
            ["--demo", "--scrape.source=agents", "--scrape.interval=1m", "--metrics.max-conversations=0"];
        assert_eq!(shown(watch(&told).unwrap()), (vec![Source::Agents], 60, 0));
    }

    #[test]
    fn a_demo_that_is_switched_off_is_as_if_it_were_absent() {
        let url = "--kapso.platform-url=http://127.0.0.1:1";
        let plain = watch(&[url]).unwrap();
        for off in ["--demo=false", "--demo=0", "--demo=no", "--demo=off"] {
            let switched_off = watch(&[off, url]).unwrap();
            assert_eq!(format!("{switched_off:?}"), format!("{plain:?}"), "{off}");
        }
    }

    #[test]
    fn the_demo_goes_with_nothing_of_a_real_api() {
        for real in ["--kapso.platform-url=http://a", "--kapso.legacy-url=http://a", "--kapso.api-key-file=a"]
        {
            let error = watch(&["--demo", real]).unwrap_err();
            let flag = real.split('=').next().unwrap();
            assert!(
                error.contains(&format!("the argument '--demo' cannot be used with '{flag} <")),
                "{error}"
            );
        }
    }

    #[test]
    fn sockets_come_from_systemd_or_are_opened() {
        assert!(watch(&["--web.systemd-socket"]).is_ok());
        let error = watch(&["--web.systemd-socket", "--web.listen-address=:1"]).unwrap_err();
        assert!(
            error.contains("'--web.systemd-socket' cannot be used with '--web.listen-address'"),
            "{error}"
        );
    }

    #[test]
    fn a_switch_is_on_or_off() {
        assert!(watch(&["--demo=perhaps"]).unwrap_err().contains("--demo"));
    }
}
