//! Whose an account is: the API it was told by, a hash of the key, and the sources that were used.
//!
//! An account goes on only with what the same project says. The file tells the same API and the same key at once. The
//! same key is recognised by a hash with a salt of the account's own; another one may be a new key of the same
//! project, which only Kapso knows: it is asked for what the account knows, and [`judge`] decides on the answer.

use std::{collections::BTreeSet, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{account::Account, model::Source};

/// Makes the hashes of one key differ from account to account.
pub(super) type Salt = [u8; 16];

/// Who opens an account.
#[derive(Debug, Clone)]
pub struct Opener {
    /// Where its API is.
    pub base_url: BaseUrl,
    /// The key of the project.
    pub key: SecretString,
    /// What is watched on that API.
    pub sources: BTreeSet<Source>,
}

/// Where an API is, as a state file tells it. A slash at the end makes no difference.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The embedded simulated Kapso, on whichever port it is.
    #[must_use]
    pub fn embedded() -> Self {
        Self("the embedded simulated Kapso (--demo)".into())
    }
}

impl From<&url::Url> for BaseUrl {
    fn from(url: &url::Url) -> Self {
        Self(url.as_str().trim_end_matches('/').into())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the file tells about an account beside its rows. The hash has no way out: there is no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    base_url: BaseUrl,
    salt: Salt,
    key_hash: [u8; 32],
    /// Names of the sources whose open executions it may hold; `None` if that is not known.
    sources: Option<BTreeSet<String>>,
}

impl Identity {
    /// That of a new account.
    pub fn first(opener: &Opener, salt: Salt) -> Self {
        Self { sources: Some(names(&opener.sources)), ..Self::adopted(opener, salt) }
    }

    /// That of an account which was written before there were any: what its sources were is not known.
    pub fn adopted(opener: &Opener, salt: Salt) -> Self {
        let key_hash = hash(salt, &opener.key);
        Self { base_url: opener.base_url.clone(), salt, key_hash, sources: None }
    }

    /// That of the same account for whoever opens it next, if it is theirs.
    pub fn next(&self, opener: &Opener) -> Self {
        let joined = |sources: &BTreeSet<String>| sources.union(&names(&opener.sources)).cloned().collect();
        Self { sources: self.sources.as_ref().map(joined), ..Self::adopted(opener, self.salt) }
    }

