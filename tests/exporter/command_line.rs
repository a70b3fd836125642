//! What a user may get wrong on the command line: exit code 2 and a sentence that names the flag and what is
//! allowed.

use std::collections::BTreeSet;

use clap::CommandFactory;
use kapso_exporter::cli::Cli;

use crate::support::{Exporter, Finished, run_to_end};

const KEY: (&str, &str) = ("KAPSO_API_KEY", "k");

async fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
    let Finished { code, stdout, stderr } = run_to_end(args, env).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
    stderr
}

#[tokio::test]
async fn without_a_key_it_says_where_to_put_one() {
    for env in [&[][..], &[("KAPSO_API_KEY", "")]] {
        assert_eq!(
            refused(&[], env).await,
            "error: no API key: set KAPSO_API_KEY, or name a file with --kapso.api-key-file (--demo needs none)\n"
        );
    }
}

#[tokio::test]
async fn a_key_of_spaces_is_no_key() {
    assert_eq!(
        refused(&[], &[("KAPSO_API_KEY", "  ")]).await,
        "error: the API key is empty: KAPSO_API_KEY\n"
    );
}

#[tokio::test]
async fn a_variable_that_is_empty_is_as_if_it_were_absent() {
    let variables = variables();
    assert!(variables.len() > 20 && variables.contains("KAPSO_EXPORTER_STATE_PATH"), "{variables:?}");
    let report = async |env: &[(&str, &str)]| {
        let Finished { code, stdout, stderr } = run_to_end(&["check", "--offline"], env).await;
        assert_eq!(code, Some(0), "{env:?}: {stderr}");
        stdout
    };
    let plain = report(&[KEY]).await;
    for variable in &variables {
        assert_eq!(report(&[KEY, (variable, "")]).await, plain, "{variable}");
    }
}

#[tokio::test]
async fn every_command_takes_an_environment_in_which_all_is_empty() {
    let variables = variables();
    let flags = variables.iter().map(|variable| (variable.as_str(), ""));
    let all: Vec<_> = flags.chain([("KAPSO_API_KEY", "")]).collect();
    for command in ["once", "check"] {
        let Finished { code, stderr, .. } = run_to_end(&[command, "--demo"], &all).await;
        assert_eq!(code, Some(0), "{command}: {stderr}");
    }
    Exporter::start(&["--demo"], &all).await.ready().await;
    let mut help = String::new();
    for command in [&["--help"][..], &["once", "--help"], &["check", "--help"], &["backfill", "--help"]] {
        let Finished { code, stdout, .. } = run_to_end(command, &all).await;
        assert_eq!(code, Some(0));
        help += &stdout;
    }
    let unnamed: Vec<_> =
        variables.iter().filter(|variable| !help.contains(&format!("env: {variable}"))).collect();
    assert!(unnamed.is_empty(), "the help names them all the same: {unnamed:?}");
}

