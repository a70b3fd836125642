//! What strangers and rotations cost: `cargo bench --bench web` starts the simulated Kapso and the exporter, with TLS and
//! passwords, as processes of their own, and prints the table of `docs/tls.md`.
//!
//! 10,000 executions are open. A minute of scrapes alone; then one of 1,000 requests a second beside them, each with another
//! wrong password; then scrapes while the certificate is replaced 100 times, half of them over new connections. The load
//! comes from the same machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

#[path = "support/program.rs"]
mod program;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use program::{KEY, Program};
use rcgen::{CertificateParams, DnType, KeyPair};
use reqwest::{Certificate, Client, StatusCode};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

const EXECUTIONS: usize = 10_000;
const WRONG_PER_SECOND: usize = 1_000;
const PHASE: Duration = Duration::from_mins(1);
const ROTATIONS: usize = 100;
const PASSWORD: &str = "secret";

/// The exporter, and the certificates that it is given one after the other.
struct Bench {
    exporter: Program,
    url: String,
    folder: tempfile::TempDir,
    certificates: Vec<(String, String)>,
}

#[tokio::main]
async fn main() {
    let kapso = Program::start(&[
        "simulate",
        "--workflows=10",
        "--conversations=1000",
        "--history=0",
        &format!("--open-history={EXECUTIONS}"),
        "--starts-per-minute=0",
        "--rate-limit=0",
    ]);
    let bench = Arc::new(Bench::start(&kapso.url));
    let client = bench.client();
    while bench.scrape(&client).await.map_or(true, |(_, open)| open < EXECUTIONS as f64) {
        sleep(Duration::from_secs(1)).await;
    }
    println!(
        "| load | requests/s | of these 429 | scrapes | failed | scrape p50 / p99 | memory | processor |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    row(&bench, "scrapes alone", async || sleep(PHASE).await).await;
    row(&bench, "wrong passwords", async || guess(&bench).await).await;
    row(&bench, "100 new certificates", async || rotate(&bench).await).await;
}

impl Bench {
    fn start(kapso: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates: Vec<_> = (0..=ROTATIONS).map(certificate).collect();
        put(folder.path(), &certificates[0]);
        fs::write(folder.path().join("key"), KEY).unwrap();
        let hash = bcrypt::hash(PASSWORD, 10).unwrap();
        let text = format!(
            "tls_server_config: {{cert_file: crt, key_file: pem}}\nbasic_auth_users: {{prometheus: '{hash}'}}\n"
        );
        fs::write(folder.path().join("web.yml"), text).unwrap();
        let exporter = Program::start(&[
            &format!("--kapso.platform-url={kapso}/platform/v1"),
            &format!("--kapso.api-key-file={}", folder.path().join("key").display()),
            "--scrape.source=workflows",
            "--scrape.interval=1h",
            "--scrape.requests-per-minute=1000",
            &format!("--web.config.file={}", folder.path().join("web.yml").display()),
        ]);
        let url = exporter.url.replace("http:", "https:") + "/metrics";
        Self { exporter, url, folder, certificates }
    }

    /// A client that trusts all of them.
    fn client(&self) -> Client {
        let roots = self.certificates.iter().map(|(pem, _)| Certificate::from_pem(pem.as_bytes()).unwrap());
        Client::builder().tls_certs_only(roots).build().unwrap()
    }

    /// How long it took, and how many executions are open.
    async fn scrape(&self, client: &Client) -> reqwest::Result<(Duration, f64)> {
        let begun = Instant::now();
        let answer = client.get(&self.url).basic_auth("prometheus", Some(PASSWORD)).send().await?;
        let text = answer.error_for_status()?.text().await?;
        let took = begun.elapsed();
        let values = text.lines().filter(|line| line.starts_with("kapso_executions{"));
        Ok((took, values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()))
    }
}

/// Each has a name of its own: among too many of the same name a client does not look for the right one.
fn certificate(number: usize) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("certificate {number}"));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn put(folder: &Path, (certificate, key): &(String, String)) {
    for (name, text) in [("crt", certificate), ("pem", key)] {
        fs::write(folder.join("new"), text).unwrap();
        fs::rename(folder.join("new"), folder.join(name)).unwrap();
    }
}

/// Requests that were sent, and those of them that were turned away at once.
static SENT: AtomicUsize = AtomicUsize::new(0);
static TURNED_AWAY: AtomicUsize = AtomicUsize::new(0);

/// Scrapes ten times a second while `load` lasts, every other time over a new connection.
async fn row(bench: &Arc<Bench>, name: &str, load: impl AsyncFnOnce()) {
    SENT.store(0, Ordering::Relaxed);
    TURNED_AWAY.store(0, Ordering::Relaxed);
    let ends = Arc::new(AtomicBool::new(false));
    let (cpu, begun) = (bench.exporter.cpu(), Instant::now());
    let scrapes = tokio::spawn(scrapes(bench.clone(), ends.clone()));
    load().await;
    let seconds = begun.elapsed().as_secs_f64();
    ends.store(true, Ordering::Relaxed);
    let (mut times, failed) = scrapes.await.unwrap();
    times.sort_unstable();
    println!(
        "| {name} | {:.0} | {} | {} | {failed} | {} / {} | {:.0} MB | {:.0} % |",
        SENT.load(Ordering::Relaxed) as f64 / seconds,
        TURNED_AWAY.load(Ordering::Relaxed),
        times.len(),
        quantile(&times, 50),
        quantile(&times, 99),
        bench.exporter.memory("VmRSS:"),
        100.0 * (bench.exporter.cpu() - cpu) / seconds,
    );
}

async fn scrapes(bench: Arc<Bench>, ends: Arc<AtomicBool>) -> (Vec<Duration>, usize) {
    let (kept, mut times, mut failed) = (bench.client(), Vec::new(), 0);
    for number in 0.. {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let new = if number % 2 == 0 { bench.client() } else { kept.clone() };
        match bench.scrape(&new).await {
            Ok((took, _)) => times.push(took),
            Err(error) => {
                eprintln!("a scrape failed: {error:?}");
                failed += 1;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    (times, failed)
}

async fn guess(bench: &Arc<Bench>) {
    let (client, begun) = (bench.client(), Instant::now());
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    while begun.elapsed() < PHASE {
        ticks.tick().await;
        for _ in 0..WRONG_PER_SECOND / 100 {
            let number = SENT.fetch_add(1, Ordering::Relaxed);
            let guess = client.get(&bench.url).basic_auth("prometheus", Some(format!("guess {number}")));
            under_way.spawn(async move {
                match guess.send().await.unwrap().status() {
                    StatusCode::UNAUTHORIZED => {}
                    StatusCode::TOO_MANY_REQUESTS => drop(TURNED_AWAY.fetch_add(1, Ordering::Relaxed)),
                    status => panic!("{status}"),
                }
            });
        }
        while under_way.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    under_way.join_all().await;
}

/// Replaces the certificate as often, and sees each of them served.
async fn rotate(bench: &Arc<Bench>) {
    for certificate in &bench.certificates[1..] {
        put(bench.folder.path(), certificate);
        let root = Certificate::from_pem(certificate.0.as_bytes()).unwrap();
        let trusting = || Client::builder().tls_certs_only([root.clone()]).build().unwrap();
        while bench.scrape(&trusting()).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn quantile(times: &[Duration], percent: usize) -> String {
    let time = times.get(times.len() * percent / 100);
    time.map_or("–".into(), |time| format!("{:.1} ms", 1000.0 * time.as_secs_f64()))
}
