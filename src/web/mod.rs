//! What is served: the exposition, the probes and pages for people; and where webhook deliveries come in. Who may ask is
//! said by `access`, and how a connection is encrypted by `tls`.
//!
//! No handler asks Kapso anything or waits for a sweep; `/metrics` hands out bytes that are ready, in the format that
//! `negotiation` says, or makes them of copies.

mod access;
mod connection;
mod connections;
mod deadline;
mod listener;
mod negotiation;
mod readiness;
mod server;
mod status;
mod tls;
mod webhooks;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use tokio::{
    sync::SetOnce,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tower::ServiceExt;

use self::negotiation::{Negotiated, negotiate};
pub use self::{
    access::{Access, Opened, Rules, Watch},
    listener::{Listener, SocketFile, bind},
    readiness::Readiness,
    server::serve,
    tls::Tls,
    webhooks::Deliveries,
};
use crate::{
    clock::Clock,
    metrics::{Encoding, Renderer},
    reload::Reloading,
    replica::{Elsewhere, Fleet},
};

const HEALTHY: &str = "healthy\n";
const STARTING: &str = "not ready: the state file is not open yet\n";

/// How long requests wait for a program that starts. Scrapes and probes have to be answered before they give up.
const STARTED_SOON: Duration = Duration::from_secs(5);

/// What the handlers show.
#[derive(Clone)]
pub struct Pages {
    /// The metrics.
    pub renderer: Arc<Renderer>,
    /// Whether the numbers are there.
    pub readiness: Arc<Readiness>,
    /// Our clock.
    pub clock: Clock,
    /// When the program started.
    pub started: Instant,
    /// Where the metrics are.
    pub telemetry_path: String,
    /// Reads the configuration file again, if there is one.
    pub reloading: Option<Arc<Reloading>>,
    /// Takes webhook deliveries.
    pub deliveries: Deliveries,
    /// The other replicas, where the state is shared.
    pub replicas: Option<Replicas>,
}

/// The other replicas, as the handlers see them.
#[derive(Clone)]
pub struct Replicas {
    /// What is known of all of them.
    pub fleet: Arc<Fleet>,
    /// Takes webhook deliveries for them.
    pub elsewhere: Arc<Elsewhere>,
}

/// All routes: another path answers 404, another method 405.
pub fn router(pages: Pages) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { HEALTHY }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/webhooks/kapso/{project}", post(webhooks::deliver))
        .route(&pages.telemetry_path, get(metrics))
        .with_state(pages.clone())
        .merge(status::router(pages))
}

/// Answers as `pages` do, once there are any. Until then requests wait for them, but not for long, and the program
/// is healthy; the status tells that it starts.
pub fn starting(pages: Arc<SetOnce<Router>>, clock: Clock) -> Router {
    let started = Instant::now();
    let until = started + STARTED_SOON;
    let answer = async move |State(pages): State<Arc<SetOnce<Router>>>, request: Request| {
        if pages.get().is_none() && request.uri().path() == "/-/healthy" {
            return HEALTHY.into_response();
        }
        match timeout_at(until, pages.wait()).await {
            Ok(pages) => pages.clone().oneshot(request).await.into_response(),
            Err(_) => status::starting(request.uri().path(), &clock, started)
                .unwrap_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, STARTING).into_response()),
        }
    };
    Router::new().fallback(answer).with_state(pages)
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    if pages.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: no complete sweep yet\n")
    }
}

async fn reload(State(pages): State<Pages>) -> (StatusCode, String) {
    let Some(reloading) = &pages.reloading else {
        return (StatusCode::NOT_FOUND, "there is no configuration file (--config.file)\n".into());
    };
    match reloading.reload().await {
        Ok(_) => (StatusCode::OK, "reloaded\n".into()),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")),
    }
}

/// What was made already, or else made now, on a thread of its own.
async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let Negotiated { format, encoding, content_type } = negotiate(&headers);
    let renderer = pages.renderer;
    renderer.note_demand(format, encoding);
    let publication = renderer.newest();
    let body = match publication.made(format, encoding) {
        Some(made) => Ok(made),
        None => match spawn_blocking(move || renderer.exposition(&publication, format, encoding)).await {
            Ok(made) => made,
            Err(error) => Err(io::Error::other(error)),
        },
    };
    match body {
        Ok(body) => exposition(content_type, encoding, body),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn exposition(content_type: String, encoding: Encoding, body: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::VARY, "Accept, Accept-Encoding".into())];
    match encoding {
        Encoding::Identity => (headers, body).into_response(),
        Encoding::Gzip => (headers, [(header::CONTENT_ENCODING, "gzip")], body).into_response(),
        Encoding::Zstd => (headers, [(header::CONTENT_ENCODING, "zstd")], body).into_response(),
    }
}
