//! An answer before it is put on the wire, and the shapes in which the APIs report errors.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::limit::Usage;

/// What the body says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Json(Value),
    Html(String),
    Nothing,
}

/// How the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Whole,
    /// Half of it is sent, then the connection breaks.
    Cut,
    /// The connection breaks before the first byte.
    Reset,
    /// Nothing is ever sent.
    Never,
}

/// The `Date` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Date {
    /// The time of the answer.
    Now,
    /// None.
    Missing,
    /// Not a date.
    Odd,
}

/// A status, headers of its own and a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    pub ending: Ending,
    pub date: Date,
    /// Its own delay, on top of the usual latency.
    pub delay: Duration,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: Content::Json(body),
            ending: Ending::Whole,
            date: Date::Now,
            delay: Duration::ZERO,
        }
    }

    /// 200 with a JSON body.
    pub fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// An answer with a page as a proxy sends it.
    pub fn html(status: StatusCode, title: &str) -> Self {
        let page =
            format!("<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>");
        Self { content: Content::Html(page), ..Self::json(status, Value::Null) }
    }

    /// An error as `{"error": message}`.
    pub fn error(status: StatusCode, message: &str) -> Self {
        Self::json(status, json!({"error": message}))
    }

    /// An error in one of the shapes that occur, chosen by `variety`.
    pub fn some_error(status: StatusCode, message: &str, variety: u64) -> Self {
        match variety % 6 {
            0 => Self::error(status, message),
            1 => Self::json(status, json!({"error": {"message": message}})),
            2 => Self::json(status, json!({"message": message, "detail": "See the API reference"})),
            3 => Self::json(status, json!({"errors": {"base": [message]}})),
            4 => Self::html(status, message),
            _ => Self { content: Content::Nothing, ..Self::json(status, Value::Null) },
        }
    }

    /// 400 for one query parameter.
    pub fn invalid(parameter: &str, what: &str) -> Self {
        let mut errors = serde_json::Map::new();
        errors.insert(parameter.to_owned(), json!([what]));
        Self::json(StatusCode::BAD_REQUEST, json!({"errors": errors}))
    }

    /// 429 with the wait in seconds.
    pub fn rate_limited(retry_after: u32) -> Self {
        let body = json!({
            "error": "Rate limit exceeded",
            "message": format!("Too many requests. Please retry after {retry_after} seconds."),
        });
        Self::json(StatusCode::TOO_MANY_REQUESTS, body).with_header("retry-after", retry_after.to_string())
    }

    /// The same answer with one more header.
    pub fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same answer with the rate limit's headers, where they are shown.
    pub fn with_usage(self, usage: Usage) -> Self {
        let Some((limit, remaining)) = usage.shown else {
            return self;
        };
        self.with_header("x-ratelimit-limit", limit.to_string())
            .with_header("x-ratelimit-remaining", remaining.to_string())
    }

    /// The same answer with another ending.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The HTTP status as it goes into the record: 0 where no answer is begun.
    pub fn recorded_status(&self) -> u16 {
        match self.ending {
            Ending::Whole | Ending::Cut => self.status.as_u16(),
            Ending::Reset | Ending::Never => 0,
        }
    }

    /// The HTTP response.
    pub fn into_response(self) -> Response {
        let (kind, bytes) = match self.content {
            Content::Json(body) => (Some("application/json; charset=utf-8"), Bytes::from(body.to_string())),
            Content::Html(page) => (Some("text/html; charset=utf-8"), Bytes::from(page)),
            Content::Nothing => (None, Bytes::new()),
        };
        let length = bytes.len();
        let mut response = Response::new(body(bytes, self.ending));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        for (name, value) in self.headers {
            headers.extend(
                HeaderValue::try_from(value).map(|value| (header::HeaderName::from_static(name), value)),
            );
        }
        response
    }
}

fn body(bytes: Bytes, ending: Ending) -> Body {
    match ending {
        Ending::Whole => Body::from(bytes),
        Ending::Cut => {
            let half = bytes.slice(..bytes.len() / 2);
            // The pause lets the server send the half before it learns that there is no other.
            let rest = async {
                tokio::task::yield_now().await;
                broken()
            };
            Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(rest)))
        }
        Ending::Reset | Ending::Never => Body::from_stream(stream::iter([broken()])),
    }
}

fn broken() -> Result<Bytes, std::io::Error> {
    Err(std::io::ErrorKind::ConnectionReset.into())
}
