//! A `PostgreSQL` of the test's own: Debian's programs on a free port of loopback, as the user `postgres` where the test
//! runs as root. The program's role has a password and no rights but its own database; who comes over the Unix socket
//! is trusted, which the test itself makes use of.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    machine::{self, free_port, user_flags},
    support::{Certificate, wait_for},
};

/// The role of the program, its password, and its database.
pub const ROLE: &str = "exporter";
pub const PASSWORD: &str = "pa55-w0rd-of-the-role";
pub const DATABASE: &str = "kapso";

/// A server, until it is dropped.
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Connections are closed, and what was done is on the disk.
    Fast,
    /// As if it crashed: it recovers from its log when it starts again.
    Immediate,
}

impl Stop {
    fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}

/// A copy of a server's data.
pub struct Backup(PathBuf);

impl Postgres {
    /// Starts one with the role and its empty database; `None` if the machine has no `PostgreSQL`.
    pub async fn start() -> Option<Self> {
        Self::start_with("").await
    }

    /// The same, over TLS alone, with this certificate.
    pub async fn start_with_tls(certificate: &Certificate) -> Option<Self> {
        let mut postgres = Self::create()?;
        for (name, text) in [("server.crt", &certificate.pem), ("server.key", &certificate.key)] {
            postgres.write_private(name, text);
        }
        let names = ["server.crt", "server.key"].map(|name| postgres.path(name).display().to_string());
        postgres
            .configure(&format!("ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n", names[0], names[1]));
        postgres.let_in("hostssl");
        postgres.run().await;
        postgres.create_role();
        Some(postgres)
    }

    async fn start_with(settings: &str) -> Option<Self> {
        let mut postgres = Self::create()?;
        postgres.configure(settings);
        postgres.let_in("host");
        postgres.run().await;
        postgres.create_role();
        Some(postgres)
    }

    /// A folder with the files of a new server.
    fn create() -> Option<Self> {
        let (bin, folder) = (machine::postgres_bin()?, tempfile::tempdir().unwrap());
        machine::give_to_user(folder.path());
        let postgres = Self { bin, folder, port: free_port(), process: None };
        let data = postgres.data();
        let flags = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
        run_to_end(postgres.program("initdb").args(flags).arg(data));
        Some(postgres)
    }

    fn configure(&self, more: &str) {
        let folder = self.folder.path().display();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{folder}'\n\
             fsync = off\nshared_buffers = 32MB\nmax_connections = 60\nlog_destination = stderr\n{more}",
            self.port
        );
        let path = self.data().join("postgresql.conf");
        let usual = fs::read_to_string(&path).unwrap();
        fs::write(path, usual + &settings).unwrap();
    }

    /// The role needs its password, over this kind of connection.
    fn let_in(&self, kind: &str) {
        let rules = format!(
            "local all all trust\nlocal replication all trust\n{kind} all all 127.0.0.1/32 scram-sha-256\n"
        );
        fs::write(self.data().join("pg_hba.conf"), rules).unwrap();
    }

    fn create_role(&self) {
        self.psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        self.psql("postgres", &format!("CREATE DATABASE {DATABASE} OWNER {ROLE}"));
    }

    /// The number of its first process.
    #[allow(dead_code, reason = "a benchmark needs it")]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the role's database, without anything between.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Runs a statement as the superuser; what it answers with, without any decoration.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let output = self.try_psql(database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn try_psql(&self, database: &str, sql: &str) -> Output {
        let mut command = self.program("psql");
        command.env("PGOPTIONS", "-c default_transaction_read_only=off");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.args(["-h", &self.folder.path().display().to_string(), "-p", &self.port.to_string()]);
        command.args(["-c", sql]).output().unwrap()
    }

    /// Stops it, and waits until it has stopped.
    pub fn stop(&mut self, how: Stop) {
        let Some(mut process) = self.process.take() else { return };
        machine::signal(process.id(), how.signal());
        process.wait().unwrap();
    }

    /// Starts it again where it was stopped, and waits until it answers.
    pub async fn run(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        wait_for("PostgreSQL", async || self.try_psql("postgres", "SELECT 1").status.success()).await;
    }

    /// Lets nobody write, or lets everybody write again; those who are connected included.
    pub fn set_read_only(&self, read_only: bool) {
        let value = if read_only { "on" } else { "off" };
        self.psql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        self.psql("postgres", "SELECT pg_reload_conf()");
    }

    /// Copies its data as it is now. The server goes on.
    pub fn back_up(&self) -> Backup {
        let to = self.path(&format!("backup-{}", fastrand::u32(..)));
        let mut command = self.program("pg_basebackup");
        command.args(["-U", "postgres", "-X", "fetch", "--checkpoint=fast", "--no-sync", "-D"]).arg(&to);
        command.args(["-h", &self.folder.path().display().to_string(), "-p", &self.port.to_string()]);
        run_to_end(&mut command);
        Backup(to)
    }

    /// Stops it as if it crashed, and goes on with the data of a backup.
    pub async fn restore(&mut self, backup: &Backup) {
        self.stop(Stop::Immediate);
        fs::remove_dir_all(self.data()).unwrap();
        run_to_end(Command::new("cp").arg("-a").arg(&backup.0).arg(self.data()));
        self.run().await;
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn write_private(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        machine::give_to_user(&path);
    }

    /// One of its programs, as the user that runs the server.
    fn program(&self, name: &str) -> Command {
        as_user(&self.bin.join(name), self.folder.path())
    }
}

fn run_to_end(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program that runs as the user, there, and ends with the test.
pub fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]).args(user_flags()).arg(program).current_dir(folder);
    command
}

/// The URL of the role's database on this port.
pub fn url(port: u16) -> String {
    format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}?sslmode=disable")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop(Stop::Immediate);
    }
}
