//! The routes, and the headers of what they answer.
//!
//! No page needs anything from elsewhere, so nothing else is allowed: no script, no frame, and styles and forms of this
//! server alone. The stylesheet's URL changes with its content.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, Query as FromQuery, State},
    http::{HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    super::Pages,
    executions::idlest,
    index::{Index, Query},
    page::{Frame, REFRESH},
    project::ProjectPage,
    report::{StatusReport, WorkflowReport},
    workflow::WorkflowPage,
};
use crate::clock::Clock;

const STYLE: &str = include_str!("../../../templates/status.css");
const OPENAPI: &str = include_str!("../../../docs/openapi.json");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The stylesheet of one version never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

static STYLESHEET: LazyLock<String> =
    LazyLock::new(|| format!("/status.css?v={}", hex::encode(&Sha256::digest(STYLE)[..8])));

/// What answers have in common that show something.
const SAFE: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    pages: Pages,
    /// One asks an account at a time.
    turn: Arc<Semaphore>,
}

/// The page of an address that is none.
#[derive(Template)]
#[template(path = "missing.html")]
struct Missing {
    frame: Frame,
    what: &'static str,
}

/// The pages and the API.
pub(in crate::web) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/projects/{name}", get(project))
        .route("/projects/{name}/workflows/{api}/{id}", get(workflow))
        .route("/status.css", get(|| async { stylesheet() }))
        .route("/api/v1/status", get(status))
        .route("/api/v1/openapi.json", get(openapi))
        .with_state(Shared { pages, turn: Arc::new(Semaphore::new(1)) })
}

/// What `path` shows while the state file is not open; `None` where that is nothing.
pub(in crate::web) fn starting(path: &str, clock: &Clock, started: Instant) -> Option<Response> {
    let report = StatusReport::starting(started.elapsed().as_secs_f64());
    match path {
        "/api/v1/status" => Some((SAFE, Json(report)).into_response()),
        "/" => {
            let query = Query::default();
            let frame = frame("kapso-exporter", "/metrics", clock, &query);
            Some(html(StatusCode::OK, &Index::new(frame, &report, &query, true)))
        }
        "/status.css" => Some(stylesheet()),
        _ => None,
    }
}

fn frame(title: &str, telemetry_path: &str, clock: &Clock, query: &Query) -> Frame {
    let refresh = REFRESH.to_string();
    let refreshes = query.refresh == refresh;
    Frame {
        title: title.into(),
        telemetry_path: telemetry_path.into(),
        stylesheet: STYLESHEET.clone(),
        refreshes,
        every: REFRESH,
        toggle: query.with("refresh", if refreshes { "" } else { &refresh }),
        now: clock.wall(),
    }
}

impl Shared {
    fn frame(&self, title: &str, query: &Query) -> Frame {
        frame(title, &self.pages.telemetry_path, &self.pages.clock, query)
    }

    fn missing(&self, what: &'static str) -> Response {
        let frame = self.frame("Not found", &Query::default());
        html(StatusCode::NOT_FOUND, &Missing { frame, what })
    }
}

fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, SAFE, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn index(State(shared): State<Shared>, FromQuery(query): FromQuery<Query>) -> Response {
    let report = StatusReport::of(&shared.pages);
    let frame = shared.frame("kapso-exporter", &query);
    html(StatusCode::OK, &Index::new(frame, &report, &query, false))
}

async fn project(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    FromQuery(query): FromQuery<Query>,
) -> Response {
    let report = StatusReport::of(&shared.pages);
    let Some(project) = report.projects.iter().find(|project| *project.name == *name) else {
        return shared.missing("There is no project of this name.");
    };
    let frame = shared.frame(&format!("{name} · kapso-exporter"), &query);
    html(StatusCode::OK, &ProjectPage::new(frame, project, &query))
}

async fn workflow(
    State(shared): State<Shared>,
    Path((name, api, id)): Path<(String, String, String)>,
    FromQuery(query): FromQuery<Query>,
) -> Response {
    let report = StatusReport::of(&shared.pages);
    let streams = shared.pages.renderer.streams().all();
    let stream = streams.iter().find(|stream| *stream.key.project == *name && stream.key.api.as_str() == api);
    let found = report.projects.iter().find(|project| *project.name == *name).and_then(|project| {
        let is_meant = |workflow: &&WorkflowReport| workflow.api == api && *workflow.id == *id;
        Some((stream?, project, project.workflows.iter().find(is_meant)?))
    });
    let Some((stream, project, workflow)) = found else {
        return shared.missing("There is no such workflow in this project.");
    };
    let open = match workflow.number {
        Some(number) => Some(idlest(&shared.turn, stream.clone(), number).await),
        None => None,
    };
    let frame = shared.frame(&format!("{} · {name} · kapso-exporter", workflow.name), &query);
    html(StatusCode::OK, &WorkflowPage::new(frame, project, workflow, open))
}

async fn status(State(shared): State<Shared>) -> Response {
    (SAFE, Json(StatusReport::of(&shared.pages))).into_response()
}

async fn openapi() -> Response {
    (SAFE, [(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

fn stylesheet() -> Response {
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    let safe = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    ([kind, safe, (header::CACHE_CONTROL, FOR_EVER)], STYLE).into_response()
}
