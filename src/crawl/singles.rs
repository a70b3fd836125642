//! Open executions that no list shows: they are asked for one by one, each once an interval.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{CrawlContext, CrawlScope};
use crate::{
    clock::Steady,
    kapso::{Error, Reason},
    model::ExecutionId,
};

/// When each was last asked for.
#[derive(Debug, Clone, Default)]
pub struct Singles(Arc<Mutex<HashMap<ExecutionId, Steady>>>);

impl Singles {
    /// Those that are due by `until`, each with the moment since when.
    pub fn due(
        &self,
        context: &CrawlContext,
        scope: &CrawlScope,
        until: Steady,
    ) -> Vec<(Steady, ExecutionId)> {
        let unlisted = context.account.lock().unlisted(scope.listed_by);
        let mut asked = self.0.lock();
        let mut before = std::mem::take(&mut *asked);
        let interval = scope.signed_interval();
        let mut due = Vec::new();
        for id in unlisted {
            let last = before.remove(&id);
            let since = last.map_or(until, |last| last.plus(interval));
            asked.extend(last.map(|last| (id.clone(), last)));
            if since <= until {
                due.push((since, id));
            }
        }
        due
    }

    /// Asks for one.
    pub async fn fetch(&self, context: &CrawlContext, id: ExecutionId) -> Result<bool, Error> {
        self.0.lock().insert(id.clone(), context.client.clock().steady_now());
        context.fetch_one(&id).await?;
        Ok(true)
    }
}

impl CrawlContext {
    /// Asks for one execution, and takes in what it is, or that it is not there.
    pub(super) async fn fetch_one(&self, id: &ExecutionId) -> Result<(), Error> {
        let requested_at = self.client.clock().steady_now();
        match self.client.workflow_execution(id).await {
            Ok(page) => self.take_in(|account, now| account.see_one(&page, now)),
            Err(error) if error.reason() == Some(Reason::NotFound) => {
                self.take_in(|account, now| account.execution_not_found(id, requested_at, now));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
