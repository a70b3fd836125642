//! What webhook deliveries cost: `cargo bench --bench webhooks` starts the simulated Kapso and the exporter, with a state
//! file, as processes of their own, and prints the rows of `docs/webhooks.md`.
//!
//! 10,000 executions are open. Half a minute each: nothing but scrapes; 1,000 deliveries a second, each of a handoff that
//! nobody told before; and forged deliveries as fast as 64 connections send them, beside
//! as many probes for comparison. The load comes from the same machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

#[path = "support/program.rs"]
mod program;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use program::{KEY, Program};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

const SECRET: &str = "s3cret";
const EXECUTIONS: usize = 10_000;
const PER_SECOND: usize = 1_000;
const PHASE: Duration = Duration::from_secs(30);
const FORGERS: usize = 64;

#[tokio::main]
async fn main() {
    let open = EXECUTIONS.to_string();
    let kapso = Program::start(&[
        "simulate",
        "--workflows",
        "10",
        "--conversations",
        "1000",
        "--history",
        "0",
        "--open-history",
        &open,
        "--starts-per-minute",
        "0",
        "--rate-limit",
        "0",
    ]);
    let ids = executions(&kapso.url).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("key"), KEY).unwrap();
    fs::write(path("secret"), SECRET).unwrap();
    let config = format!(
        "projects:\n- {{name: acme, api_key: {{file: key}}, platform_url: '{}/platform/v1', sources: [workflows], \
         interval: 1h, requests_per_minute: 1000, webhook: {{secret: {{file: secret}}}}}}\n",
        kapso.url
    );
    fs::write(path("config.yaml"), config).unwrap();
    let state = path("state.redb");
    let exporter = Arc::new(Program::start(&["--config.file", &path("config.yaml"), "--state.path", &state]));
    let known = async || sum(&scrape(&exporter).await.1, "kapso_executions{");
    while known().await < EXECUTIONS as f64 {
        sleep(Duration::from_secs(1)).await;
    }
    println!(
        "| load | deliveries/s | scrape p50 / p99 | delivery to `/metrics` p50 / p99 | answer p99 | memory | processor |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!("{}", row(&exporter, "scrapes alone", Load::None, &ids).await);
    println!("{}", row(&exporter, "deliveries", Load::Deliveries, &ids).await);
    println!("{}", row(&exporter, "deliveries again", Load::Deliveries, &ids).await);
    println!("{}", row(&exporter, "forged deliveries", Load::Forged, &ids).await);
    println!("{}", row(&exporter, "health probes", Load::Probes, &ids).await);
}

#[derive(Clone, Copy, PartialEq)]
enum Load {
    None,
    Deliveries,
    Forged,
    /// Requests for a small page, as many connections.
    Probes,
}

/// What a phase measured.
#[derive(Default)]
struct Measured {
    scrapes: Vec<Duration>,
    /// From a delivery to the first scrape that shows it.
    shown: Vec<Duration>,
}

async fn row(exporter: &Arc<Program>, name: &str, load: Load, ids: &Arc<Vec<String>>) -> String {
    let (sent, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let before = sum(&scrape(exporter).await.1, "kapso_execution_handoffs_total{");
    let (cpu, begun) = (exporter.cpu(), Instant::now());
    let answered = match load {
        Load::None => tokio::spawn(async { (0, Vec::new()) }),
        Load::Deliveries => tokio::spawn(deliver(exporter.clone(), ids.clone(), sent.clone())),
        Load::Forged | Load::Probes => tokio::spawn(flood(load, exporter.clone(), ends.clone())),
    };
    let mut measured = Measured::default();
    while begun.elapsed() < PHASE || (load == Load::Deliveries && measured.shown.len() < PER_SECOND * 30) {
        assert!(begun.elapsed() < PHASE * 3, "{} of {} are shown", measured.shown.len(), PER_SECOND * 30);
        let (took, text) = scrape(exporter).await;
        measured.scrapes.push(took);
        let shown = sum(&text, "kapso_execution_handoffs_total{") - before;
        let times = sent.lock().unwrap().clone();
        while (measured.shown.len() as f64) < shown {
            measured.shown.push(times.get(measured.shown.len()).map_or(Duration::ZERO, Instant::elapsed));
        }
        sleep(Duration::from_millis(5)).await;
    }
    ends.store(true, Ordering::Relaxed);
    let load_time = begun.elapsed().as_secs_f64();
    let (count, mut answers) = answered.await.unwrap();
    format!(
        "| {name} | {:.0} | {} | {} | {} | {:.0} MB | {:.0} % |",
        count as f64 / load_time,
        both(&mut measured.scrapes),
        both(&mut measured.shown),
        quantile(&mut answers, 0.99),
        exporter.memory("VmRSS:"),
        100.0 * (exporter.cpu() - cpu) / load_time,
    )
}

/// Delivers at a steady pace; how many, and how long each took to be answered.
async fn deliver(
    exporter: Arc<Program>,
    ids: Arc<Vec<String>>,
    sent: Arc<Mutex<Vec<Instant>>>,
) -> (usize, Vec<Duration>) {
    let client = reqwest::Client::new();
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut under_way, mut times) = (JoinSet::new(), Vec::new());
    let all = PER_SECOND * usize::try_from(PHASE.as_secs()).unwrap();
    for number in 0..all {
        if number % (PER_SECOND / 100) == 0 {
            ticks.tick().await;
        }
        let body = body(&ids[number % ids.len()]);
        let request = request(&client, &exporter.url, &sign(&body), body);
        sent.lock().unwrap().push(Instant::now());
        under_way.spawn(async move {
            let begun = Instant::now();
            assert_eq!(request.send().await.unwrap().status(), 200);
            begun.elapsed()
        });
        while let Some(time) = under_way.try_join_next() {
            times.push(time.unwrap());
        }
    }
    times.extend(under_way.join_all().await);
    (times.len(), times)
}

