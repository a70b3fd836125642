//! Webhook deliveries: `POST /webhooks/kapso/{project}`.
//!
//! The answer is 200 once a delivery is taken in, and kept where there is a state file; or once it is stored for the replica
//! that watches the project. Whoever sends one is not known
//! before its whole body was read, so bodies are bounded: each by [`LARGEST`], all together by [`ROOM`], and each in time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::timeout};

use super::Pages;
use crate::{
    inbox::{Fate, Inbox},
    kapso::webhook::{Headers, Refusal},
    project::{DeliveryResult, Stream},
    replica::Elsewhere,
};

/// The largest body, in bytes.
const LARGEST: usize = 256 << 10;
/// For all bodies that are being read, in KiB.
const ROOM: usize = 16 << 10;
/// For a body to arrive, and to get room before.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// For a delivery to be taken in: Kapso waits for 10 s.
const TAKEN_WITHIN: Duration = Duration::from_secs(9);
/// After so many seconds Kapso may try again what there is no room for.
const RETRY_AFTER: &str = "10";

/// Takes deliveries.
#[derive(Clone)]
pub struct Deliveries {
    inbox: Inbox,
    room: Arc<Semaphore>,
}

impl Deliveries {
    /// Into this inbox.
    #[must_use]
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox, room: Arc::new(Semaphore::new(ROOM)) }
    }

    async fn take(&self, stream: Arc<Stream>, headers: &HeaderMap, body: Body) -> Response {
        let sent = sent(headers);
        let body = match self.read(headers, body).await {
            Ok(body) => body,
            Err(result) => {
                stream.delivered(sent.claimed(), result);
                return match result {
                    DeliveryResult::Overloaded => again(),
                    _ => too_large(),
                };
            }
        };
        let told = match stream.webhook.as_ref().map(|webhook| webhook.open(sent, &body)) {
            Some(Ok(told)) => told,
            refused => {
                let refusal = refused.and_then(Result::err).unwrap_or(Refusal::Unauthorized);
                stream.delivered(sent.claimed(), refusal.into());
                return (status(refusal), format!("{refusal}\n")).into_response();
            }
        };
        match timeout(TAKEN_WITHIN, self.inbox.put(stream, told)).await {
            Ok(Fate::Taken) => "taken\n".into_response(),
            Ok(Fate::Refused) | Err(_) => again(),
        }
    }

    /// Takes a delivery to a project that another replica watches, and stores it for that one.
    async fn take_elsewhere(
        &self,
        there: &Elsewhere,
        project: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        let sent = sent(headers);
        let body = match self.read(headers, body).await {
            Ok(body) => body,
            Err(DeliveryResult::Overloaded) => return again(),
            Err(_) => return too_large(),
        };
        let told = match there.open(project, sent, &body) {
            Ok(told) => told,
            Err(refusal) => return (status(refusal), format!("{refusal}\n")).into_response(),
        };
        match there.store(project, sent.key, &body, &told).await {
            Ok(()) => "taken\n".into_response(),
            Err(error) => {
                tracing::warn!(project, "a delivery is not stored, Kapso is to send it again: {error}");
                again()
            }
        }
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, DeliveryResult> {
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let length = length.unwrap_or(LARGEST);
        if length > LARGEST {
            return Err(DeliveryResult::Malformed);
        }
        let weight = u32::try_from(length / 1024 + 1).unwrap_or(u32::MAX);
        let read = async {
            let _room = self.room.acquire_many(weight).await;
            to_bytes(body, LARGEST).await
        };
        match timeout(READ_WITHIN, read).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(DeliveryResult::Malformed),
            Err(_) => Err(DeliveryResult::Overloaded),
        }
    }
}

pub(super) async fn deliver(
    State(pages): State<Pages>,
    Path(project): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let here = pages.renderer.streams().with_webhook(&project).filter(|stream| stream.is_held());
    let there = pages.replicas.as_ref().map(|replicas| &replicas.elsewhere);
    match (here, there.filter(|there| there.takes(&project))) {
        (Some(stream), _) => pages.deliveries.take(stream, &headers, body).await,
        (None, Some(there)) => pages.deliveries.take_elsewhere(there, &project, &headers, body).await,
        (None, None) => {
            (StatusCode::NOT_FOUND, "there is no project of this name that has a webhook\n").into_response()
        }
    }
}

fn sent(headers: &HeaderMap) -> Headers<'_> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Headers {
        event: text("x-webhook-event"),
        signature: text("x-webhook-signature"),
        key: text("x-idempotency-key"),
    }
}

fn too_large() -> Response {
    (StatusCode::PAYLOAD_TOO_LARGE, "at most 256 KiB\n").into_response()
}

const fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Malformed => StatusCode::BAD_REQUEST,
    }
}

fn again() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], "not taken: send it again\n")
        .into_response()
}
