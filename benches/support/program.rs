//! The program as a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kapso-exporter");
/// The key that the simulated Kapso accepts.
pub const KEY: &str = "kapso-simulated-key";
/// Linux counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// A process of this program, killed when dropped.
pub struct Program {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Program {
    /// Starts it with these arguments, and waits until it listens.
    #[allow(dead_code, reason = "not every benchmark needs it")]
    pub fn start(args: &[&str]) -> Self {
        Self::start_command(Command::new(PROGRAM).args(args))
    }

    /// The same, with the key of the simulated Kapso.
    #[allow(dead_code, reason = "not every benchmark needs it")]
    pub fn with_key(args: &[&str]) -> Self {
        Self::start_command(Command::new(PROGRAM).args(args).env("KAPSO_API_KEY", KEY))
    }

    fn start_command(command: &mut Command) -> Self {
        command.args(["--web.listen-address", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, address) = mpsc::channel();
        // The log is read to its end, so that nobody waits for room in the pipe.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let address = line.split_once("address=").and_then(|(_, rest)| rest.split(' ').next());
                address.filter(|_| line.contains("listening")).map(|address| sender.send(address.to_owned()));
            }
        });
        let url = format!("http://{}", address.recv().unwrap());
        Self { child, url }
    }

    /// A field of `/proc/PID/status`, in MB.
    pub fn memory(&self, field: &str) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// Its number.
    #[allow(dead_code, reason = "not every benchmark needs it")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
