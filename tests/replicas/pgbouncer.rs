//! pgbouncer in transaction mode before a `PostgreSQL`: a session's state is gone with its transaction.

use std::{
    fs,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use crate::{
    machine::{self, free_port},
    postgres::{DATABASE, PASSWORD, ROLE, as_user},
    support::wait_for,
};

/// One that runs until it is dropped.
pub struct Pgbouncer {
    port: u16,
    process: Child,
    folder: TempDir,
}

impl Pgbouncer {
    /// Starts it before the `PostgreSQL` on this port; `None` if the machine has none.
    pub async fn start(postgres: u16) -> Option<Self> {
        let program = machine::pgbouncer()?;
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        // It tries a server again after fifteen seconds otherwise, which would be all that a test measures.
        let settings = format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={postgres}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nlogfile = {}\n\
             pool_mode = transaction\ndefault_pool_size = 6\nmax_client_conn = 200\nserver_login_retry = 1\n",
            path("users"),
            path("log"),
        );
        fs::write(path("pgbouncer.ini"), settings).unwrap();
        fs::write(path("users"), format!("\"{ROLE}\" \"{PASSWORD}\"\n")).unwrap();
        for file in [folder.path(), &folder.path().join("pgbouncer.ini"), &folder.path().join("users")] {
            machine::give_to_user(file);
        }
        let mut command = as_user(&program, folder.path());
        command.arg("-q").arg(path("pgbouncer.ini"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let pgbouncer = Self { port, process: command.spawn().unwrap(), folder };
        let address = ("127.0.0.1", port);
        wait_for("pgbouncer", async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
        Some(pgbouncer)
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        // Whoever started the tests may have had other signals ignored.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