/// The environment variable of every flag of every command.
fn variables() -> BTreeSet<String> {
    let mut command = Cli::command();
    command.build();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let flags = commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_env);
    flags.map(|name| name.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_demo_that_is_switched_off_is_as_if_it_were_absent() {
    let url = "--kapso.platform-url=http://127.0.0.1:1/platform/v1";
    let plain = run_to_end(&["check", "--offline", url], &[KEY]).await;
    for off in ["false", "0", "no", "off", "FALSE"] {
        let flag = format!("--demo={off}");
        let flagged = run_to_end(&["check", "--offline", url, &flag], &[KEY]).await;
        let set = run_to_end(&["check", "--offline", url], &[KEY, ("KAPSO_EXPORTER_DEMO", off)]).await;
        for Finished { code, stdout, stderr } in [flagged, set] {
            assert_eq!((code, stdout), (Some(0), plain.stdout.clone()), "{off}: {stderr}");
        }
    }
}

#[tokio::test]
async fn the_demo_is_the_same_however_it_is_switched_on() {
    let report = async |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["check", "--offline"], args].concat();
        run_to_end(&args, env).await.stdout
    };
    let demo = report(&["--demo"], &[]).await;
    assert!(demo.contains("auto, agents"), "{demo}");
    for on in ["1", "yes", "on", "True"] {
        assert_eq!(report(&[], &[("KAPSO_EXPORTER_DEMO", on)]).await, demo, "{on}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_stand_in_a_header_is_refused_without_showing_it() {
    let error = refused(&[], &[("KAPSO_API_KEY", "sec\nret")]).await;
    assert_eq!(error, "error: the API key must be one line of visible ASCII characters: KAPSO_API_KEY\n");
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_is_named() {
    let error = refused(&["--kapso.api-key-file", "/proc/self"], &[]).await;
    let start = "error: cannot read --kapso.api-key-file /proc/self: Is a directory";
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test]
async fn a_key_file_that_is_not_there_may_be_the_key_itself_and_is_not_shown() {
    let error = refused(&["--kapso.api-key-file", "the-key-itself"], &[]).await;
    assert_eq!(error, "error: there is no file with the name given by --kapso.api-key-file\n");
}

#[tokio::test]
async fn an_empty_key_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let error = refused(&["--kapso.api-key-file", path], &[KEY]).await;
    assert_eq!(error, format!("error: the API key is empty: --kapso.api-key-file {path}\n"));
}

#[tokio::test]
async fn a_wrong_value_is_answered_with_the_flag_and_what_is_allowed() {
    for (flag, value, allowed) in [
        ("--scrape.source", "orders", "none of: auto, conversations, agents"),
        ("--scrape.conversation", "a/b", "the id of a conversation"),
        ("--scrape.interval", "soon", "a duration from 1s to 24h, such as 30s, 5m or 7d"),
        ("--scrape.interval", "0s", "a duration from 1s to 24h"),
        ("--scrape.lookback", "-1h", "a duration from 1m to 365d"),
        ("--scrape.conversation-max-age", "1s", "a duration from 1h to 3650d"),
        ("--scrape.max-staleness", "1s", "a duration from 1m to 365d"),
        ("--scrape.max-staleness", "1m", "longer than the interval"),
        ("--scrape.requests-per-minute", "0", "a whole number from 1 to 100000"),
        ("--scrape.requests-per-minute", "many", "a whole number from 1 to 100000"),
        ("--scrape.timeout", "1h", "a duration from 100ms to 5m"),
        ("--metrics.max-series", "10", "a whole number from 1000 to 10000000"),
        ("--web.listen-address", "10110", "[HOST]:PORT, such as :10110"),
        ("--web.telemetry-path", "/-/ready", "a path such as /metrics"),
        ("--log.level", "loud", "debug, info, warn, error"),
        ("--log.format", "xml", "logfmt, json"),
    ] {
        let error = refused(&[&format!("{flag}={value}")], &[KEY]).await;
        for part in [flag, allowed] {
            assert!(error.contains(part), "{flag}={value}: {part} is not in: {error}");
        }
    }
}

#[tokio::test]
async fn conversations_cannot_be_named_where_workflows_are_listed() {
    let flags = ["--scrape.source=workflows", "--scrape.conversation=a"];
    let error = refused(&flags, &[KEY]).await;
    let start = "error: chosen conversations (--scrape.conversation) do not go with the source workflows";
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test]
async fn a_wrong_url_may_hold_a_password_and_is_not_shown() {
    for (flag, value) in
        [("--kapso.platform-url", "no-url"), ("--kapso.legacy-url", "ftp://ada:word@app.kapso.ai")]
    {
        let error = refused(&[&format!("{flag}={value}")], &[KEY]).await;
        let start = format!("error: invalid value for '{flag} <URL>': expected an http or https URL without");
        assert!(error.starts_with(&start) && !error.contains(value), "{error}");
    }
}

#[tokio::test]
async fn environment_variables_are_checked_like_flags() {
    let error = refused(&[], &[KEY, ("KAPSO_EXPORTER_SCRAPE_REQUESTS_PER_MINUTE", "none")]).await;
    assert!(error.contains("--scrape.requests-per-minute"), "{error}");
}

#[tokio::test]
async fn an_unknown_flag_is_refused() {
    assert!(
        refused(&["--scrape.intervall=5s"], &[KEY]).await.contains("--scrape.interval"),
        "and the near one offered"
    );
}

#[tokio::test]
async fn the_demo_and_a_real_api_exclude_each_other() {
    let error = refused(&["--demo", "--kapso.platform-url=http://127.0.0.1:1"], &[]).await;
    assert!(error.contains("cannot be used with"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Finished { code, stderr, .. } = run_to_end(&["--demo", "--web.listen-address", &address], &[]).await;
    assert_eq!(code, Some(1));
    let expected =
        format!("error: cannot listen on {address} (--web.listen-address): Address already in use");
    assert!(stderr.contains(&expected), "{stderr}");
}

#[tokio::test]
async fn flags_can_come_from_the_environment() {
    let env = [("KAPSO_EXPORTER_DEMO", "true"), ("KAPSO_EXPORTER_WEB_TELEMETRY_PATH", "/kapso")];
    let exporter = Exporter::start(&[], &env).await.ready().await;
    assert_eq!(exporter.get("/kapso").await.0, 200);
    assert_eq!(exporter.get("/metrics").await.0, 404);
}

#[tokio::test]
async fn help_names_every_flag_and_its_variable() {
    let Finished { code, stdout, .. } = run_to_end(&["--help"], &[("KAPSO_API_KEY", "marked-secret")]).await;
    assert_eq!(code, Some(0));
    for flag in [
        "kapso.api-key-file",
        "kapso.platform-url",
        "kapso.legacy-url",
        "scrape.source",
        "scrape.conversation",
        "scrape.interval",
        "scrape.lookback",
        "scrape.conversation-max-age",
        "scrape.requests-per-minute",
        "scrape.timeout",
        "metrics.max-series",
        "metrics.max-conversations",
        "web.listen-address",
        "web.telemetry-path",
        "log.level",
        "log.format",
        "demo",
    ] {
        let variable = format!("KAPSO_EXPORTER_{}", flag.to_uppercase().replace(['.', '-'], "_"));
        assert!(stdout.contains(&format!("--{flag}")) && stdout.contains(&variable), "{flag}");
    }
    assert!(!stdout.contains("marked-secret"));
}
