//! The program as a child process.

use std::{
    io::{BufRead, PipeReader, Write},
    net::TcpListener,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use super::{Exposition, wait_for};

/// A running exporter; killed when dropped.
pub struct Exporter {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Reads the log to its end.
    reader: Option<JoinHandle<()>>,
    /// The end of its stderr that nobody reads, where that is so.
    unread: Option<PipeReader>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

/// A program that came to its end.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

fn command(args: &[&str], env: &[(&str, &str)]) -> Command {
    // Where a test limits the size of files, as a full disk would, that is to be an error and not a deadly signal.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kapso-exporter")]);
    command.args(args).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A pipe that takes nothing more. Its writer waits for a reader.
async fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    let stdio = writer.try_clone().unwrap().into();
    let mut filler = writer;
    // Writes for as long as the pipe takes something, and then for ever.
    std::thread::spawn(move || while filler.write_all(&[b'\n'; 1024]).is_ok() {});
    tokio::time::sleep(Duration::from_millis(200)).await;
    (reader, stdio)
}

/// Runs the program with nothing but this environment until it ends by itself, 20 s at most.
pub async fn run_to_end(args: &[&str], env: &[(&str, &str)]) -> Finished {
    Finished::of(command(args, env).spawn().unwrap()).await
}

/// Runs the program until it ends by itself, 5 s at most, with a stderr that is a full pipe, which nobody reads.
/// Returns its exit code.
pub async fn run_unread(args: &[&str], env: &[(&str, &str)]) -> Option<i32> {
    let (_unread, stderr) = full_pipe().await;
    let mut child = command(args, env).stderr(stderr).spawn().unwrap();
    let ended = timeout(Duration::from_secs(5), child.wait()).await;
    ended.expect("the program ends by itself").unwrap().code()
}

/// Runs the program until `condition` holds, sends it SIGINT, and waits for its end.
pub async fn interrupt(
    args: &[&str],
    env: &[(&str, &str)],
    condition: impl AsyncFnMut() -> bool,
) -> Finished {
    let child = command(args, env).spawn().unwrap();
    wait_for("the moment to interrupt", condition).await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
    Finished::of(child).await
}

impl Finished {
    async fn of(child: Child) -> Self {
        let output = timeout(Duration::from_mins(1), child.wait_with_output());
        let output = output.await.expect("the program ends by itself").unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Exporter {
    /// Starts the exporter on a free port and waits until it listens.
    pub async fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(args, env).await
    }

    /// Starts another of the program's servers in the same way.
    pub async fn start_command(args: &[&str]) -> Self {
        Self::spawn(args, &[]).await
    }

    async fn spawn(args: &[&str], env: &[(&str, &str)]) -> Self {
        let args = [args, &["--web.listen-address", "127.0.0.1:0"]].concat();
        let mut child = command(&args, env).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let to = log.clone();
        let reader = Some(tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                to.lock().unwrap().extend([line.as_str(), "\n"]);
            }
        }));
        let mut exporter = Self { child, log, reader, unread: None, url: String::new() };
        wait_for("a log line that tells the address", async || {
            exporter.url = exporter.address().map(|address| format!("http://{address}")).unwrap_or_default();
            !exporter.url.is_empty()
        })
        .await;
        exporter
    }

    /// Starts the exporter with a stderr that is a full pipe, which nobody reads, and waits until it answers.
    pub async fn start_unread(args: &[&str], env: &[(&str, &str)]) -> Self {
        let address = free_address();
        let args = [args, &["--web.listen-address", &address]].concat();
        let (unread, stderr) = full_pipe().await;
        let child = command(&args, env).stderr(stderr).spawn().unwrap();
        let url = format!("http://{address}");
        let exporter = Self { child, log: Arc::default(), reader: None, unread: Some(unread), url };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
        let healthy = format!("{}/-/healthy", exporter.url);
        wait_for("an answer", async || client.get(&healthy).send().await.is_ok()).await;
        exporter
    }

    /// Begins to read its stderr.
    pub fn read_at_last(&mut self) {
        let lines = std::io::BufReader::new(self.unread.take().unwrap()).lines();
        let to = self.log.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| to.lock().unwrap().extend([line.as_str(), "\n"]));
        });
    }

    /// The first in TCP.
    fn address(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("listening") && !line.contains("unix:"))?;
        let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
        Some(rest.split([' ', '"']).next()?.to_owned())
    }

    /// The memory that it occupies, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many files it has open, connections included.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Status and body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Status and body of a POST without one.
    pub async fn post(&self, path: &str) -> (u16, String) {
        let answer = reqwest::Client::new().post(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Status of a webhook delivery to this path, with these headers and this signature.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        signature: Option<&str>,
        body: &str,
    ) -> u16 {
        let mut request = reqwest::Client::new().post(format!("{}{path}", self.url)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(signature) = signature {
            request = request.header("X-Webhook-Signature", signature);
        }
        request.send().await.unwrap().status().as_u16()
    }

    /// What it publishes now.
    pub async fn scrape(&self) -> Exposition {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        Exposition::parse(&text)
    }

    /// Waits until it is ready.
    pub async fn ready(self) -> Self {
        wait_for("readiness", async || self.get("/-/ready").await.0 == 200).await;
        self
    }

    /// Sends a signal, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    /// Lets it write no file beyond this size.
    pub async fn limit_files(&self, bytes: u64) {
        let pid = self.child.id().unwrap().to_string();
        let limit = if bytes == u64::MAX { "unlimited".into() } else { bytes.to_string() };
        let soft = format!("--fsize={limit}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &soft]).status().await.unwrap().success());
    }

    /// Waits until it ends by itself, `at_most`; returns its exit code.
    pub async fn end(self, at_most: Duration) -> Option<i32> {
        self.end_with_log(at_most).await.0
    }

    /// The same, with all that it logged.
    pub async fn end_with_log(mut self, at_most: Duration) -> (Option<i32>, String) {
        let status = timeout(at_most, self.child.wait()).await.expect("it ends in time").unwrap();
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "", "nothing is written to stdout");
        if let Some(reader) = self.reader.take() {
            reader.await.unwrap();
        }
        (status.code(), self.log())
    }
}
