mod claims;
mod shared;
mod unused;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use redb::Database;
use tempfile::TempDir;

use super::*;
use crate::model::{
    Conversation, ConversationStatus, Execution, Handoff, HandoffReason, HandoffSource, ListedWorkflow, Page,
    Reading, Status, Step, Workflow,
};
use crate::{
    account::{Order, Statuses, VisitedList},
    clock::Steady,
    model::Source,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
    Page::whole(items, now.unsigned_abs(), at(now))
}

fn execution(id: &str, status: Status, start: i64, event: i64) -> Execution {
    let handoff =
        Handoff { at: Some(at(event)), source: HandoffSource::AgentTool, reason: HandoffReason::Other };
    Execution {
        id: id.into(),
        workflow: Some(Workflow { id: "w".into(), name: Some("Orders".into()) }),
        conversation: Some("c".into()),
        status,
        started_at: Some(at(start)),
        last_event_at: Some(at(event)),
        ended_at: Some(at(event)).filter(|_| status.is_finished()),
        handoff: (status == Status::Handoff).then_some(handoff),
        step: Some(Step { identifier: "wait".into(), step_type: "FlowWaitStep".into() }),
    }
}

fn read(account: &mut Account, items: &[Execution], now: i64) {
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    account.read(&mut listing, &page(items.to_vec(), now), at(now));
    account.close(&listing);
}

/// One of everything.
fn fill(account: &mut Account) {
    account.ledger.watch_from(at(0));
    let workflow = Workflow { id: "w".into(), name: Some("Orders".into()) };
    let items = vec![ListedWorkflow { workflow, execution_count: Some(9), last_executed_at: Some(at(5)) }];
    account.learn_workflows(&page(items, 10));
    let items = vec![Conversation {
        id: "c".into(),
        status: ConversationStatus::Active,
        last_active_at: Some(at(7)),
    }];
    account.learn_conversations(&page(items, 10), SignedDuration::from_mins(1));
    read(
        account,
        &[
            execution("b", Status::Handoff, 5, 8),
            execution("a", Status::Failed, 1, 6),
            execution("old", Status::Ended, 1, 2),
        ],
        20,
    );
    let mut visit = account.visit(&"w".into());
    account.see(&mut visit, VisitedList::ByStart, &page(vec![], 30), at(30));
    account.reached(&visit, at(0), Reading::clean(at(30)));
    account.close_visit(&visit, Statuses::Every);
    account.frontier.note_discovered(Some(at(10)), Some(Steady::at(at(11))));
    account.prune(at(24 * 3600 + 3));
}

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    (folder, path)
}

fn save(store: &mut FileStore, account: &mut Account) {
    let changes = account.take_changes();
    store.write(&[("default/platform", &changes)]).unwrap();
}

fn restored(path: &Path) -> Account {
    FileStore::open(path).unwrap().account("default/platform", Settings::default()).unwrap()
}

/// A file that a test can have fail.
#[derive(Clone)]
struct Failing(Arc<Mutex<FileStore>>);

impl Failing {
    fn open(path: &Path) -> Self {
        Self(Arc::new(Mutex::new(FileStore::open(path).unwrap())))
    }
}

impl Store for Failing {
    fn kept(&self, names: &[&str]) -> Result<Vec<Kept>, Error> {
        self.0.lock().kept(names)
    }

    fn put(&mut self, writes: &[Write<'_>]) -> Result<Vec<Fate>, Error> {
        self.0.lock().put(writes)
    }

    fn tidy(&mut self, in_use: &InUse<'_>, now: Timestamp, least: Option<Timestamp>) -> Result<bool, Error> {
        self.0.lock().tidy(in_use, now, least)
    }

    fn is_shared(&self) -> bool {
        self.0.lock().is_shared()
    }

    fn place(&self) -> Place {
        self.0.lock().place()
    }

    fn size(&self) -> Option<u64> {
        self.0.lock().size()
    }

    fn retry_after(&self) -> Duration {
        self.0.lock().retry_after()
    }
}

/// The account as an exporter opens and keeps it, and its claim.
fn account_of(file: &mut Keeper, opener: Opener) -> (Arc<Mutex<Account>>, Arc<Claim>) {
    let kept = file.account(wanted("default/platform", opener)).unwrap();
    file.keep(kept.clone());
    (kept.account, kept.claim)
}

fn wanted(name: &str, opener: Opener) -> Wanted {
    Wanted { name: name.into(), settings: Settings::default(), opener, earlier: None }
}

fn opener(key: &str) -> Opener {
    let url = url::Url::parse("https://api.kapso.ai/platform/v1").unwrap();
    Opener { base_url: (&url).into(), key: key.into(), sources: [Source::Conversations].into() }
}

/// A file that holds an account with one of everything.
fn filled() -> (TempDir, PathBuf) {
    let (folder, path) = file();
    let mut store = FileStore::open(&path).unwrap();
    let mut account = store.account("default/platform", Settings::default()).unwrap();
    fill(&mut account);
    save(&mut store, &mut account);
    (folder, path)
}

fn refused(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let open = || FileStore::open(path)?.account("default/platform", Settings::default()).map(drop);
    let error = open().unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(path).unwrap().len(), before.len(), "the file is left as it is");
    error
}

