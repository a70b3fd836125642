//! Whose an account is, in files.

use sha2::Digest;

use super::*;

/// The claim of whoever opens the file with this key and these sources, which it writes unless it is unverified.
fn claim(path: &Path, key: &str, sources: &[Source]) -> Arc<Claim> {
    let mut kept = Keeper::open(path).unwrap();
    let opener = Opener { sources: sources.iter().copied().collect(), ..opener(key) };
    let (_, claim) = account_of(&mut kept, opener);
    kept.save(Turn::Last).unwrap();
    claim
}

/// A file that knows whose it is.
fn owned() -> (TempDir, PathBuf) {
    let (folder, path) = filled();
    let mut kept = Keeper::open(&path).unwrap();
    let (_, claim) = account_of(&mut kept, opener("key"));
    claim.verify();
    claim.confirm_sources();
    kept.save(Turn::Last).unwrap();
    (folder, path)
}

#[test]
fn the_same_key_is_recognised_and_another_one_is_not() {
    let (_folder, path) = owned();
    assert_eq!(claim(&path, "key", &[Source::Conversations]).standing(), Standing::Verified);
    assert_eq!(claim(&path, "other", &[Source::Conversations]).standing(), Standing::Unverified);
    assert_eq!(
        claim(&path, "key", &[Source::Conversations]).standing(),
        Standing::Verified,
        "nothing changed"
    );
}

#[test]
fn a_file_without_an_identity_has_to_be_verified() {
    let (_folder, path) = filled();
    assert_eq!(claim(&path, "key", &[Source::Conversations]).standing(), Standing::Unverified);
}

#[test]
fn a_new_file_is_whoever_opens_it() {
    let (_folder, path) = file();
    let claim = claim(&path, "key", &[Source::Conversations]);
    assert_eq!((claim.standing(), claim.previous_sources()), (Standing::Verified, None));
}

#[test]
fn a_key_that_was_verified_is_recognised_from_then_on() {
    let (_folder, path) = owned();
    let mut kept = Keeper::open(&path).unwrap();
    let (account, first) = account_of(&mut kept, opener("new"));
    read(&mut account.lock(), &[execution("b", Status::Ended, 5, 50)], 60);
    assert_eq!(kept.save(Turn::Last).unwrap(), None, "nothing is written before");
    first.verify();
    assert!(kept.save(Turn::Last).unwrap().is_some());
    drop(kept);
    assert_eq!(restored(&path).ledger.workflows()[0].totals.ended, 2, "nor lost");
    assert_eq!(claim(&path, "new", &[Source::Conversations]).standing(), Standing::Verified);
    assert_eq!(claim(&path, "key", &[Source::Conversations]).standing(), Standing::Unverified);
}

#[test]
fn another_api_is_refused_and_both_are_named() {
    let (_folder, path) = owned();
    let url = url::Url::parse("https://proxy.example/v1").unwrap();
    let opener = Opener { base_url: (&url).into(), ..opener("key") };
    let kept = Keeper::open(&path).unwrap().account(wanted("default/platform", opener));
    let error = kept.err().unwrap().to_string();
    assert!(error.contains("was kept from https://api.kapso.ai/platform/v1"), "{error}");
    assert!(error.contains("is to ask https://proxy.example/v1"), "{error}");
}

#[test]
fn the_sources_of_earlier_runs_are_told_until_they_are_settled() {
    let (_folder, path) = owned();
    let both = Some([Source::Conversations, Source::Workflows].into());
    let previous = |claim: &Claim| claim.previous_sources().cloned();
    assert_eq!(previous(&claim(&path, "key", &[Source::Workflows])), Some([Source::Conversations].into()));
    assert_eq!(previous(&claim(&path, "key", &[Source::Workflows])), both, "a restart does not lose them");
    let mut kept = Keeper::open(&path).unwrap();
    let opener = Opener { sources: [Source::Workflows].into(), ..opener("key") };
    let (_, settling) = account_of(&mut kept, opener);
    settling.confirm_sources();
    kept.save(Turn::Last).unwrap();
    drop(kept);
    assert_eq!(previous(&claim(&path, "key", &[Source::Workflows])), Some([Source::Workflows].into()));
}

#[test]
fn the_sources_of_a_file_without_an_identity_are_not_known() {
    let (_folder, path) = filled();
    assert_eq!(claim(&path, "key", &[Source::Conversations]).previous_sources(), None);
}

#[test]
fn neither_the_key_nor_its_plain_hash_is_in_the_file() {
    let (_folder, path) = owned();
    let written = fs::read(&path).unwrap();
    let holds = |bytes: &[u8]| written.windows(bytes.len()).any(|window| window == bytes);
    let hash = sha2::Sha256::digest("key");
    let numbers = serde_json::to_string(&hash.as_slice()).unwrap();
    assert!(holds(b"key_hash") && !holds(&hash) && !holds(numbers.as_bytes()));
}

#[test]
fn when_somebody_else_began_to_watch_an_empty_project_does_not_matter() {
    let (_folder, path) = file();
    let watched_since = |key: &str, base_url: BaseUrl| {
        let mut kept = Keeper::open(&path).unwrap();
        let opener = Opener { base_url, ..opener(key) };
        let (account, _) = account_of(&mut kept, opener);
        let since = account.lock().ledger.watch_start();
        account.lock().ledger.watch_from(at(0));
        kept.save(Turn::Last).unwrap();
        since
    };
    let url = opener("key").base_url;
    assert_eq!(watched_since("key", url.clone()), None);
    assert_eq!(watched_since("key", url.clone()), Some(at(0)));
    assert_eq!(watched_since("other", url), None);
    assert_eq!(watched_since("other", BaseUrl::embedded()), None);
}
