//! A rendering takes over what is as it was, and reads like one that was made from nothing.

use std::{io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use kapso_exporter::{
    account::Order,
    app::App,
    clock::{Clock, Steady},
    config::{Config, KeyFrom, ProjectConfig, RawProject},
    kapso::{Endpoint, Observer},
    metrics::{Bounds, Encoding, Format, Options, Renderer},
    model::{Api, Execution, Flaws, Page, Source, Status, Workflow},
    project::Stream,
};

use strum::VariantArray;

use super::support::{Exposition, nowhere, simulated::a_morning};

/// Series of all projects together.
const MAX_SERIES: usize = 1_000_000;

fn config(projects: &[&str]) -> Config {
    let project = |name: &&str| {
        let raw = RawProject::new(name, KeyFrom::Value((*name).into()));
        let sources = [Source::Conversations, Source::Agents].into();
        ProjectConfig { sources, ..ProjectConfig::resolve(raw).unwrap() }
    };
    nowhere::config(projects.iter().map(project), MAX_SERIES)
}

/// An exporter that asks nobody.
struct Exporter {
    app: App,
    clock: Clock,
    executions: usize,
}

impl Exporter {
    fn watching(projects: &[&str]) -> Self {
        let clock = a_morning();
        Self { app: nowhere::app(config(projects), clock.clone()), clock, executions: 0 }
    }

    fn stream(&self, project: &str) -> Arc<Stream> {
        self.app.projects[project].streams[&Api::Platform].clone()
    }

    /// The account of a project learns of an execution that starts now; nobody is told.
    fn start_silently(&mut self, project: &str) {
        self.executions += 1;
        let (now, id) = (self.clock.wall(), format!("e{}", self.executions));
        let execution = Execution {
            id: id.as_str().into(),
            workflow: Some(Workflow { id: "w".into(), name: None }),
            conversation: None,
            status: Status::Running,
            started_at: Some(now),
            last_event_at: Some(now),
            ended_at: None,
            handoff: None,
            step: None,
        };
        let page = Page {
            items: vec![execution],
            flaws: Flaws::default(),
            request_seq: self.executions as u64,
            requested_at: Steady::at(now),
            as_of: now,
            last: true,
        };
        let stream = self.stream(project);
        let mut account = stream.account.lock();
        account.ledger.watch_from(now);
        let mut listing = account.open(&id.as_str().into(), Order::NewestFirst);
        account.read(&mut listing, &page, now);
        account.close(&listing);
        account.frontier.note_learned(self.clock.steady());
    }

    /// The same, and it is told.
    fn start(&mut self, project: &str) {
        self.start_silently(project);
        self.stream(project).changed.notify();
    }

    fn reconfigure(&mut self, projects: &[&str]) {
        let opened = self.app.opening().open(config(projects), &self.app.projects).unwrap();
        self.app.switch(opened);
    }

    /// From now on every project is shown as that of this instance.
    fn show_as(&mut self, instance: &str, projects: &[&str]) {
        let mut config = config(projects);
        config.metrics.instance = Some(instance.into());
        let opened = self.app.opening().open(config, &self.app.projects).unwrap();
        self.app.switch(opened);
    }

    fn text(&self) -> Bytes {
        self.app.publisher.renderer().text().unwrap()
    }

    /// A renderer of the same that knows of nothing earlier.
    fn fresh(&self) -> Renderer {
        let publisher = &self.app.publisher;
        let options = Options { exemplars: true, ..Options::default() };
        let bounds = Bounds { max_series: MAX_SERIES, options, ..Bounds::default() };
        let streams = publisher.renderer().streams().clone();
        Renderer::new(publisher.instance(), streams, bounds, self.clock.clone())
    }

    /// Starts in each of these projects, as they are published now.
    fn starts<const N: usize>(&self, projects: [&str; N]) -> [Option<f64>; N] {
        let exposition = Exposition::parse(std::str::from_utf8(&self.text()).unwrap());
        projects.map(|name| exposition.value("kapso_executions_started_total", &[("project", name)]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_rendered_again_when_it_changed_or_after_a_while() {
    let mut exporter = Exporter::watching(&["a", "b"]);
    exporter.start("a");
    exporter.start("b");
    assert_eq!(exporter.starts(["a", "b"]), [Some(1.0); 2]);
    exporter.start_silently("a");
    exporter.start("b");
    assert_eq!(exporter.starts(["a", "b"]), [Some(1.0), Some(2.0)], "nothing was told of the one");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(exporter.starts(["a", "b"]), [Some(2.0); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_label_is_given_to_the_series_of_projects_and_to_no_other() {
    let mut exporter = Exporter::watching(&["a", "b"]);
    exporter.start("a");
    let samples = |text: Bytes| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let without = samples(exporter.text());
    assert!(without.iter().all(|line| !line.contains("instance=")));
    exporter.show_as("kapso", &["a", "b"]);
    let with = samples(exporter.text());
    assert_eq!(with.len(), without.len());
    for line in with {
        assert_eq!(line.contains("project=\""), line.contains("instance=\"kapso\""), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_published_without_being_told_of() {
    let exporter = Exporter::watching(&["a"]);
    let requests = || {
        let exposition = Exposition::parse(std::str::from_utf8(&exporter.text()).unwrap());
        exposition.sum("kapso_exporter_api_requests_total", &[])
    };
    assert_eq!(requests(), 0.0);
    let status = exporter.stream("a").status.clone();
    status.requested(Api::Platform, Endpoint::Workflows, Some(http::StatusCode::OK), Duration::ZERO);
    assert_eq!(requests(), 1.0);
}

/// What is not the process's own: that differs from one moment to the next, and from one process to the next.
fn without_process(text: &[u8]) -> Vec<&str> {
    let lines = std::str::from_utf8(text).unwrap().lines();
    lines.filter(|line| !line.contains("process_") && !line.contains("_created")).collect()
}

fn read(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    match encoding {
        Encoding::Identity => read.extend_from_slice(body),
        Encoding::Gzip => drop(GzDecoder::new(body).read_to_end(&mut read).unwrap()),
        Encoding::Zstd => read = zstd::stream::decode_all(body).unwrap(),
    }
    read
}

#[tokio::test(start_paused = true)]
async fn an_exposition_reads_as_if_nothing_of_it_had_been_ready() {
    let names: Vec<_> = (0..70).map(|number| format!("p{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut exporter = Exporter::watching(&names);
    let renderer = exporter.app.publisher.renderer();
    for round in 0..40 {
        let watched = &names[..70 - round % 7 * 10];
        exporter.reconfigure(watched);
        exporter.start(watched[round * round % watched.len()]);
        tokio::time::sleep(Duration::from_secs(round as u64 % 3)).await;
        let publication = renderer.collect();
        for (&format, &encoding) in Format::VARIANTS.iter().zip(Encoding::VARIANTS.iter().cycle().skip(round))
        {
            let body = renderer.exposition(&publication, format, encoding).unwrap();
            let plain = renderer.exposition(&publication, format, Encoding::Identity).unwrap();
            assert!(plain == read(encoding, &body), "round {round}: the compressed one differs");
        }
        let fresh = exporter.fresh();
        let anew = fresh.collect();
        for format in [Format::Text, Format::OpenMetrics] {
            let own = renderer.exposition(&publication, format, Encoding::Identity).unwrap();
            let theirs = fresh.exposition(&anew, format, Encoding::Identity).unwrap();
            assert_eq!(without_process(&own), without_process(&theirs), "round {round}");
        }
    }
}
