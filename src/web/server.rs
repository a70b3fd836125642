//! The listener's side of the server: sockets, limits on what a connection may take, and the graceful stop.
//!
//! A client is untrusted. What it may take is bounded in
//! - **time**: a request's head has 45 s to arrive, an idle connection as long to ask again; an answer has 30 s
//!   to be taken. Only webhook deliveries have a body that is read (see `webhooks`): another request that has one is
//!   answered at once, and its connection closed.
//! - **memory**: a head has 16 KiB and 64 headers, and an exposition is sent from the one copy that all share.
//! - **number**: there are 512 connections at most, and a newcomer always gets in: see `connections`.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connections::{Asked, Connection, Connections},
    deadline::WriteDeadline,
};

/// Connections at the same time. With the exporter's own files that is well below 1024, the usual limit of a
/// process.
const MAX_CONNECTIONS: usize = 512;
/// For a request's head to arrive, the wait for it on an idle connection included. No usual scrape interval,
/// so that a connection is not closed just when the next scrape begins.
const HEAD_TIMEOUT: Duration = Duration::from_secs(45);
/// For an answer to be taken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes and in headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// Between attempts to accept a connection while there are too many open files, in the process or the system.
const NO_FILES_PAUSE: Duration = Duration::from_millis(5);
const NO_FILES: [i32; 2] = [23, 24];
/// Between two lines in the log that say so.
const COMPLAINT_PAUSE: Duration = Duration::from_mins(1);
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
    let tasks = TaskTracker::new();
    let connections = Connections::new(MAX_CONNECTIONS);
    let accept =
        |listener| accept(listener, router.clone(), connections.clone(), tasks.clone(), shutdown.clone());
    futures_util::future::join_all(listeners.into_iter().map(accept)).await;
    tasks.close();
    if timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::debug!(open = tasks.len(), "connections were cut off");
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
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
                stream.set_nodelay(true).ok();
                tasks.spawn(answer(stream, peer, place, router.clone(), shutdown.clone()));
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
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    (_place, asked_to_go): (Connection, Asked),
    router: Router,
    shutdown: CancellationToken,
) {
    let io = TokioIo::new(WriteDeadline::new(stream, WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let served = async {
        tokio::select! {
            result = connection.as_mut() => result,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        result = served => if let Err(error) = result {
            tracing::debug!(%peer, %error, "connection");
        },
        Ok(()) = asked_to_go => tracing::debug!(%peer, "a connection was closed to make room"),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const LARGE: usize = 1 << 20;

    /// The client's end of a connection to a server with one large page.
    async fn connected() -> DuplexStream {
        let (near, far) = duplex(1 << 10);
        let router = Router::new().route("/", get(|| async { vec![b'x'; LARGE] }));
        let place = Connections::new(1).enter().await;
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        tokio::spawn(answer(near, peer, place, router, CancellationToken::new()));
        far
    }

    /// Writes a piece again and again; how long the server put up with it.
    async fn endured(mut far: DuplexStream, piece: &[u8], pause: Duration) -> Duration {
        let begun = Instant::now();
        while far.write_all(piece).await.is_ok() && begun.elapsed() < Duration::from_hours(1) {
            sleep(pause).await;
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        let (mut far, begun) = (connected().await, Instant::now());
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed(), HEAD_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_is_given_up() {
        let second = Duration::from_secs(1);
        let endured = endured(connected().await, b"X", second).await;
        assert!(endured <= HEAD_TIMEOUT + second, "{endured:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_byte_by_byte_is_given_up() {
        let (mut far, begun) = (connected().await, Instant::now());
        far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let (mut read, mut byte) = (0, [0]);
        while far.read(&mut byte).await.unwrap() > 0 {
            read += 1;
            sleep(Duration::from_millis(20)).await;
        }
        assert!(read < LARGE / 100 && begun.elapsed() < WRITE_TIMEOUT * 2, "{read} in {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_body_is_not_read() {
        let mut far = connected().await;
        far.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n").await.unwrap();
        let endured = endured(far, &[b'x'; 1 << 10], Duration::from_millis(1)).await;
        assert!(endured < Duration::from_secs(1), "{endured:?}");
    }
}
