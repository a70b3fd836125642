//! The life of one request. Every request passes through [`Client::get`], which spends the budget, sets the
//! deadline, retries what may succeed in a moment, tells the observer what happened, and learns the time and the
//! rate limit from the headers of the answer.

use std::{sync::atomic::Ordering, time::Duration};

use backon::BackoffBuilder;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::{
    Answer, Client, Endpoint, Error, Place,
    retry::{BACKOFF, LONGEST_WAIT, delay_before_retry},
    times::Dates,
};
use crate::{clock::Steady, http_client::retry_after};

/// A body, the number of its request, and when it was asked for, also in Kapso's clock: what it says is at least as
/// new.
#[derive(Debug)]
pub(super) struct Body {
    pub bytes: Bytes,
    pub request_seq: u64,
    pub requested_at: Steady,
    pub as_of: Timestamp,
    /// Which times it may tell of.
    pub dates: Dates,
}

/// A request.
pub(super) struct Request {
    pub endpoint: Endpoint,
    pub url: Url,
    pub behind: Behind,
}

/// What a page is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// A cursor, which may have expired: 400 says that.
    Cursor,
    /// Nothing that could expire.
    Nothing,
}

/// Reads a body.
pub(super) type Read<'a, T> = dyn Fn(&Body) -> Result<T, serde_json::Error> + Send + Sync + 'a;

impl Client {
    /// Sends a request and reads the body, again and again while that may help and does not take long. Boxed: the
    /// future is large.
    pub(super) fn get<'a, T: Send>(
        &'a self,
        request: &'a Request,
        read: &'a Read<'a, T>,
    ) -> BoxFuture<'a, Result<T, Error>> {
        let retried = async move {
            let mut delays = BACKOFF.build();
            let mut begun = None;
            loop {
                let error = match self.attempt(request, read, &mut begun).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                let in_time = begun.is_none_or(|begun| begun.elapsed() < self.settings.timeout);
                let Some(delay) = delay_before_retry(&error, &mut delays).filter(|_| in_time) else {
                    return Err(error);
                };
                tracing::debug!(api = %self.api(), %error, ?delay, "retrying");
                sleep(delay).await;
            }
        };
        Box::pin(async move {
            let cancelled = || Err(Error::Cancelled);
            self.settings.shutdown.run_until_cancelled(retried).await.unwrap_or_else(cancelled)
        })
    }

    /// One attempt. The first one notes in `begun` when it was sent.
    async fn attempt<T>(
        &self,
        request: &Request,
        read: &Read<'_, T>,
        begun: &mut Option<Instant>,
    ) -> Result<T, Error> {
        let endpoint = request.endpoint;
        let result = match self.send(request, begun).await {
            Ok(body) => read(&body).map_err(|e| Error::Decode { endpoint, message: defect(&e) }),
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            self.count(error);
        }
        result
    }

    pub(super) fn count(&self, error: &Error) {
        if let Some(reason) = error.reason() {
            self.observer().failed(self.api(), reason, 1);
        }
    }

    async fn send(&self, request: &Request, begun: &mut Option<Instant>) -> Result<Body, Error> {
        let (budget, endpoint) = (&self.settings.budget, request.endpoint);
        let paused = budget.paused_for();
        if paused > LONGEST_WAIT {
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Error::Status { endpoint, status, retry_after: Some(paused) });
        }
        let place = budget.acquire().await;
        let (sent, started) = (self.clock().steady_now(), Instant::now());
        begun.get_or_insert(started);
        let request_seq = self.requests.fetch_add(1, Ordering::Relaxed);
        let answer =
            self.hanging.watch(timeout(self.settings.timeout, self.transport.get(&request.url))).await;
        let status = answer.as_ref().ok().and_then(|a| a.as_ref().ok()).map(|a| a.status);
        let elapsed = started.elapsed();
        self.observer().requested(self.api(), endpoint, status, elapsed);
        // What fails at once says nothing about the API's latency.
        if answer.is_err() || status.is_some_and(|status| status.is_success()) {
            self.latency.lock().learn(endpoint, elapsed, Instant::now());
        }
        let answer = answer
            .map_err(|_| Error::Timeout { endpoint, after: self.settings.timeout })?
            .map_err(|message| Error::Connection { endpoint, message })?;
        self.learn(&answer.headers, place, sent);
        self.accept(request, answer, request_seq, sent)
    }

    fn accept(
        &self,
        request: &Request,
        answer: Answer,
        request_seq: u64,
        sent: Steady,
    ) -> Result<Body, Error> {
        let (status, endpoint) = (answer.status, request.endpoint);
        if status.is_success() {
            let (as_of, dates) = (self.clock().as_of(sent), self.clock().dates());
            return Ok(Body { bytes: answer.body, request_seq, requested_at: sent, as_of, dates });
        }
        if status == StatusCode::BAD_REQUEST && request.behind == Behind::Cursor {
            return Err(Error::CursorExpired { endpoint });
        }
        let mut retry_after = retry_after(&answer.headers, self.clock().now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = *retry_after.get_or_insert(Duration::from_mins(1));
            self.settings.budget.refused(wait);
        }
        Err(Error::Status { endpoint, status, retry_after })
    }

    fn learn(&self, headers: &HeaderMap, place: Place, sent: Steady) {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let limit = number("x-ratelimit-limit").filter(|&limit| limit > 0);
        if let Some(limit) = self.settings.budget.learn(place, limit, number("x-ratelimit-remaining")) {
            let budget = self.settings.budget.status().per_minute;
            if budget > limit {
                tracing::warn!(
                    limit,
                    budget,
                    "--scrape.requests-per-minute is above the limit of the API key"
                );
            } else {
                tracing::info!(limit, budget, "the API told its limit of requests per minute");
            }
        }
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        self.clock().observe(sent, date);
    }
}

/// What is wrong with a body and where, without a piece of it: serde's own text may quote values.
pub(super) fn defect(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}
