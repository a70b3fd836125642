//! What a store does not hold yet of the accounts that are kept in it.

use super::{
    super::{Fate, Mark, Standing, Write, identity::Identity},
    OpenedAccount,
};
use crate::account::{Changes, Saved};

/// An account that is kept.
pub(super) struct Entry {
    pub opened: OpenedAccount,
    /// The watermarks as they were last written.
    watermarks: Vec<u8>,
    /// How it was last written.
    mark: Mark,
    /// Rows that the store holds and the account does not, where it holds an older state.
    surplus: Option<Box<Saved>>,
    /// Once it is written for the last time, it is no longer kept.
    pub released: bool,
}

/// What the file does not hold yet of an account.
pub(super) struct News<'a> {
    entry: &'a mut Entry,
    changes: Changes,
    identity: Option<Identity>,
}

impl Entry {
    pub fn new(opened: OpenedAccount) -> Self {
        Self { mark: opened.mark, opened, watermarks: Vec::new(), surplus: None, released: false }
    }

    /// What there is to write. Rows that changed while it is not known whose the account is wait until it is.
    pub fn take_news(&mut self) -> Option<News<'_>> {
        if self.opened.claim.standing() == Standing::Unverified {
            return None;
        }
        let (mut changes, identity) =
            (self.opened.account.lock().take_changes(), self.opened.claim.take_unwritten());
        if let Some(surplus) = &self.surplus {
            changes.remove_all_others(surplus);
        }
        let is_news = !changes.is_empty() || changes.watermarks != self.watermarks || identity.is_some();
        is_news.then_some(News { entry: self, changes, identity })
    }
}

impl News<'_> {
    pub fn write(&self) -> Write<'_> {
        Write {
            name: &self.entry.opened.name,
            changes: &self.changes,
            identity: self.identity.clone(),
            mark: self.entry.mark,
        }
    }

    /// Takes note of what became of it.
    pub fn end(mut self, fate: Fate) {
        match fate {
            Fate::Written(mark) => {
                self.entry.mark = mark;
                self.entry.surplus = None;
                self.entry.watermarks = std::mem::take(&mut self.changes.watermarks);
            }
            Fate::NotOurs => self.give_back(),
            Fate::Older(found, mark) => {
                self.give_back();
                self.write_all_again(found, mark);
            }
        }
    }

    /// The store is to hold all that is known here, and nothing else.
    fn write_all_again(&mut self, found: Box<Saved>, mark: Mark) {
        let entry = &mut *self.entry;
        tracing::error!(
            account = entry.opened.name,
            "the database holds an older state than this replica wrote, as after a backup was restored or a failover lost \
             something: what is known here is written again"
        );
        entry.opened.account.lock().track();
        entry.opened.claim.give_back();
        (entry.mark, entry.surplus) = (mark, Some(found));
    }

    pub fn give_back(&self) {
        self.entry.opened.account.lock().give_back(&self.changes);
        if self.identity.is_some() {
            self.entry.opened.claim.give_back();
        }
    }
}
