//! What a page, a rendering and a scrape cost: `cargo bench`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/exporter/support/nowhere.rs"]
mod nowhere;

use std::{hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use kapso_exporter::{
    account::{Account, Order, Settings},
    app::App,
    clock::{Clock, Steady},
    config::{KeyFrom, ProjectConfig, RawProject},
    metrics::{Encoding, Format, Renderer},
    model::{Api, Execution, Flaws, Page, Status, Workflow},
};

fn at(seconds: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(seconds).unwrap()).unwrap()
}

fn execution(number: usize, workflows: usize) -> Execution {
    let workflow = number % workflows;
    Execution {
        id: format!("00000000-0000-4000-8000-{number:012}").as_str().into(),
        workflow: Some(Workflow {
            id: format!("flow_{workflow}").as_str().into(),
            name: Some(format!("Workflow {workflow}").into()),
        }),
        conversation: None,
        status: Status::Waiting,
        started_at: Some(at(number)),
        last_event_at: Some(at(number + 5)),
        ended_at: None,
        handoff: None,
        step: None,
    }
}

fn account() -> Account {
    let mut account = Account::new(Settings::default());
    account.ledger.watch_from(at(0));
    account
}

/// An account with so many open executions, ten in each conversation.
fn filled(executions: usize, workflows: usize) -> Account {
    let mut account = account();
    for conversation in 0..executions / 10 {
        let items = (0..10).rev().map(|n| execution(conversation * 10 + n, workflows)).collect();
        let page = Page {
            items,
            flaws: Flaws::default(),
            request_seq: 1,
            requested_at: Steady::at(at(executions)),
            as_of: at(executions),
            last: true,
        };
        let mut listing = account.open(&format!("c{conversation}").as_str().into(), Order::NewestFirst);
        account.read(&mut listing, &page, at(executions));
        account.close(&listing);
    }
    account
}

/// So many projects, whose accounts are still empty.
fn app(projects: usize) -> App {
    let project = |number| {
        let project =
            RawProject::new(&format!("project-{number}"), KeyFrom::Value(format!("key-{number}").into()));
        ProjectConfig::resolve(project).unwrap()
    };
    nowhere::app(nowhere::config((0..projects).map(project), 10_000_000), Clock::system())
}

/// One project with this account.
fn exposition(account: Account) -> Arc<Renderer> {
    let app = app(1);
    *app.projects["project-0"].streams[&Api::Platform].account.lock() = account;
    app.publisher.renderer()
}

fn fold(c: &mut Criterion) {
    let mut group = c.benchmark_group("page of 100 executions");
    group.throughput(Throughput::Elements(100));
    let items: Vec<_> = (0..100).rev().map(|n| execution(n, 5)).collect();
    let page = Page {
        items,
        flaws: Flaws::default(),
        request_seq: 1,
        requested_at: Steady::at(at(200)),
        as_of: at(200),
        last: true,
    };
    group.bench_function("all known", |b| {
        let mut account = account();
        b.iter(|| {
            let mut listing = account.open(&"c".into(), Order::NewestFirst);
            account.read(&mut listing, black_box(&page), at(200));
            account.close(&listing);
        });
    });
    group.bench_function("all new", |b| {
        b.iter_with_setup(account, |mut account| {
            let mut listing = account.open(&"c".into(), Order::NewestFirst);
            account.read(&mut listing, black_box(&page), at(200));
            account.close(&listing);
            account
        });
    });
}

fn render(c: &mut Criterion) {
    let mut group = c.benchmark_group("rendering");
    group.sample_size(20);
    for (executions, workflows) in [(1_000, 6), (10_000, 60), (100_000, 600)] {
        let exposition = exposition(filled(executions, workflows));
        let size = exposition.text().unwrap().len() / 1000;
        let name = format!("{executions} open executions, {workflows} workflows, {size} kB");
        let stream = exposition.streams().all()[0].clone();
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                stream.changed.notify();
                exposition.exposition(&exposition.collect(), Format::Text, Encoding::Gzip).unwrap()
            });
        });
    }
    group.finish();
}

/// A thousand projects with ten workflows, of which some changed since the rendering before.
fn render_projects(c: &mut Criterion) {
    let app = app(1_000);
    for stream in app.streams() {
        *stream.account.lock() = filled(100, 10);
        stream.changed.notify();
    }
    let (exposition, streams): (_, Vec<_>) = (app.publisher.renderer(), app.streams().collect());
    let size = exposition.text().unwrap().len() / 1_000_000;
    let mut group = c.benchmark_group(format!("rendering 1,000 projects, {size} MB"));
    group.sample_size(10);
    for changed in [1, 100, 1_000] {
        group.bench_function(BenchmarkId::from_parameter(format!("{changed} changed")), |b| {
            b.iter(|| {
                streams[..changed].iter().for_each(|stream| stream.changed.notify());
                exposition.exposition(&exposition.collect(), Format::Text, Encoding::Gzip).unwrap()
            });
        });
    }
    group.finish();
}

fn scrape(c: &mut Criterion) {
    let exposition = exposition(filled(100_000, 600));
    exposition.note_demand(Format::Text, Encoding::Gzip);
    let publication = exposition.collect();
    exposition.prepare(&publication).unwrap();
    exposition.publish(publication);
    c.bench_function("what a scrape does", |b| {
        b.iter(|| black_box(exposition.newest().made(Format::Text, Encoding::Gzip)));
    });
}

criterion_group!(benches, fold, render, render_projects, scrape);
criterion_main!(benches);
