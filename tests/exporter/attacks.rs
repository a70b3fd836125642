//! Clients that mean no good, and clients by the hundred: everybody else is served all the while, and memory and
//! connections stay bounded.

use std::{io, net::SocketAddr, process::Command, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::support::{Exporter, wait_for};

/// More connections than the exporter keeps.
const MANY: usize = 1000;
/// What it keeps, its own files on top.
const MOST_FILES: usize = 512 + 100;
/// What an attack may cost, in bytes.
const MEMORY: u64 = 100 << 20;
/// For everything that should be a matter of milliseconds.
const SOON: Duration = Duration::from_secs(20);

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// An exporter under attack.
struct Target {
    exporter: Exporter,
    /// Keeps no connection.
    client: reqwest::Client,
    resident: u64,
}

impl Target {
    async fn start() -> Self {
        // The test itself needs a file for each connection.
        limit_files(std::process::id(), "4096:");
        let exporter = Exporter::start(&["--demo"], &[]).await.ready().await;
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { resident: exporter.resident(), exporter, client }
    }

    fn address(&self) -> &str {
        self.exporter.url.strip_prefix("http://").unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// Attacks it on many connections. Whoever is thrown out comes again.
    async fn attacked(&self, by: fn(TcpStream) -> BoxFuture<'static, ()>) -> JoinSet<()> {
        let address = self.address().parse().unwrap();
        let mut attack = JoinSet::new();
        for _ in 0..MANY {
            attack.spawn(async move {
                loop {
                    if let Ok(stream) = connect(address).await {
                        by(stream).await;
                    }
                    sleep(Duration::from_secs(5)).await;
                }
            });
        }
        wait_for("the attack", async || self.exporter.open_files() >= 512).await;
        attack
    }

    /// The metrics and the probes, each asked for on a new connection.
    async fn serves(&self) {
        for path in ["/metrics", "/-/healthy", "/-/ready", "/"] {
            let answer = timeout(SOON, self.client.get(format!("{}{path}", self.exporter.url)).send()).await;
            let answer = answer.unwrap_or_else(|_| panic!("{path} is not answered"));
            assert_eq!(answer.unwrap().status(), 200, "{path}");
        }
    }

    /// Serves several times, and takes no more than it may.
    async fn stands(&self) {
        for _ in 0..5 {
            self.serves().await;
            sleep(Duration::from_millis(200)).await;
        }
        let (files, resident) = (self.exporter.open_files(), self.exporter.resident());
        assert!(files <= MOST_FILES, "{files} open files");
        let grown = resident.saturating_sub(self.resident);
        println!("{} MiB, {} MiB under attack, {files} open files", self.resident >> 20, resident >> 20);
        assert!(grown <= MEMORY, "from {} to {resident} bytes", self.resident);
    }

    /// What it answers to these bytes until it closes the connection.
    async fn answers(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // It may close the connection before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn idle(mut stream: TcpStream) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let _ = stream.read(&mut [0]).await;
    })
}

/// Sends the head, then a byte now and then.
fn trickle(mut stream: TcpStream, head: &'static [u8]) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut alive = stream.write_all(head).await;
        while alive.is_ok() {
            sleep(Duration::from_millis(500)).await;
            alive = stream.write_all(b"x").await;
        }
    })
}

/// Asks for more than fits into any buffer, then once more now and then.
fn never_read(mut stream: TcpStream) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut alive = stream.write_all(&GET.repeat(200)).await;
        while alive.is_ok() {
            sleep(Duration::from_secs(1)).await;
            alive = stream.write_all(GET).await;
        }
    })
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(16 << 10)?;
    socket.connect(address).await
}

fn limit_files(pid: u32, limit: &str) {
    let args = [format!("--pid={pid}"), format!("--nofile={limit}")];
    assert!(Command::new("prlimit").args(args).status().unwrap().success());
}

#[tokio::test]
async fn a_thousand_idle_connections_lock_nobody_out() {
    let target = Target::start().await;
    let _attack = target.attacked(idle).await;
    target.stands().await;
}

