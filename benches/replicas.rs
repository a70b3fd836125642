//! What replicas cost: `cargo bench --bench replicas` starts a PostgreSQL, the simulated Kapso and three replicas as
//! processes of their own, and prints the table of `docs/replicas.md`.
//!
//! Each project has 20 conversations, two workflows and a start a minute, and is swept once a minute. Words after `--` are
//! numbers of projects. A lease counts as taken over once a replica that is alive holds it.
#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::missing_panics_doc
)]

#[path = "../tests/replicas/machine.rs"]
mod machine;
#[path = "../tests/replicas/postgres.rs"]
mod postgres;
#[path = "support/program.rs"]
mod program;
#[path = "../tests/exporter/support/mod.rs"]
mod support;

use std::{
    fmt::Write,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use self::{
    postgres::{DATABASE, Postgres},
    program::{KEY, Program},
};

const REPLICAS: usize = 3;
/// Linux counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;
/// Until all replicas have their shares and every project was swept.
const WARM_UP: Duration = Duration::from_mins(4);
const STEADY: Duration = Duration::from_mins(2);
/// From one scrape of all replicas to the next.
const PAUSE: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let projects: Vec<usize> = words.iter().map(|word| word.parse().unwrap()).collect();
    println!(
        "| projects | a replica: memory | processor | a scrape, gzip | PostgreSQL: processor | commits | rows written | \
         tables | after SIGTERM | after SIGKILL |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for projects in if projects.is_empty() { vec![500, 5000] } else { projects } {
        println!("{}", row(projects).await);
    }
}

async fn row(projects: usize) -> String {
    let postgres = Postgres::start().await.expect("PostgreSQL on this machine");
    let kapso = kapso(projects);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, configuration(projects, &kapso.url)).unwrap();
    fs::write(folder.path().join("url"), postgres.url()).unwrap();
    for number in 1..=projects {
        fs::write(folder.path().join(format!("key-{number}")), format!("{KEY}-{number}")).unwrap();
    }
    let url_file = folder.path().join("url");
    let arguments = [
        "--config.file",
        file.to_str().unwrap(),
        "--state.url-file",
        url_file.to_str().unwrap(),
        "--state.migrate",
    ];
    let mut replicas: Vec<_> = (0..REPLICAS).map(|_| Program::start(&arguments)).collect();
    tokio::time::sleep(WARM_UP).await;
    let (cpu, server, written) = (cpu(&replicas), server_cpu(&postgres), written(&postgres));
    let begun = Instant::now();
    let mut scrapes = Vec::new();
    while begun.elapsed() < STEADY {
        for replica in &replicas {
            scrapes.push(scrape(replica).await.0);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let loads: Vec<_> =
        self::cpu(&replicas).iter().zip(&cpu).map(|(after, before)| (after - before) / seconds).collect();
    let server = (server_cpu(&postgres) - server) / seconds;
    let (commits, rows) = self::written(&postgres);
    scrapes.sort_unstable();
    let memory = replicas.iter().map(|replica| replica.memory("VmRSS:")).fold(0.0, f64::max);
    let tables = tables(&postgres);
    let term = taken_over(&mut replicas, "-TERM", &postgres, projects).await;
    replicas.push(Program::start(&arguments));
    // Until the newcomer has its share.
    tokio::time::sleep(Duration::from_secs(50)).await;
    let kill = taken_over(&mut replicas, "-KILL", &postgres, projects).await;
    format!(
        "| {projects} | {memory:.0} MB | {:.0} % | {:.0} ms | {:.0} % | {:.0}/s | {:.0}/s | {tables} | {:.1} s | {:.1} s |",
        100.0 * loads.iter().copied().fold(0.0, f64::max),
        1000.0 * scrapes[scrapes.len() / 2].as_secs_f64(),
        100.0 * server,
        (commits - written.0) / seconds,
        (rows - written.1) / seconds,
        term.as_secs_f64(),
        kill.as_secs_f64(),
    )
}

fn kapso(projects: usize) -> Program {
    let keys = projects.to_string();
    let flags = ["--workflows", "2", "--conversations", "20", "--history", "100", "--open-history", "4"];
    let more = ["--starts-per-minute", "1", "--rate-limit", "0"];
    Program::start(&[&["simulate", "--keys", &keys], &flags[..], &more[..]].concat())
}

fn configuration(projects: usize, url: &str) -> String {
    let mut text = String::from("metrics: {max_series: 2000000}\nprojects:\n");
    for number in 1..=projects {
        writeln!(
            text,
            "- {{name: p{number}, api_key: {{file: key-{number}}}, platform_url: '{url}/platform/v1', \
             legacy_url: '{url}/api/v1'}}"
        )
        .unwrap();
    }
    text
}

/// Ends the first replica, and waits until the others hold all leases.
async fn taken_over(
    replicas: &mut Vec<Program>,
    signal: &str,
    postgres: &Postgres,
    projects: usize,
) -> Duration {
    let ended = replicas.remove(0);
    let begun = Instant::now();
    assert!(Command::new("kill").args([signal, &ended.pid().to_string()]).status().unwrap().success());
    let all = format!(
        "SELECT count(*) = {projects} AND count(DISTINCT owner) = {} FROM kapso_exporter.lease WHERE until > now()",
        replicas.len()
    );
    while postgres.psql(DATABASE, &all) != "t" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    begun.elapsed()
}

/// How long a scrape took, and what it said.
async fn scrape(replica: &Program) -> (Duration, String) {
    let client = reqwest::Client::builder().gzip(true).build().unwrap();
    let begun = Instant::now();
    let answer = client.get(format!("{}/metrics", replica.url)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    (begun.elapsed(), text)
}

fn cpu(replicas: &[Program]) -> Vec<f64> {
    replicas.iter().map(Program::cpu).collect()
}

/// Processor time of all processes of the server, those that have ended included, in seconds.
fn server_cpu(postgres: &Postgres) -> f64 {
    let first = postgres.pid();
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let living: f64 = children.split_whitespace().map(|pid| ticks(pid, 2)).sum();
    (ticks(&first.to_string(), 4) + living) / TICKS
}

/// The first of a process's times: its own in user and system mode, and those of its children that have ended.
fn ticks(pid: &str, times: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(times).map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

/// Commits and rows that were written so far.
fn written(postgres: &Postgres) -> (f64, f64) {
    let sql = "SELECT xact_commit || ' ' || tup_inserted + tup_updated + tup_deleted FROM pg_stat_database \
               WHERE datname = 'kapso'";
    let answer = postgres.psql(DATABASE, sql);
    let (commits, rows) = answer.split_once(' ').unwrap();
    (commits.parse().unwrap(), rows.parse().unwrap())
}

/// Sizes of the tables, the largest first.
fn tables(postgres: &Postgres) -> String {
    let sql = "SELECT string_agg(relname || ' ' || pg_size_pretty(size), ', ' ORDER BY size DESC) FROM (
        SELECT relname, pg_total_relation_size(c.oid) AS size FROM pg_class c
        JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = 'kapso_exporter' AND relkind = 'r' ORDER BY size DESC LIMIT 3) AS t";
    postgres.psql(DATABASE, sql)
}
