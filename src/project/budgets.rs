//! The budgets of the keys.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::{config::ProjectConfig, kapso::Budget};

/// The budgets of the keys, each by a hash of its key. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Budgets(Arc<Mutex<HashMap<[u8; 32], Weak<Budget>>>>);

impl Budgets {
    /// The budget of a project's key, which all share that ask with it.
    #[must_use]
    pub fn of(&self, config: &ProjectConfig) -> Arc<Budget> {
        let hash = Sha256::digest(config.key.expose_secret()).into();
        let mut budgets = self.0.lock();
        budgets.retain(|_, budget| budget.strong_count() > 0);
        if let Some(budget) = budgets.get(&hash).and_then(Weak::upgrade) {
            return budget;
        }
        let budget = Arc::new(Budget::new(config.requests_per_minute));
        budgets.insert(hash, Arc::downgrade(&budget));
        budget
    }
}
