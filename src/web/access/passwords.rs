//! Whether a request has a user's password.
//!
//! bcrypt takes 64 ms at the usual cost, so verdicts are remembered: which passwords were right, and, apart from those
//! so that nothing wrong takes their room, the last that were wrong. What is remembered is a digest under a key of this
//! process, of the name, the hash and the password: another hash needs another verdict.

use std::{
    collections::{HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use super::attempts::{Asker, Attempts};
use crate::config::web::Users;

/// Verdicts of each kind that are remembered.
const REMEMBERED: usize = 1024;

type Digest = [u8; 32];

/// What is known of passwords.
pub(super) struct Passwords {
    key: Digest,
    known: Arc<Mutex<Known>>,
    attempts: Attempts,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// There is no password in it.
    NoneGiven,
    /// Too many wait for their turn.
    TooMany,
}

#[derive(Debug, Default)]
struct Known {
    right: Newest,
    wrong: Newest,
}

/// The newest digests.
#[derive(Debug, Default)]
struct Newest {
    all: HashSet<Digest>,
    order: VecDeque<Digest>,
}

impl Newest {
    fn insert(&mut self, digest: Digest) {
        if !self.all.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

impl Known {
    fn verdict(&self, digest: &Digest) -> Option<Verdict> {
        let right = self.right.all.contains(digest).then_some(Verdict::Right);
        right.or_else(|| self.wrong.all.contains(digest).then_some(Verdict::Wrong))
    }
}

impl Passwords {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = Digest::default();
        getrandom::fill(&mut key)?;
        Ok(Self { key, known: Arc::default(), attempts: Attempts::default() })
    }

    /// Verifies what a request has as `Authorization`, of a client at this address. There is at least one user.
    pub async fn verify(&self, users: &Users, given: Option<&HeaderValue>, peer: Option<IpAddr>) -> Verdict {
        let Some(Credentials { user, password }) = given.and_then(Credentials::of) else {
            return Verdict::NoneGiven;
        };
        let hash = users.get(&user);
        let is_user = hash.is_some();
        // Nobody is told that there is no such user: that takes as long.
        let Some(hash) = hash.or_else(|| costliest(users)).cloned() else { return Verdict::Wrong };
        let digest = self.digest(&user, &hash, &password);
        if let Some(verdict) = self.known.lock().verdict(&digest) {
            return verdict;
        }
        let known = self.known.clone();
        let verify = move || {
            // Others with the same password may have been before.
            let before = known.lock().verdict(&digest);
            let right = before.map_or_else(
                || bcrypt::verify(password.expose_secret(), hash.expose_secret()).unwrap_or(false) && is_user,
                |verdict| verdict == Verdict::Right,
            );
            let mut known = known.lock();
            if right {
                known.right.insert(digest);
            } else {
                known.wrong.insert(digest);
            }
            right
        };
        match self.attempts.verify(Asker::new(peer, is_user.then_some(user)), verify).await {
            Some(true) => Verdict::Right,
            Some(false) => Verdict::Wrong,
            None => Verdict::TooMany,
        }
    }

    fn digest(&self, user: &str, hash: &SecretString, password: &SecretSlice<u8>) -> Digest {
        // A key of any length is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return self.key };
        for part in [user.as_bytes(), hash.expose_secret().as_bytes(), password.expose_secret()] {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

fn costliest(users: &Users) -> Option<&SecretString> {
    // The cost stands behind "$2y$", with two digits.
    users.values().max_by_key(|hash| hash.expose_secret().get(4..6).map(str::to_owned))
}

/// What a request has: `Basic`, and `user:password` in base64 (RFC 7617).
struct Credentials {
    user: String,
    password: SecretSlice<u8>,
}

impl Credentials {
    fn of(header: &HeaderValue) -> Option<Self> {
        let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
        let decoded =
            BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
        Some(Self { user, password: decoded[colon + 1..].to_vec().into() })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// The lowest cost.
    fn hash(password: &str) -> SecretString {
        bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string().into()
    }

    fn users() -> Users {
        [("prometheus".into(), hash("secret")), ("grafana".into(), hash("other"))].into()
    }

    fn basic(credentials: &str) -> HeaderValue {
        format!("Basic {}", BASE64_STANDARD.encode(credentials)).parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_has_to_have_its_own_password() {
        let passwords = Passwords::new().unwrap();
        for (given, expected) in [
            ("prometheus:secret", Verdict::Right),
            ("grafana:other", Verdict::Right),
            ("prometheus:other", Verdict::Wrong),
            ("prometheus:", Verdict::Wrong),
            ("nobody:secret", Verdict::Wrong),
            ("nobody:other", Verdict::Wrong),
            (":secret", Verdict::Wrong),
            ("prometheus", Verdict::NoneGiven),
        ] {
            for _again in 0..2 {
                assert_eq!(passwords.verify(&users(), Some(&basic(given)), None).await, expected, "{given}");
            }
        }
        let bearer = HeaderValue::from_static("Bearer cHJvbWV0aGV1czpzZWNyZXQ=");
        assert_eq!(passwords.verify(&users(), Some(&bearer), None).await, Verdict::NoneGiven);
        assert_eq!(passwords.verify(&users(), None, None).await, Verdict::NoneGiven);
    }

    #[tokio::test]
    async fn a_password_that_was_right_waits_for_nobody() {
        let passwords = Passwords::new().unwrap();
        let right = basic("prometheus:secret");
        assert_eq!(passwords.verify(&users(), Some(&right), None).await, Verdict::Right);
        let again = passwords.verify(&users(), Some(&right), None).now_or_never();
        assert_eq!(again, Some(Verdict::Right));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_hash_ends_what_is_known_of_the_old_password() {
        let passwords = Passwords::new().unwrap();
        let old = basic("prometheus:secret");
        assert_eq!(passwords.verify(&users(), Some(&old), None).await, Verdict::Right);
        let users = [("prometheus".into(), hash("new"))].into();
        assert_eq!(passwords.verify(&users, Some(&old), None).await, Verdict::Wrong);
        assert_eq!(passwords.verify(&users, Some(&basic("prometheus:new")), None).await, Verdict::Right);
    }

    #[test]
    fn wrong_ones_push_out_no_right_one() {
        let mut known = Known::default();
        known.right.insert([1; 32]);
        (0..5000_u32).for_each(|number| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            known.wrong.insert(digest);
        });
        assert_eq!(known.verdict(&[1; 32]), Some(Verdict::Right));
        assert_eq!((known.wrong.all.len(), known.wrong.order.len()), (REMEMBERED, REMEMBERED));
    }
}