/// Sends what is signed with another secret, or asks for a page, as fast as it is answered.
async fn flood(load: Load, exporter: Arc<Program>, ends: Arc<AtomicBool>) -> (usize, Vec<Duration>) {
    let (client, count) = (reqwest::Client::new(), Arc::new(AtomicUsize::new(0)));
    let mut forgers = JoinSet::new();
    for _ in 0..FORGERS {
        let (exporter, ends, client, count) = (exporter.clone(), ends.clone(), client.clone(), count.clone());
        forgers.spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let (request, status) = match load {
                    Load::Probes => (client.get(format!("{}/-/healthy", exporter.url)), 200),
                    _ => (request(&client, &exporter.url, &"0".repeat(64), "x".repeat(1_000)), 401),
                };
                assert_eq!(request.send().await.unwrap().status(), status);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    forgers.join_all().await;
    (count.load(Ordering::Relaxed), Vec::new())
}

fn request(client: &reqwest::Client, url: &str, signature: &str, body: String) -> reqwest::RequestBuilder {
    let request = client.post(format!("{url}/webhooks/kapso/acme")).body(body);
    request.header("X-Webhook-Event", "workflow.execution.handoff").header("X-Webhook-Signature", signature)
}

fn body(id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = jiff::Timestamp::from_microsecond(i64::try_from(now.as_micros()).unwrap()).unwrap();
    let handoff = json!({"reason": "the customer asks for a human", "source": "agent_tool"});
    json!({
        "event": "workflow.execution.handoff", "occurred_at": at.to_string(), "project_id": "p", "status": "handoff",
        "workflow_execution_id": id, "tracking_id": null, "channel": "whatsapp", "handoff": handoff,
    })
    .to_string()
}

fn sign(body: &str) -> String {
    hex::encode(
        Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(body).finalize().into_bytes(),
    )
}

/// The ids of all open executions.
async fn executions(url: &str) -> Arc<Vec<String>> {
    let client = reqwest::Client::new();
    let get = async |path: String| -> Value {
        let request = client.get(format!("{url}/platform/v1{path}")).header("X-API-Key", KEY);
        request.send().await.unwrap().json().await.unwrap()
    };
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    let mut ids = Vec::new();
    for workflow in get("/workflows".into()).await["data"].as_array().unwrap() {
        for status in ["running", "waiting"] {
            let (path, mut after) =
                (format!("/workflows/{}/executions?status={status}", id(workflow)), String::new());
            loop {
                let page = get(format!("{path}&limit=100{after}")).await;
                ids.extend(page["data"].as_array().unwrap().iter().map(id));
                let Some(next) = page["paging"]["next"].as_str() else { break };
                let escaped: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
                after = format!("&after={escaped}");
            }
        }
    }
    Arc::new(ids)
}

async fn scrape(exporter: &Program) -> (Duration, String) {
    let begun = Instant::now();
    let text = reqwest::get(format!("{}/metrics", exporter.url)).await.unwrap().text().await.unwrap();
    (begun.elapsed(), text)
}

fn sum(text: &str, prefix: &str) -> f64 {
    let values = text.lines().filter(|line| line.starts_with(prefix));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

fn both(times: &mut [Duration]) -> String {
    format!("{} / {}", quantile(times, 0.5), quantile(times, 0.99))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quantile(times: &mut [Duration], of: f64) -> String {
    times.sort_unstable();
    let time = times.get((of * times.len() as f64) as usize);
    time.map_or("–".into(), |time| format!("{:.1} ms", 1000.0 * time.as_secs_f64()))
}
