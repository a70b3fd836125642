//! The routes, and the headers of what they answer.
//!
//! No page needs anything from elsewhere, so nothing else is allowed: no script, no frame, and styles and forms of this
//! server alone. The stylesheet's URL changes with its content.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, Query as FromQuery, State},
    http::{HeaderName, StatusCode, Uri, header},
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
    report::StatusReport,
    workflow::WorkflowPage,
};
use crate::{clock::Clock, metrics::WorkflowFigures, project::StreamKey};

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
        .route("/status.css", get(style))
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
            let (frame, query) =
                (frame("kapso-exporter", "/metrics", clock, &Query::default()), Query::default());
            Some(html(StatusCode::OK, &Index::new(frame, &report, &query, true)))
        }
        "/status.css" => Some(stylesheet()),
        _ => None,
    }
}

fn frame(title: &str, telemetry_path: &str, clock: &Clock, query: &Query) -> Frame {
    let refreshes = query.refresh == REFRESH.to_string();
    Frame {
        title: title.into(),
        telemetry_path: telemetry_path.into(),
        stylesheet: STYLESHEET.clone(),
        refreshes,
        toggle: query.with("refresh", if refreshes { "" } else { "30" }),
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

    /// Where a workflow is in the newest rendering: its number, and the time at Kapso.
    fn find(&self, key: &StreamKey, id: &str) -> Option<(Option<usize>, jiff::Timestamp)> {
        let snapshot = self.pages.renderer.newest();
        let stream = snapshot.streams.iter().find(|stream| stream.key == *key)?;
        let number = stream.workflows.iter().find(|workflow: &&WorkflowFigures| *workflow.id == *id)?.number;
        let now = self.pages.clock.wall();
        Some((number, now.saturating_add(stream.skew).unwrap_or(now)))
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
    let project = report.projects.iter().find(|project| *project.name == *name);
    let workflow = |project| workflows(project).find(|workflow| workflow.api == api && *workflow.id == *id);
    let Some((project, workflow)) = project.and_then(|project| Some((project, workflow(project)?))) else {
        return shared.missing("There is no such workflow in this project.");
    };
    let streams = shared.pages.renderer.streams().all();
    let stream = streams.iter().find(|stream| *stream.key.project == *name && stream.key.api.as_str() == api);
    let found = stream.and_then(|stream| Some((stream, shared.find(&stream.key, &id)?)));
    let (open, kapso_now) = match found {
        Some((stream, (Some(number), now))) => {
            (Some(idlest(&shared.turn, stream.clone(), number).await), now)
        }
        Some((_, (None, now))) => (None, now),
        None => return shared.missing("There is no such workflow in this project."),
    };
    let frame = shared.frame(&format!("{} · {name} · kapso-exporter", workflow.name), &query);
    html(StatusCode::OK, &WorkflowPage::new(frame, project, workflow, open, kapso_now))
}

fn workflows(project: &super::report::ProjectReport) -> impl Iterator<Item = &super::report::WorkflowReport> {
    project.workflows.iter()
}

async fn status(State(shared): State<Shared>) -> Response {
    (SAFE, Json(StatusReport::of(&shared.pages))).into_response()
}

async fn openapi() -> Response {
    (SAFE, [(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn style(_: Uri) -> Response {
    stylesheet()
}

fn stylesheet() -> Response {
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    let safe = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    ([kind, safe, (header::CACHE_CONTROL, FOR_EVER)], STYLE).into_response()
}
