//! Executions that webhook deliveries name: they are looked at next, one by one, each request in its turn.
//!
//! What a delivery tells of an execution that no list has shown waits until the API shows it. One that the API does not
//! have may be there in a moment; after the last of [`AGAIN`] it is asked for no more, as that of a test delivery.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::CrawlContext;
use crate::model::ExecutionId;

/// When an execution is looked for again that the API did not have, as Kapso repeats deliveries.
const AGAIN: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(40), Duration::from_secs(90)];
/// From one look at the clock to the next, while it is in doubt.
const CLOCK_PAUSE: Duration = Duration::from_secs(1);
/// More that are named at once wait for polling.
const MOST: usize = 1_000;

/// Executions that are to be looked at.
#[derive(Debug, Default)]
pub struct Named {
    queue: Mutex<VecDeque<Look>>,
    more: Notify,
}

#[derive(Debug)]
struct Look {
    id: ExecutionId,
    at: Instant,
    /// How many were in vain.
    tries: usize,
}

impl Named {
    /// Looks at this one next.
    pub fn push(&self, id: &ExecutionId) {
        let mut queue = self.queue.lock();
        if queue.len() < MOST && !queue.iter().any(|look| look.id == *id && look.tries == 0) {
            queue.push_back(Look { id: id.clone(), at: Instant::now(), tries: 0 });
            self.more.notify_one();
        }
    }

    /// The one that has been due for longest; waits until there is one.
    async fn next(&self) -> Look {
        loop {
            let next = self.queue.lock().iter().map(|look| look.at).min();
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.more.notified() => continue,
            }
            let mut queue = self.queue.lock();
            let first = queue.iter().enumerate().min_by_key(|(_, look)| look.at).map(|(number, _)| number);
            if let Some(look) = first.and_then(|number| queue.remove(number)) {
                return look;
            }
        }
    }

    fn again(&self, look: Look, after: Duration) {
        self.queue.lock().push_back(Look { at: Instant::now() + after, ..look });
        self.more.notify_one();
    }
}

/// Looks at the executions that are named.
pub struct FollowUp {
    context: CrawlContext,
    named: Arc<Named>,
    /// After a failure, for as long.
    pause: Duration,
}

impl FollowUp {
    /// One that has not begun, and tries again after `pause` where a request fails.
    #[must_use]
    pub fn new(context: CrawlContext, named: Arc<Named>, pause: Duration) -> Self {
        Self { context, named, pause }
    }

    /// Looks, for good: first for all that an earlier run was told of and had not found.
    pub async fn run(self) {
        let awaited = self.context.account.lock().ledger.awaited();
        for id in &awaited {
            self.named.push(id);
        }
        loop {
            let look = self.named.next().await;
            self.look(look).await;
        }
    }

    /// What is shown before it is known what time it is at Kapso could not be told from history. The sources ask first.
    async fn wait_for_the_clock(&self) {
        while !self.context.client.clock().is_settled() {
            sleep(CLOCK_PAUSE).await;
        }
    }

    async fn look(&self, look: Look) {
        self.wait_for_the_clock().await;
        if let Err(error) = self.context.fetch_one(&look.id).await {
            tracing::debug!(%error, "an execution that a delivery names");
            return self.named.again(look, self.pause);
        }
        if !self.context.account.lock().ledger.awaits(&look.id) {
            return;
        }
        // After the last one a list may show it yet.
        if let Some(&after) = AGAIN.get(look.tries) {
            self.named.again(Look { tries: look.tries + 1, ..look }, after);
        }
    }
}
