//! What state costs: a write of a thousand changed executions, a start with a million known ones, and memory for a
//! million conversations that are at rest.
//! `cargo bench --bench state`; the figures are in `docs/reliability.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_wrap)]

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    account::{Account, Order, Settings},
    clock::Steady,
    model::{Conversation, ConversationStatus, Execution, Flaws, Page, Status, Workflow},
    state::{FileStore, Store as _},
};

const KNOWN: usize = 1_000_000;
const PER_CONVERSATION: usize = 10;
const CHANGED: usize = 1_000;
const WRITES: usize = 21;

fn at(second: usize) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second as i64).unwrap()
}

/// Execution `number`, with its last event at `event`.
fn execution(number: usize, event: usize) -> Execution {
    Execution {
        id: format!("00000000-0000-4000-8000-{number:012}").as_str().into(),
        workflow: Some(Workflow { id: format!("flow_{}", number % 20).as_str().into(), name: None }),
        conversation: None,
        status: Status::Waiting,
        started_at: Some(at(number / 1000)),
        last_event_at: Some(at(event)),
        ended_at: None,
        handoff: None,
        step: None,
    }
}

/// Lists all executions of a conversation.
fn list(account: &mut Account, conversation: usize, now: usize) {
    let first = conversation * PER_CONVERSATION;
    let items = (first..first + PER_CONVERSATION).rev().map(|number| execution(number, now)).collect();
    let mut listing =
        account.open(&format!("conversation-{conversation:024}").as_str().into(), Order::NewestFirst);
    let page = Page {
        items,
        flaws: Flaws::default(),
        request_seq: now as u64,
        requested_at: Steady::at(at(now)),
        as_of: at(now),
        last: true,
    };
    account.read(&mut listing, &page, at(now));
    account.close(&listing);
}

/// Bytes of memory that the process has.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// The list of conversations shows a million that were last active long ago.
fn rest() {
    let watch_start = 100 * 24 * 3600;
    let before = memory();
    let mut account = Account::new(Settings::default());
    account.ledger.watch_from(at(watch_start));
    for first in (0..KNOWN).step_by(100) {
        let conversation = |number| Conversation {
            id: format!("conversation-{number:024}").as_str().into(),
            status: ConversationStatus::Ended,
            last_active_at: Some(at(number / 1000)),
        };
        let page = Page {
            items: (first..first + 100).map(conversation).collect(),
            flaws: Flaws::default(),
            request_seq: 1,
            requested_at: Steady::at(at(watch_start)),
            as_of: at(watch_start),
            last: true,
        };
        account.learn_conversations(&page, SignedDuration::from_mins(1));
    }
    assert_eq!(account.ledger.remembered_conversations(), KNOWN);
    println!("{KNOWN} conversations at rest: {} bytes of memory each", (memory() - before) / KNOWN);
}

fn main() {
    rest();
    let folder = tempfile::tempdir_in("target").unwrap();
    let path = folder.path().join("state.redb");
    let mut store = FileStore::open(&path).unwrap();
    let mut account = store.account("default/platform", Settings::default()).unwrap();
    account.ledger.watch_from(at(0));
    (0..KNOWN / PER_CONVERSATION).for_each(|conversation| list(&mut account, conversation, 10_000));
    let changes = account.take_changes();
    let begun = Instant::now();
    store.write(&[("default/platform", &changes)]).unwrap();
    println!(
        "all {KNOWN} executions written: {:?}, {} MB",
        begun.elapsed(),
        store.size().unwrap() / 1_000_000
    );

    let mut writes: Vec<Duration> = (0..WRITES)
        .map(|round| {
            // Spread over the whole file, as the conversations that move are.
            let step = KNOWN / CHANGED;
            let moved = (0..CHANGED / PER_CONVERSATION).map(|n| n * step + round);
            moved.for_each(|conversation| list(&mut account, conversation, 10_060 + 60 * round));
            let begun = Instant::now();
            let changes = account.take_changes();
            assert_eq!(changes.executions.len(), CHANGED);
            store.write(&[("default/platform", &changes)]).unwrap();
            begun.elapsed()
        })
        .collect();
    writes.sort();
    println!(
        "{CHANGED} changed: median {:?}, fastest {:?}, slowest {:?}",
        writes[WRITES / 2],
        writes[0],
        writes[WRITES - 1]
    );

    let known = account.ledger.remembered();
    drop((store, account));
    let begun = Instant::now();
    let store = FileStore::open(&path).unwrap();
    let opened = begun.elapsed();
    let account = store.account("default/platform", Settings::default()).unwrap();
    assert_eq!(account.ledger.remembered(), known);
    println!("start with {known} known: {:?}, of which {opened:?} to check the file", begun.elapsed());
}
