//! What the machine has, and what is left out of the tests where it has it not.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// What anything may take longer on a machine that is busy. How long it takes on another is measured, not asserted.
pub const BUSY: Duration = Duration::from_secs(12);
/// A test must not pass without a `PostgreSQL` where this is set.
const REQUIRED: &str = "KAPSO_TEST_REQUIRE_POSTGRES";

/// Two tests at a time: each starts a dozen processes.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Waits until one other test runs at most.
pub async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.unwrap()
}

/// Waits until no other test runs: this one measures.
pub async fn turn_alone() -> SemaphorePermit<'static> {
    TURNS.acquire_many(2).await.unwrap()
}

/// Says what a test left out, for want of `PostgreSQL` or pgbouncer.
///
/// # Panics
/// If that is not allowed.
pub fn left_out(test: &str) {
    let message = format!("left out, without PostgreSQL and pgbouncer on this machine: {test}");
    assert!(std::env::var_os(REQUIRED).is_none(), "{message}");
    eprintln!("{message}");
}

/// Where the programs of the newest `PostgreSQL` are; `None` if there is none.
pub fn postgres_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let complete = versions.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
    complete.max_by_key(|bin| major(bin))
}

fn major(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}

/// pgbouncer; `None` if it is not there.
pub fn pgbouncer() -> Option<PathBuf> {
    let paths = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
    paths.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// Flags of setpriv that make a program run as `postgres`, which neither server wants to be root; none for others.
pub fn user_flags() -> &'static [&'static str] {
    if is_root() { &["--reuid=postgres", "--regid=postgres", "--clear-groups"] } else { &[] }
}

/// Lets that user have a file or a folder.
pub fn give_to_user(path: &Path) {
    if is_root() {
        let status = Command::new("chown").arg("postgres:").arg(path).status().unwrap();
        assert!(status.success(), "chown of {}", path.display());
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Sends a signal, such as `TERM`.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

/// A port that nobody listens on, and that the system gives to nobody by itself: whoever has it may come back to it.
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(15_000..32_000)).find(is_free).unwrap()
}

/// A number out of the environment, or this one.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect(variable))
}
