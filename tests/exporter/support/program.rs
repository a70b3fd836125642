//! The program as a child process.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{Exposition, wait_for};

/// A running exporter; killed when dropped.
pub struct Exporter {
    child: Child,
    log: Arc<Mutex<String>>,
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

/// Runs the program with nothing but this environment until it ends by itself, 20 s at most.
pub async fn run_to_end(args: &[&str], env: &[(&str, &str)]) -> Finished {
    Finished::of(command(args, env).spawn().unwrap()).await
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
        let output = timeout(Duration::from_secs(20), child.wait_with_output());
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
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                to.lock().unwrap().extend([line.as_str(), "\n"]);
            }
        });
        let mut exporter = Self { child, log, url: String::new() };
        wait_for("a log line that tells the address", async || {
            exporter.url = exporter.address().map(|address| format!("http://{address}")).unwrap_or_default();
            !exporter.url.is_empty()
        })
        .await;
        exporter
    }

    fn address(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("listening"))?;
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
    pub async fn end(mut self, at_most: Duration) -> Option<i32> {
        let status = timeout(at_most, self.child.wait()).await.expect("it ends in time").unwrap();
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "", "nothing is written to stdout");
        status.code()
    }
}