    /// The sources, but those that this program does not know.
    pub fn sources(&self) -> Option<BTreeSet<Source>> {
        Some(self.sources.as_ref()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// From now on it holds open executions of these sources alone. Returns whether that is news.
    pub fn confirm_sources(&mut self, sources: &BTreeSet<Source>) -> bool {
        let confirmed = Some(names(sources));
        std::mem::replace(&mut self.sources, confirmed.clone()) != confirmed
    }

    fn is_key(&self, key: &SecretString) -> bool {
        hash(self.salt, key) == self.key_hash
    }
}

fn names(sources: &BTreeSet<Source>) -> BTreeSet<String> {
    sources.iter().map(ToString::to_string).collect()
}

fn hash(salt: Salt, key: &SecretString) -> [u8; 32] {
    Sha256::new_with_prefix(salt).chain_update(key.expose_secret()).finalize().into()
}

/// What the file tells of who opens an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recognition {
    /// The account is empty, and not known to be theirs: they begin a new one.
    New,
    /// The same API and the same key.
    Same,
    /// The same API, as far as that is known, and a key that was not seen before: only Kapso knows.
    OtherKey,
    /// Another API.
    OtherUrl(BaseUrl),
}

/// Recognises who opens this account. One without an identity was written before there were any.
pub(super) fn recognise(kept: Option<&Identity>, account: &Account, opener: &Opener) -> Recognition {
    let is_same = |kept: &Identity| kept.base_url == opener.base_url && kept.is_key(&opener.key);
    match kept {
        Some(kept) if is_same(kept) => Recognition::Same,
        _ if account.ledger.is_empty() => Recognition::New,
        Some(kept) if kept.base_url != opener.base_url => Recognition::OtherUrl(kept.base_url.clone()),
        None | Some(_) => Recognition::OtherKey,
    }
}

/// What Kapso's answer says about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is a key of the project that the account is of, as far as the account knows.
    SameProject,
    /// It is a key of another project.
    OtherProject,
    /// The answer is empty, so it tells neither.
    Unknown,
}

/// Compares the ids that an account knows with those that Kapso lists for the key: projects share none.
pub fn judge<Id: PartialEq>(known: &[Id], listed: &[Id]) -> Judgement {
    match known {
        [] => Judgement::SameProject,
        _ if listed.is_empty() => Judgement::Unknown,
        _ if listed.iter().any(|id| known.contains(id)) => Judgement::SameProject,
        _ => Judgement::OtherProject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::Settings, clock::Steady};

    const URL: &str = "https://api.kapso.ai/platform/v1";

    fn opener(url: &str, key: &str) -> Opener {
        let url = url::Url::parse(url).unwrap();
        Opener { base_url: (&url).into(), key: key.into(), sources: [Source::Conversations].into() }
    }

    fn kept(url: &str, key: &str) -> Identity {
        Identity::first(&opener(url, key), [7; 16])
    }

    fn filled() -> Account {
        let mut account = Account::new(Settings::default());
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        account.conversation_not_found(&"c".into(), Steady::at(now), now);
        account
    }

    #[test]
    fn the_same_api_and_key_are_recognised() {
        let kept = kept(URL, "key");
        assert_eq!(recognise(Some(&kept), &filled(), &opener(URL, "key")), Recognition::Same);
        let with_slash = format!("{URL}/");
        assert_eq!(recognise(Some(&kept), &filled(), &opener(&with_slash, "key")), Recognition::Same);
    }

    #[test]
    fn another_key_is_a_question_for_kapso() {
        let kept = kept(URL, "key");
        assert_eq!(recognise(Some(&kept), &filled(), &opener(URL, "new key")), Recognition::OtherKey);
        assert_eq!(recognise(None, &filled(), &opener(URL, "key")), Recognition::OtherKey, "an older file");
    }

    #[test]
    fn another_api_is_named_whatever_the_key() {
        let (kept, other) = (kept(URL, "key"), opener("https://proxy.example/v1", "key"));
        assert_eq!(
            recognise(Some(&kept), &filled(), &other),
            Recognition::OtherUrl(opener(URL, "").base_url)
        );
    }

    #[test]
    fn an_empty_account_may_be_anyones() {
        let empty = Account::new(Settings::default());
        let other = opener("https://proxy.example/v1", "new key");
        assert_eq!(recognise(None, &empty, &other), Recognition::New);
        assert_eq!(recognise(Some(&kept(URL, "key")), &empty, &other), Recognition::New);
    }

    #[test]
    fn hashes_of_one_key_differ_from_account_to_ledger() {
        let (one, key) = (kept(URL, "key"), opener(URL, "key"));
        let other = Identity::first(&key, [8; 16]);
        assert!(one.key_hash != other.key_hash && other.is_key(&key.key));
    }

    #[test]
    fn one_id_in_common_is_the_same_project_and_none_is_another() {
        assert_eq!(judge(&["a", "b"], &["b", "c"]), Judgement::SameProject);
        assert_eq!(judge(&["a", "b"], &["c"]), Judgement::OtherProject);
    }

    #[test]
    fn an_empty_answer_tells_nothing_of_an_account_that_knows_something() {
        assert_eq!(judge(&["a"], &[]), Judgement::Unknown);
        assert_eq!(judge::<&str>(&[], &[]), Judgement::SameProject);
        assert_eq!(judge(&[], &["a"]), Judgement::SameProject);
    }

    #[test]
    fn sources_of_earlier_runs_are_kept_until_nothing_is_open_that_only_they_see() {
        let (first, workflows) = (kept(URL, "key"), [Source::Workflows].into());
        let mut next = first.next(&Opener { sources: workflows, ..opener(URL, "key") });
        assert_eq!(next.sources(), Some([Source::Conversations, Source::Workflows].into()));
        assert!(next.confirm_sources(&[Source::Workflows].into()));
        assert_eq!(next.sources(), Some([Source::Workflows].into()));
        assert!(!next.confirm_sources(&[Source::Workflows].into()), "nothing to write");
    }

    #[test]
    fn sources_of_an_older_file_are_not_known_until_then() {
        let older = Identity::adopted(&opener(URL, "key"), [7; 16]);
        let mut next = older.next(&opener(URL, "key"));
        assert_eq!(next.sources(), None);
        assert!(next.confirm_sources(&[Source::Conversations].into()));
    }

    #[test]
    fn a_source_that_is_not_known_is_left_out() {
        let mut identity = kept(URL, "key");
        identity.sources = Some(["workflows", "telepathy"].map(Into::into).into());
        assert_eq!(identity.sources(), Some([Source::Workflows].into()));
    }
}
