//! Neither the key nor anything about a person leaves the program: not in a metric, a page, a report or a line of
//! the log, whatever Kapso, a proxy or the operator does.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use kapso_exporter::{
    cli::Cli,
    config::Config,
    kapso::{Connections, Http},
    simulator::{Api, Fault, Faults, Scenario, Traffic},
};
use serde_json::{Value, json};

use crate::support::{Exporter, Finished, Hostile, Kapso, http, run_against, run_to_end, wait_for, watch};

/// With characters that URLs, JSON, HTML and logfmt write differently.
const KEY: &str = r#"Zk7/+"\<KEYMARK>=&%41 "#.trim_ascii_end();
/// Anything of this in what the program says is a leak. People, numbers and messages are the simulator's.
const MARKS: [&str; 8] =
    ["KEYMARK", "Zebulon", "+1555", "%2B1555", "marzipan", "TRACKMARK", "ERRORMARK", "PROXYMARK"];
const EVERYTHING: [&str; 6] = [
    "--log.level=debug",
    "--scrape.source=conversations,agents",
    "--scrape.interval=1s",
    "--scrape.timeout=1s",
    "--scrape.requests-per-minute=100000",
    "--metrics.max-conversations=1000",
];

/// Panics with the first leak in `text`, of which `what` says where it is from.
fn keeps_quiet(what: &str, text: &str) {
    for mark in marks() {
        if let Some(at) = text.find(&mark) {
            let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
            panic!("{what} shows {mark:?}: {}", text[from..].lines().next().unwrap());
        }
    }
    assert!(!text.contains("panicked"), "{what}: {text}");
}

/// What must not be seen, in every form in which it may be written.
fn marks() -> Vec<String> {
    let mut marks: Vec<String> = MARKS.map(Into::into).into();
    let percent: String = KEY.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    });
    let hex: String = KEY.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let form: String = url::form_urlencoded::byte_serialize(KEY.as_bytes()).collect();
    let json = serde_json::to_string(KEY).unwrap();
    marks.extend([KEY.into(), percent, hex, form, json.trim_matches('"').into()]);
    for mark in [KEY, "Zebulon", "marzipan", "+1555000000"] {
        // Fewer letters may be anything.
        let encoded = (0..3).map(|offset| base64(mark.as_bytes(), offset));
        marks.extend(encoded.filter(|mark| mark.len() >= 8));
    }
    marks
}

/// The base64 of `bytes` where they begin at this offset in what is encoded, without what depends on the bytes
/// around them.
fn base64(bytes: &[u8], offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let skipped = (3 - offset) % 3;
    let whole = bytes[skipped..].chunks_exact(3);
    let sextets = whole.flat_map(|three| {
        let bits = three.iter().fold(0, |bits, &byte| bits << 8 | usize::from(byte));
        [18, 12, 6, 0].map(|shift| ALPHABET[bits >> shift & 63])
    });
    sextets.map(char::from).collect()
}

async fn serving_keeps_quiet(what: &str, exporter: &Exporter) {
    for path in ["/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"] {
        keeps_quiet(&format!("{what}: {path}"), &exporter.get(path).await.1);
    }
    keeps_quiet(&format!("{what}: the log"), &exporter.log());
}

fn run_keeps_quiet(what: &str, finished: &Finished) {
    assert!(!finished.stderr.is_empty() || !finished.stdout.is_empty(), "{what}");
    keeps_quiet(&format!("{what}: stdout"), &finished.stdout);
    keeps_quiet(&format!("{what}: stderr"), &finished.stderr);
}

/// Both commands, in each of their formats.
const COMMANDS: [(&str, &[&str]); 4] = [
    ("once", &[]),
    ("once", &["--log.format=json"]),
    ("check", &[]),
    ("check", &["--output=json", "--log.format=json"]),
];

async fn commands_keep_quiet(what: &str, port: u16, key: &str) {
    let runs = COMMANDS.map(async |(command, args)| {
        let args = [&EVERYTHING, args].concat();
        run_keeps_quiet(&format!("{what}: {command}"), &run_against(port, key, command, &args).await);
    });
    futures_util::future::join_all(runs).await;
}

/// A busy Kapso, of which every seventh answer is spoilt.
fn busy() -> Scenario {
    Scenario {
        key: KEY.into(),
        conversations: 30,
        history: 60,
        open_history: 12,
        traffic: Traffic {
            starts_per_minute: 300.0,
            handoff_ratio: 0.5,
            dwell: Duration::from_millis(100)..Duration::from_secs(1),
            ..Traffic::lively()
        },
        // But for refusals, after which nothing is asked for a minute.
        faults: Faults {
            one_in: 7,
            kinds: Fault::ALL.into_iter().filter(|&fault| fault != Fault::OddRefusal).collect(),
        },
        ..Scenario::quiet(1)
    }
}