/// Everything but the numbers of requests.
/// All that is known, but for exemplars: these are not kept.
fn all(account: &Account) -> String {
    let (workflows, conversations) = (account.workflows(), account.conversations());
    let text = format!("{:?} {:?}", workflows.collect::<Vec<_>>(), conversations.collect::<Vec<_>>());
    let exemplars = "exemplars: \\[[^]]*\\]|failed_exemplar: .*?, handoff_exemplars: .*?\\} \\}";
    let text = regex::Regex::new(exemplars).unwrap().replace_all(&text, "");
    let current = account.current(at(24 * 3600));
    format!(
        "{text} {current:?} {} {:?} {:?}",
        account.ledger.remembered(),
        account.ledger.watch_start(),
        account.frontier.discovered()
    )
}

#[test]
fn a_new_file_is_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    drop(FileStore::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_account_is_the_same_after_a_restart() {
    let (_folder, path) = filled();
    let mut account = Account::new(Settings::default());
    fill(&mut account);
    assert_eq!(all(&restored(&path)), all(&account));
}

#[test]
fn counting_goes_on_where_it_was() {
    let (_folder, path) = filled();
    let mut account = restored(&path);
    let again = [
        execution("b", Status::Handoff, 5, 8),
        execution("a", Status::Failed, 1, 6),
        execution("old", Status::Ended, 1, 2),
    ];
    read(&mut account, &again, 26 * 3600);
    let totals = &account.ledger.workflows()[0].totals;
    let counts = (totals.started, totals.handoffs.values().sum::<u64>(), totals.ended, totals.failed);
    assert_eq!(counts, (3, 1, 1, 1), "nothing twice");
    read(&mut account, &[execution("b", Status::Ended, 5, 26 * 3600)], 27 * 3600);
    assert_eq!(account.ledger.workflows()[0].totals.ended, 2);
}

#[test]
fn only_what_changed_is_written() {
    let (_folder, path) = filled();
    let mut store = FileStore::open(&path).unwrap();
    let mut account = store.account("default/platform", Settings::default()).unwrap();
    assert!(account.take_changes().is_empty());
    let a = execution("a", Status::Failed, 1, 6);
    let old = execution("old", Status::Ended, 1, 2);
    read(&mut account, &[execution("b", Status::Handoff, 5, 8), a.clone(), old.clone()], 39);
    account.take_changes();
    read(&mut account, &[execution("b", Status::Handoff, 5, 8), a.clone(), old.clone()], 40);
    let changes = account.take_changes();
    assert_eq!((changes.workflows.len(), changes.conversations.len(), changes.executions.len()), (0, 1, 0));
    read(&mut account, &[execution("b", Status::Ended, 5, 50), a, old], 200);
    let changes = account.take_changes();
    assert_eq!((changes.workflows.len(), changes.conversations.len(), changes.executions.len()), (1, 1, 1));
    account.give_back(&changes);
    assert_eq!(account.take_changes(), changes);
    store.write(&[("default/platform", &changes)]).unwrap();
    account.prune(at(100 * 3600));
    save(&mut store, &mut account);
    assert_eq!(account.ledger.remembered(), 0);
    drop(store);
    assert_eq!(restored(&path).ledger.remembered(), 0, "what was forgotten is gone from the file");
}

#[test]
fn accounts_of_several_names_do_not_mix() {
    let (_folder, path) = filled();
    let store = FileStore::open(&path).unwrap();
    assert_eq!(store.account("default/legacy", Settings::default()).unwrap().ledger.remembered(), 0);
}

#[test]
fn accounts_that_are_opened_together_are_each_as_it_was_open_or_as_it_is_kept_or_new() {
    let (_folder, path) = filled();
    let mut keeper = Keeper::open(&path).unwrap();
    let open = |keeper: &Keeper, name| keeper.account(wanted(name, opener("key"))).unwrap();
    let (earlier, known) = (open(&keeper, "earlier/platform"), open(&keeper, "known/platform"));
    keeper.keep(known.clone());
    let goes_on = Wanted { earlier: Some(earlier.clone()), ..wanted("earlier/platform", opener("key")) };
    let others =
        ["new/platform", "known/platform", "default/platform"].map(|name| wanted(name, opener("key")));
    let opened = keeper.accounts(std::iter::once(goes_on).chain(others).collect()).unwrap();
    let names: Vec<_> = opened.iter().map(|opened| opened.name.as_str()).collect();
    assert_eq!(names, ["earlier/platform", "new/platform", "known/platform", "default/platform"]);
    assert!(Arc::ptr_eq(&opened[0].account, &earlier.account));
    assert!(Arc::ptr_eq(&opened[2].account, &known.account));
    let remembered = |opened: &OpenedAccount| opened.account.lock().ledger.remembered();
    assert!(remembered(&opened[1]) == 0 && remembered(&opened[3]) > 0);
}

#[test]
fn other_buckets_keep_the_count_and_the_sum() {
    let (_folder, path) = filled();
    let store = FileStore::open(&path).unwrap();
    let mut settings = Settings::default();
    settings.buckets.duration = [2.0, 60.0].into();
    let account = store.account("default/platform", settings).unwrap();
    let failed = &account.ledger.workflows()[0].totals.failed_duration;
    assert_eq!((failed.count(), failed.sum()), (1, 5.0));
    assert_eq!(failed.cumulative().collect::<Vec<_>>(), [(2.0, 0), (60.0, 1)]);
}

#[test]
fn a_file_that_is_in_use_is_refused() {
    let (_folder, path) = filled();
    let _first = FileStore::open(&path).unwrap();
    assert!(refused(&path).contains("is in use by another process"));
}

#[test]
fn a_file_of_another_program_is_refused() {
    let (_folder, path) = file();
    fs::write(&path, "name,age\n").unwrap();
    assert!(refused(&path).contains("is not a state file of this program"));
    fs::write(&path, "r").unwrap();
    assert!(refused(&path).contains("is not a state file of this program"));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let (_folder, path) = file();
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(refused(&path).contains("is not a state file of this program"));
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let (_folder, path) = filled();
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut table =
        transaction.open_table(redb::TableDefinition::<&str, u64>::new("kapso-exporter")).unwrap();
    table.insert("format", 7).unwrap();
    drop(table);
    transaction.commit().unwrap();
    drop(database);
    let error = refused(&path);
    assert!(
        error.contains("written by a newer version of this program (format 7, this one knows 3)"),
        "{error}"
    );
}

#[test]
fn a_folder_is_no_state_file_and_a_missing_folder_is_named() {
    let (folder, _) = file();
    let error = FileStore::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("is not a state file"), "{error}");
    let error = FileStore::open(&folder.path().join("no/such")).err().unwrap().to_string();
    assert!(error.contains("cannot open the state file") && error.contains("No such file"), "{error}");
}

