//! One API of Kapso: every request passes through [`Client::get`], which spends the budget, sets the
//! deadline, retries what may succeed in a moment, and tells the [`Observer`] what happened.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backon::BackoffBuilder;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    Answer, Budget, Endpoint, Error, Hanging, KapsoClock, Reason, Transport,
    address::address,
    retry::{BACKOFF, LONGEST_WAIT, delay_before_retry, retry_after},
    times::Dates,
};
use crate::{clock::Steady, model::Api};

/// How often Kapso is asked for the time while its clock is in doubt.
const ASKED_FOR_THE_TIME: Duration = Duration::from_secs(5);

/// A reading that gives way to others goes on after this time all the same.
const LONGEST_GIVING_WAY: Duration = Duration::from_secs(5);

/// Hears of every request. Implementations must not block.
pub trait Observer: Send + Sync {
    /// A request was answered with `status`, or not at all, after `elapsed`.
    fn requested(&self, api: Api, endpoint: Endpoint, status: Option<StatusCode>, elapsed: Duration);
    /// `count` requests or items were of no use.
    fn failed(&self, api: Api, reason: Reason, count: u64);
    /// An item was in a status that this program does not know, whose name is of the form `[a-z][a-z0-9_]{0,31}`.
    fn unknown_status(&self, _api: Api, _status: &str) {}
}

/// What a [`Client`] works with.
pub struct Settings {
    /// Which API this is.
    pub api: Api,
    /// Where it is; paths are appended.
    pub base: Url,
    /// For one request, everything included.
    pub timeout: Duration,
    /// Shared by all clients with the same key.
    pub budget: Arc<Budget>,
    /// Kapso's clock as this API shows it.
    pub clock: Arc<KapsoClock>,
    /// Hears of every request.
    pub observer: Arc<dyn Observer>,
    /// Ends every wait.
    pub shutdown: CancellationToken,
}

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

/// A client for one API.
pub struct Client {
    settings: Settings,
    transport: Box<dyn Transport>,
    /// Sources that share a client do not wait for its clock at the same time.
    turn: tokio::sync::Mutex<()>,
    requests: AtomicU64,
    hanging: Hanging,
}

impl Client {
    /// A client that asks through `transport`.
    #[must_use]
    pub fn new(settings: Settings, transport: impl Transport + 'static) -> Self {
        let (requests, hanging) = (AtomicU64::new(1), Hanging::default());
        let turn = tokio::sync::Mutex::default();
        Self { settings, transport: Box::new(transport), turn, requests, hanging }
    }

    /// Which API this is.
    #[must_use]
    pub fn api(&self) -> Api {
        self.settings.api
    }

    /// Kapso's clock, as the answers show it.
    #[must_use]
    pub fn clock(&self) -> &KapsoClock {
        &self.settings.clock
    }

    /// Waits while Kapso's clock contradicts ours right after a start and has not lasted, and asks for the time
    /// meanwhile.
    pub async fn settle_clock(&self) {
        let settled = async {
            let _turn = self.turn.lock().await;
            let clock = self.clock();
            if clock.is_in_doubt() {
                self.say_that_clocks_differ();
            }
            while clock.is_in_doubt() {
                sleep(ASKED_FOR_THE_TIME).await;
                self.ask_for_the_time().await;
            }
        };
        self.settings.shutdown.run_until_cancelled(settled).await;
    }

    fn say_that_clocks_differ(&self) {
        let (ours, kapsos) = (self.clock().steady_now().timestamp(), self.clock().now());
        tracing::warn!(
            api = %self.api(),
            %ours,
            %kapsos,
            "this machine and Kapso tell different times: nothing is counted until Kapso has told the same for 30s"
        );
    }

    /// Any answer does, even a refusal.
    async fn ask_for_the_time(&self) {
        match self.workflows() {
            Some(mut list) => drop(list.next().await),
            None => drop(self.conversations(None).next().await),
        }
    }

    /// Waits until no other request waits for its turn in the budget, for a while at most.
    pub(super) async fn give_way(&self) {
        let others = self.settings.budget.is_free();
        self.settings.shutdown.run_until_cancelled(timeout(LONGEST_GIVING_WAY, others)).await;
    }

    /// The requests that hang.
    #[must_use]
    pub fn hanging(&self) -> &Hanging {
        &self.hanging
    }

    /// Hears of every request.
    #[must_use]
    pub fn observer(&self) -> &dyn Observer {
        &*self.settings.observer
    }

    /// The URL with this path and query.
    ///
    /// # Errors
    /// [`Error::Unaddressable`] where it would name another path.
    pub(super) fn url(
        &self,
        endpoint: Endpoint,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Url, Error> {
        address(&self.settings.base, path, query).ok_or_else(|| {
            let error = Error::Unaddressable { endpoint };
            self.count(&error);
            error
        })
    }

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

    fn count(&self, error: &Error) {
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
        budget.acquire().await;
        let (sent, started) = (self.clock().steady_now(), Instant::now());
        begun.get_or_insert(started);
        let request_seq = self.requests.fetch_add(1, Ordering::Relaxed);
        let answer =
            self.hanging.watch(timeout(self.settings.timeout, self.transport.get(&request.url))).await;
        let status = answer.as_ref().ok().and_then(|a| a.as_ref().ok()).map(|a| a.status);
        self.observer().requested(self.api(), endpoint, status, started.elapsed());
        let answer = answer
            .map_err(|_| Error::Timeout { endpoint, after: self.settings.timeout })?
            .map_err(|message| Error::Connection { endpoint, message })?;
        self.learn(&answer.headers, sent);
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

    fn learn(&self, headers: &HeaderMap, sent: Steady) {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let limit = number("x-ratelimit-limit").filter(|&limit| limit > 0);
        if let Some(limit) = self.settings.budget.learn(limit, number("x-ratelimit-remaining")) {
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
