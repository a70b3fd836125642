//! Whether an API has any executions, before all of its conversations are asked: a few of those with the newest activity
//! are tried each time, others the next time.

use std::collections::HashSet;

use crate::{
    kapso::{Client, Error, Reason},
    model::ConversationId,
};

/// Conversations that are asked in a sweep.
const EACH_TIME: usize = 5;
/// So many are remembered; then all may be tried again.
const MOST: usize = 10_000;

/// What was tried so far.
#[derive(Debug, Default)]
pub(super) struct Trial(HashSet<ConversationId>);

impl Trial {
    /// Asks some conversations that were not asked before. Returns whether one of them has an execution.
    pub async fn find(&mut self, client: &Client) -> Result<bool, Error> {
        let Some(page) = client.conversations(None).next().await? else { return Ok(false) };
        if self.0.len() > MOST {
            self.0.clear();
        }
        let untried: Vec<_> = page.items.into_iter().map(|one| one.id).collect();
        for id in untried.into_iter().filter(|id| !self.0.contains(id)).take(EACH_TIME).collect::<Vec<_>>() {
            match client.executions(&id).next().await {
                Ok(Some(page)) if !page.items.is_empty() => return Ok(true),
                Err(error) if error.reason() != Some(Reason::NotFound) => return Err(error),
                _ => self.0.insert(id),
            };
        }
        Ok(false)
    }
}
