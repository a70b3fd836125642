//! State that survives: the rows of the accounts, in a [`Store`]: one file ([`FileStore`], an embedded database), or a
//! PostgreSQL that several replicas share ([`PostgresStore`]).
//!
//! What changed is written before what was counted is published: a restart never takes a counter back. What cannot be
//! written is tried again, and until then the rows that changed are kept in mind ([`Keeper`]).
//!
//! A store also tells whose each account is (`identity`). Who opens an account has a [`Claim`] to it, and nothing of
//! the account is written before that is verified.

mod claim;
mod error;
mod file_store;
mod identity;
mod keeper;
mod place;
pub mod postgres;
#[cfg(test)]
mod tests;
mod writer;

use std::time::Duration;

use jiff::Timestamp;

use self::identity::Identity;
pub use self::{
    claim::{Claim, Standing},
    error::Error,
    file_store::FileStore,
    identity::{BaseUrl, Judgement, Opener, judge},
    keeper::{Keeper, OpenedAccount, Turn, Wanted, Written},
    place::Place,
    postgres::PostgresStore,
    writer::{SharedKeeper, Writer},
};
use crate::account::{Account, Changes, Saved, Settings};

/// Tells whether an account of this name is still configured.
pub type InUse<'a> = dyn Fn(&str) -> bool + 'a;

/// Where the rows of accounts are kept, each account under its name.
pub trait Store: Send {
    /// What is kept under each of these names, in their order.
    ///
    /// # Errors
    /// If one of them cannot be read.
    fn kept(&self, names: &[&str]) -> Result<Vec<Kept>, Error>;

    /// Writes what changed in these accounts, each of them all or nothing; what became of each, in their order.
    ///
    /// # Errors
    /// If it could not be written, or that is not known; the accounts are to be given their changes back.
    fn put(&mut self, writes: &[Write<'_>]) -> Result<Vec<Fate>, Error>;

    /// Takes note of which accounts are not in use since when, and removes the rows of those that were not for as
    /// long as `least` is ago; of none, if there is no `least`. Returns whether there was something to write.
    ///
    /// # Errors
    /// If it cannot be read or written.
    fn tidy(&mut self, in_use: &InUse<'_>, now: Timestamp, least: Option<Timestamp>) -> Result<bool, Error>;

    /// Whether other processes write to it as well: an account that is opened anew is as it is kept, not as it was known.
    fn is_shared(&self) -> bool;

    /// Where it is.
    fn place(&self) -> Place;

    /// How large it is, in bytes, where that is known.
    fn size(&self) -> Option<u64>;

    /// How long to wait from a failure to the next try.
    fn retry_after(&self) -> Duration;
}

/// An account as it is kept, on its way from one store into another.
#[derive(Debug, Clone)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub saved: Saved,
    /// Whose it is, as JSON, if that is told.
    pub(crate) identity: Option<Vec<u8>>,
}

/// What is kept of an account.
#[derive(Default)]
pub struct Kept {
    /// Its rows, if there are any.
    pub(super) saved: Option<Saved>,
    /// Whose it is, if that is told.
    pub(super) identity: Option<Identity>,
    /// What its next write has to tell.
    pub(super) mark: Mark,
}

/// What was last written of an account, where several processes write to one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// How many times it was written; zero if it is not there.
    pub(super) generation: i64,
}

/// What is to be written of an account.
pub struct Write<'a> {
    pub(super) name: &'a str,
    pub(super) changes: &'a Changes,
    /// Whose it is, if that is news.
    pub(super) identity: Option<Identity>,
    pub(super) mark: Mark,
}

/// What became of a write.
#[derive(Debug)]
pub enum Fate {
    /// It is kept.
    Written(Mark),
    /// Nothing was written: somebody else may write to the account.
    NotOurs,
    /// Nothing was written: the store holds an older state of the account than it did, such as that of a backup.
    Older(Box<Saved>, Mark),
}

/// An account that notes its changes.
fn new_account(settings: Settings) -> Account {
    let mut account = Account::new(settings);
    account.track();
    account
}
