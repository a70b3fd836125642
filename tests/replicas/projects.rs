//! Projects with keys of their own, each with a simulated Kapso of its own, in one configuration file.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use kapso_exporter::simulator::{Api, Conduct, Scenario, Traffic, Webhook};
use tempfile::TempDir;

use crate::{
    balancer::Balancer,
    support::{Exposition, Kapso, judge::differences_of},
};

const DAY: Duration = Duration::from_hours(24);

/// A budget that holds nobody up. With a small one whoever takes a key over waits until it knows that the one before
/// cannot have used it up.
pub const AMPLE: u32 = 6000;

/// Signs the deliveries of every project.
pub const SECRET: &str = "s3cret";
/// What a project takes them with.
pub const TAKES_DELIVERIES: &str = "    webhook: {secret: {file: webhook.key}}\n";

/// A project, or two that have one key.
pub struct Project {
    pub name: String,
    pub kapso: Kapso,
    /// Requests that all replicas together may make in any minute.
    pub budget: u32,
}

/// All of them, and the configuration file.
pub struct Projects {
    folder: TempDir,
    pub all: Vec<Project>,
    /// A second project with the key of the first one.
    twin: Option<String>,
}

/// What happens in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Nothing by itself.
    Quiet,
    /// Everything. Each state lasts longer than a project is ever without an owner here, so that polling can see it.
    Busy,
    /// The same, but nothing is handed off twice: deliveries tell the handoffs, and polling those that it sees, in any
    /// order. While replicas die faster than anybody can know what they used of a key's budget, nobody polls for up to a
    /// minute.
    Told,
    /// Starts and outcomes, which tell when they were, however late they are seen.
    Starts,
}

/// A small project of this kind.
pub fn scenario(number: usize, life: Life) -> Scenario {
    let dwell = Duration::from_secs(14)..Duration::from_secs(20);
    let traffic = Traffic {
        starts_per_minute: if life == Life::Quiet { 0.0 } else { 20.0 },
        reply_delay: Duration::from_millis(50)..Duration::from_millis(500),
        dwell: dwell.clone(),
        handoff_dwell: dwell,
        failure_ratio: 0.2,
        handoff_ratio: if matches!(life, Life::Busy | Life::Told) { 0.4 } else { 0.0 },
        repeated_handoffs: life == Life::Busy,
        ..Traffic::default()
    };
    Scenario {
        seed: number as u64,
        key: key(number),
        workflows: ["Order Support", "Booking"].map(Into::into).into(),
        conversations: 6,
        history: 20,
        open_history: 3,
        traffic,
        ..Scenario::default()
    }
}

fn key(number: usize) -> String {
    format!("key-of-{number}")
}

impl Projects {
    /// None yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("webhook.key"), SECRET).unwrap();
        Self { folder, all: Vec::new(), twin: None }
    }

    /// So many busy ones with an ample budget.
    pub async fn busy(count: usize) -> Self {
        let mut projects = Self::new();
        for _ in 0..count {
            projects.add(Life::Busy, AMPLE).await;
        }
        projects
    }

    /// One more, which has this budget.
    pub async fn add(&mut self, life: Life, budget: u32) {
        let number = self.all.len();
        let kapso = Kapso::start(scenario(number, life)).await;
        fs::write(self.folder.path().join(format!("p{number}.key")), key(number)).unwrap();
        self.all.push(Project { name: format!("p{number}"), kapso, budget });
        self.write("");
    }

    /// A second project with the key of the first one.
    pub fn add_twin(&mut self) {
        self.twin = Some("twin".into());
        self.write("");
    }

    /// Writes the file, with these further keys in each project.
    pub fn write(&self, more: &str) {
        let mut text = String::from("defaults: {interval: 1s, conversation_max_age: 3650d}\nprojects:\n");
        for (number, project) in self.all.iter().enumerate() {
            let twin = self.twin.iter().filter(|_| number == 0);
            for name in std::iter::once(&project.name).chain(twin) {
                write!(
                    text,
                    "  - name: {name}\n    api_key: {{file: p{number}.key}}\n    platform_url: {}\n    \
                     legacy_url: {}\n    requests_per_minute: {}\n    sources: [conversations]\n{more}",
                    project.kapso.platform_url(),
                    project.kapso.legacy_url(),
                    project.budget,
                )
                .unwrap();
            }
        }
        fs::write(self.path("new.yaml"), text).unwrap();
        fs::rename(self.path("new.yaml"), self.path("config.yaml")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file as a flag.
    pub fn flag(&self) -> String {
        format!("--config.file={}", self.path("config.yaml").display())
    }

    /// A file beside it.
    pub fn beside(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// All names, with the Kapso of each.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Project)> {
        let own = self.all.iter().map(|project| (project.name.as_str(), project));
        own.chain(self.twin.as_deref().map(|twin| (twin, &self.all[0])))
    }

    /// From now on each Kapso tells the replicas behind a load balancer of handoffs and failures, many of them more than
    /// once. The configuration has to say that deliveries are taken.
    pub fn tell(&self, balancer: &Balancer) {
        for project in &self.all {
            let url = balancer.at(&format!("/webhooks/kapso/{}", project.name));
            let conduct = Conduct { repeated: 0.3, ..Conduct::default() };
            let webhook = Webhook { secret: SECRET.into(), url: Some(url), conduct };
            project.kapso.simulator.set_webhook(Some(webhook));
        }
    }

    /// From now on nothing happens any more.
    pub fn stop_traffic(&self) {
        self.all.iter().for_each(|project| project.kapso.simulator.stop_traffic());
    }

    /// Every number of these expositions that differs from the tally; each project has to be in one of them.
    pub fn differences(&self, expositions: &[Exposition]) -> Vec<String> {
        let of = |(name, project): (&str, &Project)| {
            let shows = |exposition: &&Exposition| exposition.has("kapso_up", &[("project", name)]);
            let showing: Vec<_> = expositions.iter().filter(shows).collect();
            let [exposition] = showing[..] else {
                return vec![format!("{name}: {} of {} show it", showing.len(), expositions.len())];
            };
            differences_of(name, DAY, &project.kapso.simulator, exposition, &[Api::Platform])
        };
        self.named().flat_map(of).collect()
    }

    /// Waits until the expositions that this asks for equal the tally.
    pub async fn wait_until_exact(
        &self,
        at_most: Duration,
        mut scrape: impl AsyncFnMut() -> Vec<Exposition>,
    ) {
        let begun = Instant::now();
        loop {
            let differences = self.differences(&scrape().await);
            if differences.is_empty() {
                return;
            }
            let several: Vec<_> = differences.iter().take(20).map(String::as_str).collect();
            assert!(begun.elapsed() < at_most, "{} differences:\n{}", differences.len(), several.join("\n"));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// How many requests there were in the busiest minute of each project, as a line of text.
    pub fn busiest_minutes(&self) -> String {
        let busiest = |project: &Project| {
            format!("{} {} of {}", project.name, project.kapso.simulator.busiest_minute(), project.budget)
        };
        let all: Vec<_> = self.all.iter().map(busiest).collect();
        format!("requests in the busiest minute: {}", all.join(", "))
    }

    /// The projects that were asked more often in a minute than they allow.
    pub fn over_budget(&self) -> Vec<String> {
        let over = |project: &&Project| project.kapso.simulator.busiest_minute() > project.budget;
        let text = |project: &Project| {
            let busiest = project.kapso.simulator.busiest_minute();
            format!("{}: {busiest} requests in a minute, {} are allowed", project.name, project.budget)
        };
        self.all.iter().filter(over).map(text).collect()
    }
}
