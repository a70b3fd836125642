//! Replicas of the exporter, each behind a link of its own to the database, and somebody who scrapes all of them.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::{
    machine,
    pgbouncer::Pgbouncer,
    postgres::{Postgres, url},
    projects::Projects,
    proxy::Proxy,
    record::{Answer, Record},
    support::{Exporter, Exposition, wait_for},
};

/// From a replica's answer to the next scrape of it.
const PAUSE: Duration = Duration::from_millis(100);
/// A replica that stops gives its projects away and ends within this time.
pub const GRACE: Duration = Duration::from_secs(5);

/// A delivery that was not taken at once is sent for the last time after two and a half minutes.
const LATEST: Duration = Duration::from_mins(3);

/// `PostgreSQL` behind pgbouncer.
pub struct Database {
    pub postgres: Postgres,
    pub pgbouncer: Pgbouncer,
}

impl Database {
    /// Starts both; `None` if the machine lacks one of them.
    pub async fn start() -> Option<Self> {
        let postgres = Postgres::start().await?;
        let pgbouncer = Pgbouncer::start(postgres.port()).await?;
        Some(Self { postgres, pgbouncer })
    }
}

/// A place for a replica: its process comes and goes.
struct Slot {
    link: Proxy,
    /// Always the same, so that a Prometheus finds the next process.
    address: String,
    running: Option<Replica>,
}

struct Replica {
    /// Which process it is, of all that there were.
    number: usize,
    exporter: Exporter,
    scraped: JoinHandle<()>,
}

/// All replicas.
pub struct Fleet {
    slots: Vec<Slot>,
    flags: Vec<String>,
    record: Arc<Mutex<Record>>,
    client: reqwest::Client,
    /// How many processes there were.
    processes: usize,
    /// Logs of those that are gone.
    logs: Vec<(usize, usize, String)>,
}

impl Fleet {
    /// Starts so many at the same time, with these flags on top of the configuration file.
    pub async fn start(size: usize, database: &Database, projects: &Projects, flags: &[&str]) -> Self {
        let mut all = vec![projects.flag(), "--state.migrate".to_owned()];
        all.extend(flags.iter().map(ToString::to_string));
        let mut fleet = Self {
            slots: Vec::new(),
            flags: all,
            record: Arc::default(),
            client: reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap(),
            processes: 0,
            logs: Vec::new(),
        };
        for _ in 0..size {
            fleet.add_slot(database).await;
        }
        let exporters = (0..size).map(|slot| fleet.exporter(slot));
        for (slot, exporter) in futures_util::future::join_all(exporters).await.into_iter().enumerate() {
            fleet.put(slot, exporter);
        }
        fleet
    }

    async fn add_slot(&mut self, database: &Database) {
        let link = Proxy::start(database.pgbouncer.port()).await;
        let address = format!("127.0.0.1:{}", machine::free_port());
        self.slots.push(Slot { link, address, running: None });
    }

    /// Starts one more, with the same flags.
    pub async fn grow(&mut self, database: &Database) {
        self.add_slot(database).await;
        self.start_again(self.slots.len() - 1).await;
    }

    /// A new process for a slot.
    async fn exporter(&self, slot: usize) -> Exporter {
        let Slot { link, address, .. } = &self.slots[slot];
        let mut args: Vec<_> = self.flags.iter().map(String::as_str).collect();
        args.extend(["--web.listen-address", address]);
        Exporter::start(&args, &[("KAPSO_EXPORTER_STATE_URL", &url(link.port()))]).await
    }

    fn put(&mut self, slot: usize, exporter: Exporter) {
        let number = self.processes;
        self.processes += 1;
        let scraped =
            tokio::spawn(scrape(self.client.clone(), exporter.url.clone(), number, self.record.clone()));
        self.slots[slot].running = Some(Replica { number, exporter, scraped });
    }

    /// Starts the replica of this slot again.
    pub async fn start_again(&mut self, slot: usize) {
        assert!(self.slots[slot].running.is_none(), "replica {slot} runs");
        let exporter = self.exporter(slot).await;
        self.put(slot, exporter);
    }

    /// Kills it with SIGKILL.
    pub async fn kill(&mut self, slot: usize) {
        self.end(slot, "KILL").await;
    }

    /// Stops it with SIGTERM; how long it took.
    pub async fn stop(&mut self, slot: usize) -> Duration {
        let begun = Instant::now();
        let code = self.end(slot, "TERM").await;
        assert_eq!(code, Some(0), "{}", self.logs_in_file());
        assert!(begun.elapsed() < GRACE, "it took {:?} to stop", begun.elapsed());
        begun.elapsed()
    }

    /// Sends it a signal that ends it; its exit code. It is scraped to the end.
    async fn end(&mut self, slot: usize, signal: &str) -> Option<i32> {
        let Replica { number, exporter, scraped } = self.slots[slot].running.take().expect("it runs");
        machine::signal(exporter.pid(), signal);
        let (code, log) = exporter.end_with_log(2 * GRACE).await;
        scraped.abort();
        self.logs.push((number, slot, log));
        code
    }