#[tokio::test]
async fn heads_that_trickle_lock_nobody_out() {
    let target = Target::start().await;
    let _attack = target.attacked(|stream| trickle(stream, b"GET /metrics HTTP/1.1\r\nX-Slow: ")).await;
    target.stands().await;
}

#[tokio::test]
async fn clients_that_never_read_lock_nobody_out() {
    let target = Target::start().await;
    let _attack = target.attacked(never_read).await;
    target.stands().await;
}

#[tokio::test]
async fn bodies_are_not_waited_for() {
    let target = Target::start().await;
    let mut attack = JoinSet::new();
    for head in [
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".as_slice(),
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551614\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ] {
        for _ in 0..50 {
            attack.spawn(trickle(target.connect().await, head));
        }
    }
    let ended = timeout(SOON, attack.join_all()).await;
    assert!(ended.is_ok(), "a body is waited for");
    target.stands().await;
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let target = Target::start().await;
    let before = target.exporter.open_files();
    for number in 0..MANY {
        let mut stream = target.connect().await;
        match number % 4 {
            0 => stream.set_zero_linger().unwrap(),
            1 => stream.shutdown().await.unwrap(),
            2 => stream.write_all(b"GET /met").await.unwrap(),
            _ => stream.write_all(GET).await.unwrap(),
        }
    }
    target.stands().await;
    let after = target.exporter.open_files();
    assert!(after <= before + 20, "{before} open files before, {after} after");
}

#[tokio::test]
async fn two_hundred_scrapes_at_once_are_all_answered() {
    let target = Target::start().await;
    let url = format!("{}/metrics", target.exporter.url);
    let mut scrapes = JoinSet::new();
    for _ in 0..200 {
        scrapes.spawn(target.client.get(&url).send());
    }
    for answer in timeout(SOON, scrapes.join_all()).await.unwrap() {
        let text = answer.unwrap().text().await.unwrap();
        assert!(text.contains("kapso_up") && text.ends_with('\n'));
    }
    target.stands().await;
}

#[tokio::test]
async fn a_lack_of_files_locks_nobody_out_and_is_said_once() {
    let target = Target::start().await;
    limit_files(target.exporter.pid(), "64:");
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(target.connect().await);
    }
    target.serves().await;
    target.serves().await;
    let log = target.exporter.log();
    assert_eq!(log.matches("cannot accept a connection").count(), 1, "{log}");
}

#[tokio::test]
async fn garbage_is_refused() {
    let target = Target::start().await;
    let header = |n: usize| format!("X-{n}: y\r\n");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", (0..100).map(header).collect::<String>());
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    let wide = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for (bytes, statuses) in [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice(), ["", "400"]),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client", ["", "400"]),
        (&[0; 10_000], ["", "400"]),
        (&[0xff; 10_000], ["", "400"]),
        (b"GET / HTTP/1.1\nHost: x\nConnection: close\n\n", ["200", "400"]),
        (b"GET / HTTP/9.9\r\n\r\n", ["", "400"]),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", ["", "400"]),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ["", "400"]),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", ["400", "405"]),
        (many.as_bytes(), ["", "431"]),
        (long.as_bytes(), ["414", "431"]),
        (wide.as_bytes(), ["", "431"]),
    ] {
        let answer = target.answers(bytes).await;
        let status = answer.strip_prefix("HTTP/1.1 ").map_or("", |rest| &rest[..3]);
        let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        // A connection that is closed with bytes unread may lose the answer on its way.
        assert!(status.is_empty() || statuses.contains(&status), "{sent:?}: {answer}");
    }
    target.stands().await;
}

#[tokio::test]
async fn what_follows_a_good_request_does_not_spoil_its_answer() {
    let target = Target::start().await;
    let answer = target.answers(&[b"GET /-/healthy HTTP/1.1\r\n\r\n".as_slice(), &[b'?'; 64]].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\r\n\r\nhealthy\n"), "{answer}");
    let pipelined = b"GET /-/healthy HTTP/1.1\r\n\r\n".repeat(100);
    let answers = target.answers(&[&pipelined, b"GET / HTTP/1.0\r\n\r\n".as_slice()].concat()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100, "{answers}");
}
