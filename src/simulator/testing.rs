//! What the module's tests share: a clock to start from, and a client in process.
#![allow(clippy::unwrap_used)]

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use jiff::Timestamp;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{DEFAULT_KEY, Scenario, Simulator};
use crate::clock::Clock;

/// A simulator whose time starts at noon and follows tokio's.
pub fn simulator(scenario: Scenario) -> Simulator {
    Simulator::new(scenario, Clock::following_tokio(noon()))
}

/// When the tests' worlds start, in the middle of no minute.
pub fn noon() -> Timestamp {
    "2026-11-02T12:00:00Z".parse().unwrap()
}

/// An answer as a client reads it; without a JSON body it is null.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    /// The ids of the page's items.
    pub fn ids(&self) -> Vec<String> {
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        self.body["data"].as_array().unwrap().iter().map(id).collect()
    }

    /// The cursor of the next page, escaped for a query.
    pub fn next(&self) -> Option<String> {
        self.body["paging"]["next"].as_str().map(escaped)
    }

    /// A header's text, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A cursor as it goes into a query.
pub fn escaped(cursor: &str) -> String {
    cursor.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// A GET with the scenario's usual key.
pub async fn get(simulator: &Simulator, path: &str) -> Reply {
    request(simulator, "GET", path, Some(DEFAULT_KEY), "").await
}

/// Any request.
pub async fn request(
    simulator: &Simulator,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: &str,
) -> Reply {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        builder = builder.header("X-API-Key", key);
    }
    let request = builder.body(Body::from(body.to_owned())).unwrap();
    let response = simulator.router().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}
