//! The listener's side of the server: who gets in, and the graceful stop.
//!
//! There are 512 connections at most, and a newcomer always gets in: see `connections`. What one of them may take is
//! bounded as well: see `connection`.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    connection::{Served, connection},
    connections::{Asked, Connection, Connections},
    listener::{Listener, Peer, Stream},
};

/// Connections at the same time. With the exporter's own files that is well below 1024, the usual limit of a
/// process.
const MAX_CONNECTIONS: usize = 512;
/// Between attempts to accept a connection while there are too many open files, in the process or the system.
const NO_FILES_PAUSE: Duration = Duration::from_millis(5);
const NO_FILES: [i32; 2] = [23, 24];
/// Between two lines in the log that say so.
const COMPLAINT_PAUSE: Duration = Duration::from_mins(1);
/// For connections to finish after a stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves `pages` on all `listeners` to whom `access` lets in, until `shutdown`; then finishes what is being answered,
/// for 2 s at most.
pub async fn serve(
    listeners: Vec<Listener>,
    access: Arc<Access>,
    pages: Router,
    shutdown: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let connections = Connections::new(MAX_CONNECTIONS);
    let served = Arc::new(Served { access, pages });
    let accept =
        |listener| accept(listener, served.clone(), connections.clone(), tasks.clone(), shutdown.clone());
    futures_util::future::join_all(listeners.into_iter().map(accept)).await;
    tasks.close();
    if timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::debug!(open = tasks.len(), "connections were cut off");
    }
}

async fn accept(
    listener: Listener,
    served: Arc<Served>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let mut complained = None;
    let next = async || {
        let (stream, peer) = listener.accept().await?;
        Ok((stream, peer, connections.enter().await))
    };
    while let Some(accepted) = shutdown.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer, place)) => {
                tasks.spawn(answer(stream, peer, place, served.clone(), shutdown.clone()));
            }
            Err(error) => refused(&error, &connections, &mut complained).await,
        }
    }
}

/// A connection that breaks before it is accepted is none. Without a file for it, another one makes room.
async fn refused(error: &io::Error, connections: &Connections, complained: &mut Option<Instant>) {
    if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_PAUSE) {
        tracing::warn!(%error, "cannot accept a connection");
        *complained = Some(Instant::now());
    }
    if error.raw_os_error().is_some_and(|code| NO_FILES.contains(&code)) {
        connections.make_room();
        sleep(NO_FILES_PAUSE).await;
    }
}

async fn answer(
    stream: Stream,
    peer: Peer,
    (_place, asked_to_go): (Connection, Asked),
    served: Arc<Served>,
    shutdown: CancellationToken,
) {
    tokio::select! {
        result = connection(stream, peer, served, shutdown) => if let Err(error) = result {
            tracing::debug!(%peer, error, "connection");
        },
        Ok(()) = asked_to_go => tracing::debug!(%peer, "a connection was closed to make room"),
    }
}