    /// Lets it stand still (SIGSTOP) for so long. It is asked meanwhile, and answers once it goes on.
    pub async fn freeze(&mut self, slot: usize, time: Duration) {
        let Replica { number, exporter, .. } = self.running(slot);
        let (number, url, pid) = (*number, exporter.url.clone(), exporter.pid());
        machine::signal(pid, "STOP");
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        while !state().rsplit(')').next().unwrap().trim_start().starts_with('T') {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let since = Instant::now();
        // Over a connection of its own: the other one may wait for an answer already.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let record = self.record.clone();
        let asked = tokio::spawn(async move { ask(&client, &url, number, &record).await });
        tokio::time::sleep(time).await;
        self.record.lock().froze(number, since, Instant::now());
        machine::signal(pid, "CONT");
        asked.await.unwrap();
    }

    fn running(&self, slot: usize) -> &Replica {
        self.slots[slot].running.as_ref().unwrap_or_else(|| panic!("replica {slot} does not run"))
    }

    /// The process in this slot.
    pub fn exporter_of(&self, slot: usize) -> &Exporter {
        &self.running(slot).exporter
    }

    /// The link from this slot to the database.
    pub fn link(&self, slot: usize) -> &Proxy {
        &self.slots[slot].link
    }

    /// The addresses of all slots, for a Prometheus.
    pub fn addresses(&self) -> Vec<&str> {
        self.slots.iter().map(|slot| slot.address.as_str()).collect()
    }

    /// The slots that have a process.
    pub fn slots_running(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|&slot| self.slots[slot].running.is_some()).collect()
    }

    /// What all replicas show now; one that waits for the database since it started shows nothing.
    pub async fn scrape(&self) -> Vec<Exposition> {
        let running = self.slots.iter().filter_map(|slot| slot.running.as_ref());
        let scrapes = running.map(|replica| replica.exporter.get("/metrics"));
        let answers = futures_util::future::join_all(scrapes).await;
        let good = answers.iter().filter(|(status, _)| *status == 200);
        good.map(|(_, text)| Exposition::parse(text)).collect()
    }

    /// The answer of a slot's replica now.
    pub async fn answer(&self, slot: usize) -> Answer {
        Answer::parse(&self.running(slot).exporter.get("/metrics").await.1)
    }

    /// The projects that a slot's replica shows now.
    pub async fn shown_by(&self, slot: usize) -> Vec<String> {
        self.answer(slot).await.projects.into_keys().collect()
    }

    /// The slot whose replica shows this project now, if one does.
    pub async fn owner(&self, project: &str) -> Option<usize> {
        for slot in self.slots_running() {
            if self.shown_by(slot).await.iter().any(|shown| shown == project) {
                return Some(slot);
            }
        }
        None
    }

    /// The slot whose replica shows this project; waits while it changes hands.
    pub async fn owner_soon(&self, project: &str) -> usize {
        let mut owner = None;
        wait_for("an owner", async || {
            owner = self.owner(project).await;
            owner.is_some()
        })
        .await;
        owner.unwrap()
    }

    /// Waits until every project is shown, and each by one replica.
    pub async fn wait_until_all_are_shown(&self, projects: &Projects, at_most: Duration) {
        let begun = Instant::now();
        loop {
            let mut shown = Vec::new();
            for slot in self.slots_running() {
                shown.extend(self.shown_by(slot).await);
            }
            shown.sort_unstable();
            let mut expected: Vec<_> = projects.named().map(|(name, _)| name.to_owned()).collect();
            expected.sort_unstable();
            if shown == expected {
                return;
            }
            assert!(
                begun.elapsed() <= at_most,
                "shown after {at_most:?}: {shown:?}; {}",
                self.logs_in_file()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every number of every project equals the tally, and stays so for two sweeps.
    pub async fn wait_until_exact(&self, projects: &Projects) {
        for pause in [0, 2500] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            projects.wait_until_exact(LATEST, async || self.scrape().await).await;
        }
    }

    /// What was wrong with any answer so far.
    pub fn faults(&self) -> Vec<String> {
        self.record.lock().faults()
    }

    /// Asserts that no two replicas ever showed one project, and that no counter ever fell.
    pub fn assert_no_faults(&self) {
        let record = self.record.lock();
        assert!(record.answers() > 20, "{} answers", record.answers());
        let faults = record.faults();
        let several: Vec<_> = faults.iter().take(20).map(String::as_str).collect();
        assert!(
            faults.is_empty(),
            "{} faults:\n{}\n{}",
            faults.len(),
            several.join("\n"),
            self.logs_in_file()
        );
    }

    /// Writes the logs of all processes to a file, and says where it is.
    pub fn logs_in_file(&self) -> String {
        let mut text = String::new();
        for (number, slot, log) in &self.logs {
            writeln!(text, "== process {number}, replica {slot}, gone\n{log}").unwrap();
        }
        for (slot, replica) in
            self.slots.iter().enumerate().filter_map(|(n, slot)| Some((n, slot.running.as_ref()?)))
        {
            writeln!(text, "== process {}, replica {slot}\n{}", replica.number, replica.exporter.log())
                .unwrap();
        }
        let address = &self.slots[0].address;
        let port = address.rsplit(':').next().unwrap();
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replicas-{port}.log"));
        fs::write(&path, text).unwrap();
        format!("logs are in {}", path.display())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs_in_file());
        }
    }
}

/// Scrapes a process for as long as it is there.
async fn scrape(client: reqwest::Client, url: String, number: usize, record: Arc<Mutex<Record>>) {
    loop {
        ask(&client, &url, number, &record).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Scrapes it once. It may be gone by then.
async fn ask(client: &reqwest::Client, url: &str, number: usize, record: &Mutex<Record>) {
    let sent = Instant::now();
    let Ok(response) = client.get(format!("{url}/metrics")).send().await else { return };
    let is_good = response.status().is_success();
    if let Ok(text) = response.text().await
        && is_good
    {
        record.lock().note(number, sent, Instant::now(), &text);
    }
}
