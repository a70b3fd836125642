//! Opening accounts, and claiming them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    super::{
        Claim, Error, Kept, Mark, Opener, Standing,
        identity::{Recognition, recognise},
        new_account,
    },
    Keeper,
};
use crate::account::{Account, Settings};

/// An account and the claim to it. Nothing of the account is written before the claim is verified.
#[derive(Clone)]
pub struct OpenedAccount {
    /// Its name in the file.
    pub name: String,
    /// The account.
    pub account: Arc<Mutex<Account>>,
    /// The claim of whoever opened it.
    pub claim: Arc<Claim>,
    /// How it was found in the store.
    pub(in super::super) mark: Mark,
}

/// An account that is to be opened.
pub struct Wanted {
    /// Its name in the store.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// Who opens it.
    pub opener: Opener,
    /// The account that it goes on with, if it was open before.
    pub earlier: Option<OpenedAccount>,
}

impl OpenedAccount {
    /// An account in memory alone, of whoever began it.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn in_memory(name: String, account: Account, opener: Opener) -> Result<Self, Error> {
        let claim = Arc::new(Claim::in_memory(opener)?);
        Ok(Self { name, account: Arc::new(Mutex::new(account)), claim, mark: Mark::default() })
    }

    /// The same account, claimed by another opener than the one whose claim is verified.
    ///
    /// # Errors
    /// If it is of another API.
    pub fn claimed_by(&self, opener: Opener) -> Result<Self, Error> {
        let claim = self.claim.again(Some(&self.claim.identity()), &self.account.lock(), opener)?;
        Ok(Self { claim: Arc::new(claim), ..self.clone() })
    }
}

impl Keeper {
    /// These accounts, in their order: each as it was open before, or else as the store has it, or a new one; and the
    /// claims of those who open them. All that is read is read at once.
    ///
    /// # Errors
    /// If what is kept of one cannot be understood, or is of another API.
    pub fn accounts(&self, wanted: Vec<Wanted>) -> Result<Vec<OpenedAccount>, Error> {
        let unknown: Vec<_> = wanted.iter().filter(|it| !self.knows(it)).map(|it| &*it.name).collect();
        let mut kept = self.store.kept(&unknown)?.into_iter();
        wanted
            .into_iter()
            .map(|wanted| self.open_account(wanted, || kept.next().unwrap_or_default()))
            .collect()
    }

    /// One account, in the same way.
    ///
    /// # Errors
    /// As for several.
    pub fn account(&self, wanted: Wanted) -> Result<OpenedAccount, Error> {
        let mut kept = Vec::new();
        if !self.knows(&wanted) {
            kept = self.store.kept(&[&wanted.name])?;
        }
        self.open_account(wanted, || kept.pop().unwrap_or_default())
    }

    fn knows(&self, wanted: &Wanted) -> bool {
        wanted.earlier.is_some() || self.entry(&wanted.name).is_some()
    }

    /// The account that is kept under this name, unless others write it as well.
    fn entry(&self, name: &str) -> Option<&OpenedAccount> {
        let entry = self.accounts.iter().find(|entry| entry.opened.name == name);
        entry.filter(|_| !self.store.is_shared()).map(|entry| &entry.opened)
    }

    fn open_account(&self, wanted: Wanted, kept: impl FnOnce() -> Kept) -> Result<OpenedAccount, Error> {
        if let Some(earlier) = &wanted.earlier {
            return self.claim_again(earlier, wanted.opener);
        }
        match self.entry(&wanted.name) {
            Some(opened) => {
                opened.account.lock().configure(wanted.settings);
                self.claim_again(opened, wanted.opener)
            }
            None => self.open_kept(wanted, &kept()),
        }
    }

    fn open_kept(&self, wanted: Wanted, kept: &Kept) -> Result<OpenedAccount, Error> {
        let Wanted { name, settings, opener, .. } = wanted;
        let mut account = match &kept.saved {
            Some(saved) => Account::restore(settings.clone(), saved)
                .map_err(|damaged| Error::damaged(self.place(), damaged))?,
            None => new_account(settings.clone()),
        };
        let recognition = recognise(kept.identity.as_ref(), &account, &opener);
        if recognition == Recognition::New {
            // When somebody else began to watch an empty project says nothing about this one.
            account = new_account(settings);
        }
        let claim = Claim::new(Some(&self.place()), opener, kept.identity.as_ref(), recognition)?;
        Ok(OpenedAccount {
            name,
            account: Arc::new(Mutex::new(account)),
            claim: Arc::new(claim),
            mark: kept.mark,
        })
    }

    /// The same account, claimed by another opener.
    fn claim_again(&self, earlier: &OpenedAccount, opener: Opener) -> Result<OpenedAccount, Error> {
        match earlier.claim.standing() {
            Standing::Verified => earlier.claimed_by(opener),
            // What the earlier opener claimed was not confirmed.
            Standing::Unverified => {
                let kept = self.store.kept(&[&earlier.name])?;
                let identity = kept.first().and_then(|kept| kept.identity.as_ref());
                let claim = Arc::new(earlier.claim.again(identity, &earlier.account.lock(), opener)?);
                Ok(OpenedAccount { claim, ..earlier.clone() })
            }
        }
    }
}
