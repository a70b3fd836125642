//! The reference of the flags, `docs/flags.md`: what the command line says of itself, and what its parsers allow.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory, builder::Resettable};

use super::Cli;

const HEAD: &str = "# Flags

Generated from the program by `UPDATE_DOCS=1 cargo test --test monitoring`; edit `src/cli/mod.rs`, not this page.

Below each flag stands the environment variable that it also reads: `KAPSO_EXPORTER_` and the flag's name in upper case,
dots and dashes as underscores. A flag on the command line goes before its variable. A variable that is empty is as if it
were absent, and that of a repeatable flag takes a comma-separated list. `--help` of each command says the same.
";

/// What every command has and needs no word.
const COMMON: [&str; 2] = ["help", "version"];

/// The heading of flags that have none in the help.
const FIRST: &str = "Demo";

/// The reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let name = root.get_name();
    let served: Vec<&Arg> = flags(&root).collect();
    let mut text = String::from(HEAD);
    introduce(&mut text, name, &root);
    for heading in headings(&served) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n### {heading}\n");
        let of_heading = |flag: &&&Arg| flag.get_help_heading().unwrap_or(FIRST) == heading;
        table(&mut text, served.iter().filter(of_heading).copied());
    }
    for command in root.get_subcommands().filter(|command| !COMMON.contains(&command.get_name())) {
        introduce(&mut text, &format!("{name} {}", command.get_name()), command);
        relate(&mut text, &served, &flags(command).collect::<Vec<_>>());
        for nested in command.get_subcommands().filter(|command| !COMMON.contains(&command.get_name())) {
            introduce(&mut text, &format!("{name} {} {}", command.get_name(), nested.get_name()), nested);
            relate(&mut text, &served, &flags(nested).collect::<Vec<_>>());
        }
    }
    text
}

/// All flags of a command, in the order of its help.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|flag| flag.get_long().is_some_and(|name| !COMMON.contains(&name)))
}

fn headings<'a>(flags: &[&'a Arg]) -> Vec<&'a str> {
    let mut headings = Vec::new();
    for heading in flags.iter().map(|flag| flag.get_help_heading().unwrap_or(FIRST)) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings
}

fn introduce(text: &mut String, title: &str, command: &Command) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## {title}\n");
    for paragraph in about.split("\n\n") {
        let _ = write!(text, "\n{}\n", sentence(paragraph));
    }
}

/// Which of the flags of serving a command takes too, and those that it alone has.
fn relate(text: &mut String, served: &[&Arg], of_command: &[&Arg]) {
    let is_in = |flags: &[&Arg], flag: &Arg| flags.iter().any(|known| row(known) == row(flag));
    let (shared, lacking): (Vec<&Arg>, Vec<&Arg>) = served.iter().partition(|flag| is_in(of_command, flag));
    let own: Vec<&Arg> = of_command.iter().filter(|flag| !is_in(served, flag)).copied().collect();
    let _ = if lacking.len() < shared.len() {
        writeln!(text, "\nIt takes the flags above, but not {}.", names(&lacking))
    } else {
        writeln!(text, "\nOf the flags above it takes {}.", names(&shared))
    };
    if !own.is_empty() {
        table(text, own.into_iter());
    }
}

fn names(flags: &[&Arg]) -> String {
    let names = flags.iter().filter_map(|flag| flag.get_long()).map(|name| format!("`--{name}`"));
    let mut names: Vec<_> = names.collect();
    let last = names.split_off(names.len().saturating_sub(2)).join(" and ");
    names.into_iter().chain([last]).collect::<Vec<_>>().join(", ")
}

fn table<'a>(text: &mut String, flags: impl Iterator<Item = &'a Arg>) {
    text.push_str("\n| flag | default | meaning |\n|---|---|---|\n");
    text.extend(flags.map(row));
}

fn row(flag: &Arg) -> String {
    let variable = flag.get_env().map(|name| format!("<br>`{}`", name.to_string_lossy())).unwrap_or_default();
    let default: Vec<_> = flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if default.is_empty() { String::new() } else { format!("`{}`", default.join(",")) };
    let help = flag.get_long_help().or(flag.get_help()).map(ToString::to_string).unwrap_or_default();
    let allowed = allowed(flag).map(|allowed| format!(" Takes {allowed}.")).unwrap_or_default();
    let meaning = format!("{}{allowed}", sentence(&help)).replace('|', "\\|");
    format!("| `{flag}`{variable} | {default} | {meaning} |\n")
}

/// What a flag takes, as it says itself when it is given something else.
fn allowed(flag: &Arg) -> Option<String> {
    if !flag.get_action().takes_values() {
        return None;
    }
    let values = flag.get_possible_values();
    if !values.is_empty() {
        let shown = values.iter().filter(|value| !value.is_hide_set());
        let names: Vec<_> = shown.map(|value| format!("`{}`", value.get_name())).collect();
        return Some(names.join(", "));
    }
    let wrong = format!("--{}=\u{1}", flag.get_long()?);
    let flag = flag.clone().env(None::<&str>).requires(Resettable::Reset);
    let alone = Command::new("").no_binary_name(true).arg(flag);
    let error = alone.try_get_matches_from([wrong]).err()?.to_string();
    let line = error.lines().next()?;
    line.split_once(": expected ").map(|(_, allowed)| allowed.to_owned())
}

/// On one line, with a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim().replace('\n', " ");
    if text.ends_with('.') { text } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a flag below a title.
    fn line(title: &str, flag: &str) -> String {
        let text = reference();
        let (_, section) = text.split_once(&format!("\n## {title}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let found = section.lines().find(|line| line.starts_with(&format!("| `{flag}")));
        found.unwrap_or_else(|| panic!("{title} has no {flag}")).to_owned()
    }

    #[test]
    fn a_flag_has_its_variable_its_default_and_what_it_takes() {
        assert_eq!(
            line("kapso-exporter", "--scrape.interval"),
            "| `--scrape.interval <DURATION>`<br>`KAPSO_EXPORTER_SCRAPE_INTERVAL` | `60s` | From one sweep's start to \
             the next. Takes a duration from 1s to 24h, such as 30s, 5m or 7d. |"
        );
        for (flag, takes) in [
            ("--demo", "Takes `true`, `false`."),
            ("--scrape.requests-per-minute", "Takes a whole number from 1 to 100000."),
            ("--kapso.legacy-url", "Takes an http or https URL"),
            ("--log.level", "Takes `debug`, `info`, `warn`, `error`."),
        ] {
            let line = line("kapso-exporter", flag);
            assert!(line.contains(takes), "{line}");
        }
    }

    #[test]
    fn every_flag_of_every_command_has_one_line() {
        let mut root = Cli::command();
        root.build();
        let served: Vec<String> = flags(&root).map(row).collect();
        let text = reference();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            for row in flags(command).map(row) {
                assert_eq!(text.matches(&row).count(), 1, "{row}");
            }
        }
        assert!(
            served.len() > 15
                && text.contains(
                    "but not `--web.listen-address`, `--web.systemd-socket` and `--web.telemetry-path`."
                )
        );
    }

    #[test]
    fn the_same_flag_with_another_default_is_another_one() {
        assert!(line("kapso-exporter simulate", "--web.listen-address").contains("| `127.0.0.1:10111` |"));
        assert!(line("kapso-exporter check", "--offline").contains("`KAPSO_EXPORTER_OFFLINE`"));
    }
}