#[test]
fn an_empty_file_is_a_new_one() {
    let (_folder, path) = file();
    fs::write(&path, "").unwrap();
    assert_eq!(restored(&path).ledger.remembered(), 0);
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    for length in [100, 4096, whole.len() / 3, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path);
        assert!(error.contains("is damaged"), "{length}: {error}");
    }
}

/// Flips a bit in some of the bytes that hold something, one at a time: the file is refused, or the account is as it
/// was.
#[test]
fn a_flipped_bit_never_makes_a_wrong_number() {
    let (_folder, path) = filled();
    let right = all(&restored(&path));
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    let written: Vec<_> = (0..whole.len()).filter(|&position| whole[position] != 0).collect();
    for &position in written.iter().step_by(written.len() / 50) {
        let mut flipped = whole.clone();
        flipped[position] ^= 4;
        fs::write(&path, &flipped).unwrap();
        let open = || FileStore::open(&path)?.account("default/platform", Settings::default());
        match open() {
            Ok(account) => {
                let is_new = account.ledger.watch_start().is_none();
                assert!(is_new || all(&account) == right, "a bit at {position} of {}", whole.len());
                assert!(!is_new, "a bit at {position}: the state is silently gone");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "some of them are noticed");
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let (_folder, path) = filled();
    let store = Failing::open(&path);
    let mut kept = Keeper::of(Box::new(store.clone()));
    let (account, claim) = account_of(&mut kept, opener("key"));
    claim.verify();
    assert!(kept.is_restored());
    assert!(kept.save(Turn::Ordinary).unwrap().is_some(), "the watermarks, once");
    assert_eq!(kept.save(Turn::Ordinary).unwrap(), None, "nothing to write");
    read(&mut account.lock(), &[execution("b", Status::Ended, 5, 50)], 60);
    store.0.lock().fail();
    let other = FileStore::open(&path).unwrap();
    assert!(kept.save(Turn::Ordinary).unwrap_err().to_string().contains("in use"));
    drop(other);
    assert_eq!(kept.save(Turn::Ordinary).unwrap(), None, "not at once");
    assert!(kept.save(Turn::Last).unwrap().and_then(|written| written.size) > Some(0));
    drop((kept, store));
    assert_eq!(restored(&path).ledger.workflows()[0].totals.ended, 2);
}

#[test]
fn a_file_that_was_replaced_while_the_exporter_ran_is_left_alone() {
    let (_folder, path) = filled();
    let (_other_folder, other) = filled();
    let store = Failing::open(&path);
    let mut kept = Keeper::of(Box::new(store.clone()));
    let (account, claim) = account_of(&mut kept, opener("key"));
    claim.verify();
    for minute in 1..5 {
        read(&mut account.lock(), &[execution("b", Status::Handoff, 5, 60 * minute)], 60 * minute);
        kept.save(Turn::Ordinary).unwrap();
    }
    store.0.lock().fail();
    fs::rename(&other, &path).unwrap();
    read(&mut account.lock(), &[execution("b", Status::Ended, 5, 500)], 600);
    let error = kept.save(Turn::Ordinary).unwrap_err().to_string();
    assert!(error.contains("was replaced while this program was running"), "{error}");
}
