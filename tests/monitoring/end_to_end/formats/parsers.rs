//! Texts that nobody would choose, through the parsers of Prometheus' own client for Python: both text formats are read,
//! and read alike.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use fastrand::Rng;
use jiff::SignedDuration;
use kapso_exporter::{
    account::Order,
    clock::Steady,
    config::{KeyFrom, ProjectConfig, RawProject},
    metrics::{Encoding, Format},
    model::{Api, Execution, Flaws, Page, Source, Status, Workflow},
};

use crate::support::{nowhere, simulated::a_morning};

const EXPOSITIONS: u64 = 150;

/// Reads pairs of expositions, a JSON array a line, and says how many samples they had.
const READER: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

def samples(families):
    found, exemplars = {}, 0
    for family in families:
        for sample in family.samples:
            exemplars += sample.exemplar is not None
            if sample.name.endswith("_created"):
                continue
            labels = dict(sample.labels)
            if "le" in labels:
                labels["le"] = float(labels["le"])
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found, exemplars

total = exemplars = 0
for number, line in enumerate(sys.stdin):
    plain, rich = json.loads(line)
    (a, _), (b, more) = samples(text(plain)), samples(openmetrics(rich))
    assert a == b, f"exposition {number}: {set(a.items()) ^ set(b.items())}"
    total, exemplars = total + len(a), exemplars + more
print(total, exemplars)
"#;

fn text(draw: &mut Rng) -> String {
    const CHARACTERS: [char; 22] = [
        'a', 'Z', '0', ' ', '"', '\\', '\n', '\t', '\r', '{', '}', ',', '=', '#', 'n', 'é', '🛵', '\u{2028}',
        '\0', '\u{7f}', '…', '\u{202e}',
    ];
    let length = if draw.u8(..20) == 0 { 300 } else { draw.usize(..12) };
    (0..length).filter_map(|_| draw.choice(CHARACTERS)).collect()
}

/// Both text formats of a project with some workflows and executions.
fn drawn(draw: &mut Rng) -> [String; 2] {
    let raw = RawProject::new("p", KeyFrom::Value("key".into()));
    let project =
        ProjectConfig { sources: [Source::Conversations].into(), ..ProjectConfig::resolve(raw).unwrap() };
    let clock = a_morning();
    let app = nowhere::app(nowhere::config([project], 1_000_000), clock.clone());
    let stream = app.projects["p"].streams[&Api::Platform].clone();
    let (mut account, now) = (stream.account.lock(), clock.wall());
    account.ledger.watch_from(now - SignedDuration::from_hours(1));
    let workflows: Vec<_> = (0..=draw.u64(..3))
        .map(|_| Workflow { id: text(draw).as_str().into(), name: Some(text(draw).as_str().into()) })
        .collect();
    let execution = |number: u64, draw: &mut Rng| {
        let status = [Status::Running, Status::Ended, Status::Failed, Status::Ended][draw.usize(..4)];
        let started = now - SignedDuration::from_micros(draw.i64(0..3_000_000_000));
        Execution {
            // Every other one is plain, as exemplars have to be.
            id: format!("{}{number}", if number.is_multiple_of(2) { String::new() } else { text(draw) })
                .as_str()
                .into(),
            workflow: Some(workflows[draw.usize(..workflows.len())].clone()),
            conversation: None,
            status,
            started_at: Some(started),
            last_event_at: Some(now),
            ended_at: Some(now).filter(|_| status.is_finished()),
            handoff: None,
            step: None,
        }
    };
    let items = (0..draw.u64(..12)).map(|number| execution(number, draw)).collect();
    let page = Page {
        items,
        flaws: Flaws::default(),
        request_seq: 1,
        requested_at: Steady::at(now),
        as_of: now,
        last: true,
    };
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    account.read(&mut listing, &page, now);
    account.close(&listing);
    drop(account);
    let renderer = app.publisher.renderer();
    let publication = renderer.collect();
    [Format::Text, Format::OpenMetrics].map(|format| {
        let text = renderer.exposition(&publication, format, Encoding::Identity).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    })
}

#[tokio::test(start_paused = true)]
#[ignore = "needs Python's prometheus_client"]
async fn whatever_texts_there_are_both_formats_are_read_alike() {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3: apt-get install python3-prometheus-client");
    let (mut input, mut draw) = (python.stdin.take().unwrap(), Rng::with_seed(11));
    for _ in 0..EXPOSITIONS {
        let pair = serde_json::to_string(&drawn(&mut draw)).unwrap();
        // Who has found a fault reads no further.
        if writeln!(input, "{pair}").is_err() {
            break;
        }
    }
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let read = String::from_utf8(output.stdout).unwrap();
    println!("{EXPOSITIONS} expositions: samples, and exemplars: {read}");
    assert!(read.split(' ').all(|count| count.trim().parse::<u64>().unwrap() > 100));
}
