//! What is served: the exposition, the probes and pages for people; and where webhook deliveries come in. Who may ask is
//! said by `access`, and how a connection is encrypted by `tls`.
//!
//! No handler asks Kapso anything or waits for a sweep; `/metrics` hands out bytes that are ready.

mod access;
mod connection;
mod connections;
mod deadline;
mod encoding;
mod listener;
mod readiness;
mod server;
mod status;
mod tls;
mod webhooks;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    sync::SetOnce,
    time::{Instant, timeout_at},
};
use tower::ServiceExt;

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
    metrics::{CONTENT_TYPE, Renderer},
    reload::Reloading,
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

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let snapshot = pages.renderer.newest();
    let vary = (header::VARY, "Accept-Encoding");
    let kind = (header::CONTENT_TYPE, CONTENT_TYPE);
    if encoding::accepts_gzip(&headers) {
        let encoding = (header::CONTENT_ENCODING, "gzip");
        return ([kind, vary, encoding], snapshot.gzip.clone()).into_response();
    }
    ([kind, vary], snapshot.plain.clone()).into_response()
}