/// Marks what the simulator does not: ids of the customer's own, and fields that nobody documented.
fn mark(item: &mut Value) {
    item["tracking_id"] = json!("TRACKMARK");
    item["last_message"] = json!({"text": "TRACKMARK", "from": "+15550000001"});
    item["workflow"]["status"] = json!("TRACKMARK");
    item["current_step"]["position"] = json!("TRACKMARK");
}

#[tokio::test]
async fn nothing_private_is_said_while_all_goes_well_and_while_answers_are_spoilt() {
    let kapso = Kapso::start(busy()).await;
    for api in Api::ALL {
        let (workflow, conversation) = kapso.first(api);
        let id = kapso.simulator.start(api, &workflow, Some(&conversation)).unwrap();
        kapso.simulator.edit(&id, mark).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let flag = format!("--state.path={}", state.display());
    let exporter = kapso.watched_with_key(KEY, &[&EVERYTHING[..], &[flag.as_str()]].concat()).await;
    let json = kapso.watched_with_key(KEY, &[&EVERYTHING[..], &["--log.format=json"]].concat()).await;
    for served in [&exporter, &json] {
        wait_for("handoffs, failed requests and sweeps", async || {
            let scrape = served.scrape().await;
            let handoffs = scrape.sum("kapso_execution_handoffs_total", &[]);
            let errors = scrape.sum("kapso_exporter_errors_total", &[]);
            handoffs > 5.0 && errors > 10.0 && scrape.values_of("kapso_executions", "api").len() == 2
        })
        .await;
        assert!(
            served.scrape().await.values_of("kapso_conversation_open_executions", "conversation_id").len()
                > 5
        );
        serving_keeps_quiet("all goes well", served).await;
    }
    assert!(exporter.log().contains("retrying"), "the log is that of debugging");
    let kept = String::from_utf8_lossy(&std::fs::read(state).unwrap()).into_owned();
    assert!(kept.contains("flow_1"), "the state file holds the workflows");
    keeps_quiet("the state file", &kept);
    kapso.simulator.set_faults(Faults { one_in: 0, kinds: Vec::new() });
    for (command, args) in COMMANDS {
        let args = [&EVERYTHING, args].concat();
        let finished = kapso.run_with_key(KEY, command, &args).await;
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        run_keeps_quiet(command, &finished);
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_not_said() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let exporter = kapso.watched_with_key(KEY, &EVERYTHING).await;
    wait_for("refusals", async || {
        exporter.scrape().await.sum("kapso_exporter_errors_total", &[("reason", "unauthorized")]) >= 2.0
    })
    .await;
    serving_keeps_quiet("refused", &exporter).await;
    let port = exporter_port(&kapso);
    commands_keep_quiet("refused", port, KEY).await;
}

fn exporter_port(kapso: &Kapso) -> u16 {
    url::Url::parse(&kapso.platform_url()).unwrap().port().unwrap()
}

/// Ways to hand back what was told, or to tell what is nobody's business.
const WAYS: usize = 15;

fn betray(number: usize, head: &str) -> String {
    let page = format!("<html><body><pre>{head}</pre>ERRORMARK Ada Zebulon +15550000001</body></html>");
    let escaped = serde_json::to_string(&format!("{head} ERRORMARK +15550000001")).unwrap();
    let item = r#"{"id":"e1","started_at":"+15550000001 Zebulon","status":"marzipan"}"#;
    match number % WAYS {
        0 => http("502 Bad Gateway", "Content-Type: text/html\r\n", &page),
        1 => http("200 OK", "Content-Type: text/html\r\n", &page),
        2 => http("403 Forbidden", "", &format!(r#"{{"error":{escaped}}}"#)),
        3 => http("400 Bad Request", "", &format!(r#"{{"errors":{{"X-API-Key":[{escaped}]}}}}"#)),
        4 => http("200 OK", "", &format!(r#"{{"data":[{item}, {{"id": "#)),
        5 => http("200 OK", "", &format!(r#"{{"data":[{item}],"paging":{{"next":{{"to":{escaped}}}}}}}"#)),
        6 => http("200 OK", "", &format!(r#"{{"data":{escaped}}}"#)),
        7 => http("302 Found", &format!("Location: http://127.0.0.1:1/{KEY}?phone=+15550000001\r\n"), ""),
        8 => {
            let headers = format!("X-RateLimit-Limit: {KEY}\r\nRetry-After: {KEY}\r\nDate: {KEY}\r\n");
            http("503 Service Unavailable", &headers, "")
        }
        9 => format!("HTTP/1.1 {KEY} Zebulon\r\n\r\n{KEY}"),
        10 => format!("{KEY} marzipan\r\n\r\n"),
        11 => format!("HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n{KEY} Zebulon\r\n\r\n"),
        12 => {
            let cursor = serde_json::to_string(&format!("{KEY}{}", "x".repeat(70_000))).unwrap();
            http("200 OK", "", &format!(r#"{{"data":[],"paging":{{"next":{cursor}}}}}"#))
        }
        13 => http("200 OK", "Content-Encoding: gzip\r\n", &page),
        _ => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY} marzipan\r\n"),
    }
}

#[tokio::test]
async fn answers_that_hand_back_the_key_or_hold_personal_data_are_not_repeated() {
    let offset = Arc::new(AtomicUsize::new(0));
    let from = offset.clone();
    let kapso = Hostile::start(move |number, head| betray(number + from.load(Ordering::Relaxed), head)).await;
    let exporter = watch(kapso.port, KEY, &EVERYTHING).await;
    wait_for("every kind of answer, twice", async || kapso.requests() >= 2 * WAYS).await;
    let errors = exporter.scrape().await.sum("kapso_exporter_errors_total", &[]);
    assert!(errors > 0.0, "{errors}");
    serving_keeps_quiet("betrayed", &exporter).await;
    drop(exporter);
    // A command ends after a few requests: each kind of answer is to be one of the first.
    for first in 0..4 {
        offset.store(first * 4, Ordering::Relaxed);
        commands_keep_quiet("betrayed", kapso.port, KEY).await;
    }
}

#[tokio::test]
async fn a_proxy_and_its_password_are_not_spoken_of() {
    let proxy = Hostile::start(betray).await;
    let url = format!("http://ada:PROXYMARK@127.0.0.1:{}", proxy.port);
    let env = [("KAPSO_API_KEY", KEY), ("HTTP_PROXY", &url), ("HTTPS_PROXY", &url)];
    for scheme in ["http", "https"] {
        let urls = [
            format!("--kapso.platform-url={scheme}://kapso.invalid/p"),
            format!("--kapso.legacy-url={scheme}://kapso.invalid/l"),
        ];
        let args = ["check", &urls[0], &urls[1]];
        for _ in 0..3 {
            let before = proxy.requests();
            let finished = run_to_end(&[&args[..], &EVERYTHING].concat(), &env).await;
            assert!(proxy.requests() > before, "{}", finished.stderr);
            run_keeps_quiet("proxy", &finished);
        }
    }
}

#[tokio::test]
async fn mistakes_on_the_command_line_do_not_show_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let two_lines = directory.path().join("key");
    std::fs::write(&two_lines, format!("{KEY}\n{KEY}\n")).unwrap();
    let mistakes = [
        format!("--kapso.api-key={KEY}"),
        format!("--kapso.api-key-file={KEY}"),
        format!("--kapso.api-key-file={}", two_lines.display()),
        "--kapso.platform-url=https://ada:KEYMARK@api.kapso.ai/platform/v1".into(),
        format!("--kapso.legacy-url=https://app.kapso.ai/api/v1?api_key={KEY}"),
        format!("--kapso.platform-url={KEY}"),
    ];
    for mistake in mistakes {
        let finished = run_to_end(&["check", "--offline", &mistake], &[("KAPSO_API_KEY", KEY)]).await;
        assert_eq!(finished.code, Some(2), "{mistake}: {}", finished.stdout);
        run_keeps_quiet(&mistake, &finished);
    }
    for variable in ["KAPSO_EXPORTER_KAPSO_API_KEY_FILE", "KAPSO_EXPORTER_KAPSO_PLATFORM_URL"] {
        let finished = run_to_end(&["check", "--offline"], &[("KAPSO_API_KEY", KEY), (variable, KEY)]).await;
        assert_eq!(finished.code, Some(2), "{variable}: {}", finished.stdout);
        run_keeps_quiet(variable, &finished);
    }
    for key in [format!("{KEY} {KEY}"), format!("{KEY}\u{7f}")] {
        let finished = run_to_end(&["check", "--offline"], &[("KAPSO_API_KEY", &key)]).await;
        assert_eq!(finished.code, Some(2));
        run_keeps_quiet("a key of two words", &finished);
    }
}

#[test]
fn what_holds_the_key_does_not_show_it_for_debugging() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let flag = format!("--kapso.api-key-file={}", file.display());
    let config = Config::resolve(Cli::parse_from(["kapso-exporter", &flag]).serve.watch.into()).unwrap();
    keeps_quiet("the configuration", &format!("{config:?} {config:#?}"));
    let project = &config.projects[0];
    let transport =
        Http::new(&Connections::new().unwrap(), &project.platform_url, project.key.clone()).unwrap();
    keeps_quiet("the transport", &format!("{transport:?} {transport:#?}"));
}

#[test]
fn every_form_of_a_leak_is_seen() {
    let in_base64 = base64(format!("x{KEY}yz").as_bytes(), 0);
    for text in [KEY, "from %2B15550000001", "bWFyemlwYW4gZm9yIHRlYQ==", &in_base64] {
        assert!(std::panic::catch_unwind(|| keeps_quiet("a test", text)).is_err(), "{text}");
    }
    keeps_quiet("a test", "kapso_up 1");
}
