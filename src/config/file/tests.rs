use std::{fmt::Write, fs, path::PathBuf, time::Duration};

use super::*;
use crate::model::Source;

/// Every secret can be read, but for those of this name.
struct Known;

impl Secrets for Known {
    fn read(&mut self, from: &SecretFrom) -> Result<String, String> {
        match from {
            SecretFrom::Variable(name) if name == "MISSING" => Err("the variable MISSING is not set".into()),
            SecretFrom::Variable(name) if name == "EMPTY" => Ok(" \n".into()),
            SecretFrom::Variable(name) => Ok(format!("key-of-{name}")),
            SecretFrom::File(path) => Ok(format!("key-in-{}", path.display())),
        }
    }
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|is| is == "yaml")).collect();
    files.sort();
    files
}

fn said(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    match parse(&text, &mut Known) {
        Ok(_) => "nothing is wrong\n".into(),
        Err(problems) => {
            format!("{}\n", Problems { file: path.file_name().unwrap().into(), problems })
        }
    }
}

/// `UPDATE_EXPECTED=1` writes what is said now.
#[test]
fn every_bad_file_is_told_what_is_wrong_with_it() {
    let files = files("bad");
    assert!(files.len() >= 40, "{}", files.len());
    for path in files {
        let expected = path.with_extension("txt");
        let said = said(&path);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        assert_ne!(said, "nothing is wrong\n", "{}", path.display());
        assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn no_problem_quotes_a_secret() {
    for path in files("bad") {
        assert!(!said(&path).contains("sk-"), "{}", path.display());
    }
}

#[test]
fn every_good_file_is_understood() {
    for path in files("good")
        .into_iter()
        .chain([PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/config.example.yaml")])
    {
        assert_eq!(said(&path), "nothing is wrong\n", "{}", path.display());
    }
}

fn parsed(text: &str) -> FileConfig {
    parse(text, &mut Known).unwrap()
}

#[test]
fn what_a_project_does_not_say_the_defaults_say_and_then_the_flags_defaults() {
    let file = parsed(
        "defaults: {interval: 30s, lookback: 2h}\n\
         projects:\n- {name: a, api_key: {env: A}, interval: 90s}\n- {name: b, api_key: {file: b.key}}\n",
    );
    let interval = |number: usize| file.projects[number].interval;
    assert_eq!((interval(0), interval(1)), (Duration::from_secs(90), Duration::from_secs(30)));
    let b = &file.projects[1];
    assert_eq!((b.account.lookback.as_hours(), b.timeout), (2, Duration::from_secs(10)));
    assert_eq!(b.sources, [Source::Auto, Source::Agents].into());
    assert_eq!((b.key.expose_secret(), file.metrics.max_series), ("key-in-b.key", 50_000));
}

#[test]
fn a_file_of_every_key_is_taken_over() {
    let file = parsed(&fs::read_to_string(folder("good").join("everything.yaml")).unwrap());
    let project = &file.projects[0];
    assert_eq!(project.phone_number_ids, ["647015955153740"]);
    assert_eq!(project.agents["agent-123abc"], "Sales");
    assert_eq!(project.handoff_reasons[0].class.as_str(), "billing");
    assert!(!project.workflows.is_open());
    assert_eq!(project.requests_per_minute, Some(50));
    assert_eq!(&*project.account.buckets.idle, [60.0, 3600.0]);
    assert_eq!(file.metrics.max_conversations, 5);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| {
        let started = std::time::Instant::now();
        let error = read(path, StateConfig::default()).unwrap_err().to_string();
        assert!(started.elapsed() < Duration::from_secs(5), "{error}");
        error
    };
    let path = |name: &str| folder.path().join(name);
    assert!(refused(folder.path()).ends_with("it is not a file"));
    assert!(refused(&path("none")).contains("cannot read it"));
    let pipe = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
    assert!(pipe.success() && refused(&path("pipe")).ends_with("it is not a file"));
    fs::write(path("large"), vec![b'#'; 10 << 20]).unwrap();
    assert!(refused(&path("large")).contains("it has 10485760 bytes; at most"));
    fs::write(path("bytes"), [0xff, 0xfe]).unwrap();
    assert!(refused(&path("bytes")).ends_with("it is not UTF-8 text"));
}

#[test]
fn a_bomb_of_aliases_does_not_go_off() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    let started = std::time::Instant::now();
    let problems = parse(&text, &mut Known).unwrap_err();
    assert!(problems[0].message.starts_with("this is not YAML"), "{problems:?}");
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
}
