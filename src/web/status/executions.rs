//! Which executions of a workflow are open: the one thing on the pages that is asked of an account.
//!
//! That looks at each open execution of the stream once, while sweeps of the stream wait. So one request at a time does it,
//! on a thread that may block, and only what is shown is copied.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{ledger::IdleExecution, project::Stream};

/// So many are listed.
pub(super) const LISTED: usize = 100;

/// The open executions in which nothing happened for longest, and how many are open.
/// `turn` admits one at a time.
pub(super) async fn idlest(
    turn: &Semaphore,
    stream: Arc<Stream>,
    workflow: usize,
) -> (Vec<IdleExecution>, usize) {
    // The semaphore is never closed.
    let _turn = turn.acquire().await.ok();
    let look = move || stream.account.lock().ledger.idlest(workflow, LISTED);
    spawn_blocking(look).await.unwrap_or_default()
}
