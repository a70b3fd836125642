//! The listener's side of the server: sockets, limits on what a connection may take, and the graceful stop.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::deadline::WriteDeadline;

/// Connections at the same time; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 512;
/// For a request's head to arrive, the wait for it on an idle connection included. No usual scrape interval,
/// so that a connection is not closed just when the next scrape begins.
const HEAD_TIMEOUT: Duration = Duration::from_secs(45);
/// For an answer to be taken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes and in headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// For connections to finish after a stop.
const GRACE: Duration = Duration::from_secs(2);

/// Binds `address`, such as `:10110`, `127.0.0.1:0` or `localhost:10110`. Without a host it is every address
/// of the machine, IPv6 and IPv4.
///
/// # Errors
/// If the address cannot be resolved, is taken or not ours.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await;
    };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            // A machine without IPv6.
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

/// Serves `router` on all `listeners` until `shutdown`; then finishes what is being answered, for 2 s at most.
pub async fn serve(listeners: Vec<TcpListener>, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept =
        |listener| accept(listener, router.clone(), slots.clone(), connections.clone(), shutdown.clone());
    futures_util::future::join_all(listeners.into_iter().map(accept)).await;
    connections.close();
    if timeout(GRACE, connections.wait()).await.is_err() {
        tracing::debug!(open = connections.len(), "connections were cut off");
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let Some((Ok(slot), accepted)) = shutdown.run_until_cancelled(next).await else {
            return;
        };
        match accepted {
            Ok((stream, peer)) => {
                let answer = answer(stream, peer, router.clone(), shutdown.clone());
                connections.spawn(async move {
                    answer.await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: that passes as connections end.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, router: Router, shutdown: CancellationToken) {
    stream.set_nodelay(true).ok();
    let io = TokioIo::new(WriteDeadline::new(stream, WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection");
    }
}
