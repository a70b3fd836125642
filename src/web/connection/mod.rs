//! A connection, from its first byte to its end: TLS if there is any, and HTTP/1.1 or HTTP/2.
//!
//! A client is untrusted. What it may take is bounded in
//! - **time**: a handshake and a request's head each have a deadline, an idle connection is closed, and an answer has 30 s
//!   to be taken. In HTTP/2 neither what was not taken nor silence shows from outside, so such a connection is ended
//!   after about a minute: the client is told to open another (GOAWAY), and what is being answered has 30 s. Only
//!   webhook deliveries have a body that is read (see `webhooks`): another request of HTTP/1.1 that has one is answered
//!   at once, and its connection closed.
//! - **memory**: a head has 16 KiB and 64 headers, an HTTP/2 connection few streams and small windows, and an exposition is
//!   sent from the one copy that all share.

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    access::Access,
    deadline::WriteDeadline,
    listener::{Peer, Stream, first_byte},
    tls::Tls,
};

/// For a request's head to arrive, the wait for it on an idle connection included. No usual scrape interval,
/// so that a connection is not closed just when the next scrape begins.
const HEAD_TIMEOUT: Duration = Duration::from_secs(45);
/// For an answer to be taken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// For TLS to be agreed on.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes and in headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// An HTTP/2 connection takes no new requests after so long. No multiple of a usual scrape interval, so that it is not ended
/// just when the next scrape begins.
const HTTP2_LIFE: Duration = Duration::from_secs(67);
/// Requests of one HTTP/2 connection that are answered at the same time.
const HTTP2_STREAMS: u32 = 16;
/// What a client may send of one body, and of all, before it is read.
const HTTP2_STREAM_WINDOW: u32 = 64 << 10;
const HTTP2_WINDOW: u32 = 256 << 10;
/// The first byte of every TLS connection: a handshake.
const TLS_HANDSHAKE: u8 = 22;
const NOT_TLS: &str = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
                       Connection: close\r\n\r\nThis is an HTTPS port, and the request is plain HTTP.\n";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is served, and to whom.
pub(super) struct Served {
    pub access: Arc<Access>,
    pub pages: Router,
}

/// Serves a connection until it ends.
pub(super) async fn connection(
    stream: Stream,
    peer: Peer,
    served: Arc<Served>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let Some(tls) = served.access.rules().tls().cloned() else {
        return http1(WriteDeadline::new(stream, WRITE_TIMEOUT), peer.ip(), served, shutdown).await;
    };
    let Some(stream) = timeout(HANDSHAKE_TIMEOUT, encrypted(stream, tls)).await?? else {
        return Ok(());
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(stream, peer.ip(), served, shutdown, HTTP2_LIFE).await
    } else {
        http1(stream, peer.ip(), served, shutdown).await
    }
}

/// Agrees on TLS. `None` if the client does not want any: it is told so.
async fn encrypted(stream: Stream, tls: Tls) -> io::Result<Option<TlsStream<WriteDeadline<Stream>>>> {
    match first_byte(&stream).await? {
        Some(TLS_HANDSHAKE) => {
            let stream = WriteDeadline::new(stream, WRITE_TIMEOUT);
            match TlsAcceptor::from(tls.config).accept(stream).into_fallible().await {
                Ok(stream) => Ok(Some(stream)),
                Err((error, stream)) => {
                    linger(stream).await.ok();
                    Err(error)
                }
            }
        }
        Some(byte) if byte.is_ascii_uppercase() => refuse_plain(stream).await.map(|()| None),
        _ => Ok(None),
    }
}

async fn refuse_plain(mut stream: Stream) -> io::Result<()> {
    stream.write_all(NOT_TLS.as_bytes()).await?;
    linger(stream).await
}

/// Ends a connection so that the client learns why: one that is closed before all was read is reset, and what was written
/// to it is lost.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1 << 10];
    for _ in 0..MAX_HEAD / rest.len() {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn http1(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Option<IpAddr>,
    served: Arc<Served>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let io = TokioIo::new(stream);
    let answer = service_fn(move |request| answer(served.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, answer);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return Ok(result?),
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    Ok(connection.await?)
}

async fn http2(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Option<IpAddr>,
    served: Arc<Served>,
    shutdown: CancellationToken,
    life: Duration,
) -> Result<(), Error> {
    let io = TokioIo::new(stream);
    let answer = service_fn(move |request| answer(served.clone(), peer, request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD)?)
        .serve_connection(io, answer);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return Ok(result?),
        () = shutdown.cancelled() => {}
        () = sleep(life) => {}
    }
    connection.as_mut().graceful_shutdown();
    Ok(timeout(WRITE_TIMEOUT, connection).await??)
}

async fn answer(
    served: Arc<Served>,
    peer: Option<IpAddr>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(served.access.answer(peer, request.map(Body::new), &served.pages).await)
}

#[cfg(test)]
mod tests;
