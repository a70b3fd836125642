//! Accounts that nobody opens any more.

use super::*;

/// The times, in seconds, at which it was tidied, whether the account was kept then, and whether rows were removed that
/// nobody had needed for 100 s. Returns whether the account is there afterwards.
fn is_left_after(tidied: &[(i64, bool)]) -> bool {
    let (_folder, path) = filled();
    let mut store = FileStore::open(&path).unwrap();
    for &(now, kept) in tidied {
        store.tidy(|_| kept, at(now), Some(at(now - 100))).unwrap();
    }
    drop(store);
    let account = restored(&path);
    assert!(FileStore::open(&path).unwrap().tidy(|_| true, at(0), None).is_ok());
    account.ledger.remembered() > 0
}

#[test]
fn an_account_that_nobody_opens_is_kept_for_the_retention_and_no_longer() {
    assert!(is_left_after(&[(0, false), (99, false)]));
    assert!(!is_left_after(&[(0, false), (99, false), (100, false)]));
}

#[test]
fn an_account_that_is_opened_again_in_time_is_kept() {
    assert!(is_left_after(&[(0, false), (99, true), (150, false), (249, false)]));
    assert!(!is_left_after(&[(0, false), (99, true), (150, false), (250, false)]));
}

#[test]
fn nothing_is_written_where_nothing_is_new() {
    let (_folder, path) = filled();
    let mut store = FileStore::open(&path).unwrap();
    let generation = store.generation;
    assert!(!store.tidy(|_| true, at(0), Some(at(0))).unwrap());
    assert!(store.tidy(|_| false, at(1), None).unwrap());
    assert!(!store.tidy(|_| false, at(2), None).unwrap());
    assert_eq!(store.generation, generation + 1);
}

#[test]
fn a_released_account_is_written_one_more_time() {
    let (_folder, path) = file();
    let mut kept = Keeper::open(&path).unwrap();
    let (account, claim) = account_of(&mut kept, opener("key"));
    claim.verify();
    account.lock().ledger.watch_from(at(5));
    kept.release("default/platform");
    kept.save(Turn::Ordinary).unwrap();
    account.lock().ledger.watch_from(at(9));
    kept.save(Turn::Ordinary).unwrap();
    drop(kept);
    assert_eq!(restored(&path).ledger.watch_start(), Some(at(5)));
}

#[test]
fn an_account_that_is_opened_before_its_last_write_goes_on() {
    let (_folder, path) = file();
    let mut kept = Keeper::open(&path).unwrap();
    let (account, _) = account_of(&mut kept, opener("key"));
    account.lock().ledger.watch_from(at(5));
    kept.release("default/platform");
    let (again, _) = account_of(&mut kept, opener("key"));
    assert!(Arc::ptr_eq(&account, &again));
    kept.save(Turn::Last).unwrap();
    drop(kept);
    assert_eq!(restored(&path).ledger.watch_start(), Some(at(5)));
}
