//! A running exporter's claim to an account that is kept.

use std::{collections::BTreeSet, io, path::Path};

use parking_lot::Mutex;

use super::{
    Error, Place,
    identity::{Identity, Opener, Recognition, Salt, recognise},
};
use crate::{account::Account, model::Source};

/// Who opened an account, and whether it is theirs. Until that is known, nothing of it is written.
pub struct Claim {
    /// Where the account is kept; `None` for one in memory alone.
    place: Option<Place>,
    opener: Opener,
    previous_sources: Option<BTreeSet<Source>>,
    current: Mutex<Current>,
}

struct Current {
    standing: Standing,
    identity: Identity,
    /// The file does not hold this identity yet.
    unwritten: bool,
}

/// Whether it is known whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is that of the project that the key belongs to, or new.
    Verified,
    /// Kapso has to be asked.
    Unverified,
}

impl Claim {
    /// The claim to an account in memory alone, of whoever began it.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn in_memory(opener: Opener) -> Result<Self, Error> {
        Self::new(None, opener, None, Recognition::New)
    }

    /// The claim of whoever was recognised to an account of which the file tells this identity.
    pub(super) fn new(
        place: Option<&Place>,
        opener: Opener,
        kept: Option<&Identity>,
        recognition: Recognition,
    ) -> Result<Self, Error> {
        let (standing, kept) = match recognition {
            Recognition::New => (Standing::Verified, None),
            Recognition::Same => (Standing::Verified, kept),
            Recognition::OtherKey => (Standing::Unverified, kept),
            Recognition::OtherUrl(found) => {
                let expected = opener.base_url;
                return Err(match place.cloned() {
                    Some(place) => Error::OtherUrl { place, found, expected },
                    None => Error::Moved { found, expected },
                });
            }
        };
        let identity = match kept {
            Some(kept) => kept.next(&opener),
            None if standing == Standing::Verified => Identity::first(&opener, salt()?),
            None => Identity::adopted(&opener, salt()?),
        };
        let previous_sources = kept.and_then(Identity::sources);
        let unwritten = kept != Some(&identity);
        let current = Mutex::new(Current { standing, identity, unwritten });
        Ok(Self { place: place.cloned(), opener, previous_sources, current })
    }

    /// The claim of the next opener to an account of which `kept` tells.
    pub(super) fn again(
        &self,
        kept: Option<&Identity>,
        account: &Account,
        opener: Opener,
    ) -> Result<Self, Error> {
        let recognition = recognise(kept, account, &opener);
        Self::new(self.place.as_ref(), opener, kept, recognition)
    }

    /// Whose the account is, as far as is known.
    pub(super) fn identity(&self) -> Identity {
        self.current.lock().identity.clone()
    }

    /// Whether it is known whose the account is.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.current.lock().standing
    }

    /// Kapso said that the key is one of the same project: counting goes on.
    pub fn verify(&self) {
        self.current.lock().standing = Standing::Verified;
    }

    /// Kapso said that the key is one of another project.
    #[must_use]
    pub fn refusal(&self) -> Error {
        let base_url = self.opener.base_url.clone();
        match self.place.clone() {
            Some(place) => Error::OtherProject { place, base_url },
            None => Error::OtherKey { base_url },
        }
    }

    /// The sources that may have told of open executions in the account, when it was opened; `None` if the account is
    /// new, or the file does not tell.
    #[must_use]
    pub fn previous_sources(&self) -> Option<&BTreeSet<Source>> {
        self.previous_sources.as_ref()
    }

    /// Takes note that the account holds no open executions but those that the present sources see. Until then the
    /// file keeps the previous sources beside them, so that a restart does not lose these.
    pub fn confirm_sources(&self) {
        let mut current = self.current.lock();
        current.unwritten |= current.identity.confirm_sources(&self.opener.sources);
    }

    /// The identity, if the file does not hold it yet.
    pub(super) fn take_unwritten(&self) -> Option<Identity> {
        let mut current = self.current.lock();
        std::mem::take(&mut current.unwritten).then(|| current.identity.clone())
    }

    /// It could not be written.
    pub(super) fn give_back(&self) {
        self.current.lock().unwritten = true;
    }
}

fn salt() -> Result<Salt, Error> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt).map_err(|error| Error::Io {
        action: "write",
        place: Path::new("/dev/urandom").into(),
        source: io::Error::other(error),
    })?;
    Ok(salt)
}
