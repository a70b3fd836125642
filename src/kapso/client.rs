//! One API of Kapso: every request passes through [`Client::get`], which spends the budget, sets the
//! deadline, retries what may succeed in a moment, and tells the [`Observer`] what happened.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Answer, Budget, Endpoint, Error, Hanging, Reason, Transport, skew::Skew};
use crate::{
    clock::{Clock, Steady},
    execution::Api,
};

/// A `Retry-After` longer than this is not waited for: the request fails, and the sweep with it, so that the
/// exporter says it is blind. The budget stays paused all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// The waits between attempts: three at most.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(5))
    .with_max_times(3)
    .with_jitter();

/// How long a call may take at most, all its attempts and waits included, if no attempt takes longer than
/// `timeout`.
#[must_use]
pub fn longest_call(timeout: Duration) -> Duration {
    let attempts = 4;
    attempts * (LONGEST_WAIT + timeout + Duration::from_secs(5))
}

/// Hears of every request. Implementations must not block.
pub trait Observer: Send + Sync {
    /// A request was answered with `status`, or not at all, after `elapsed`.
    fn requested(&self, api: Api, endpoint: Endpoint, status: Option<StatusCode>, elapsed: Duration);
    /// `count` requests or items were of no use.
    fn failed(&self, api: Api, reason: Reason, count: u64);
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
    /// Our clock.
    pub clock: Clock,
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
    pub asked: u64,
    pub asked_at: Steady,
    pub as_of: Timestamp,
}

/// Reads a body.
pub(super) type Read<'a, T> = dyn Fn(&Body) -> Result<T, serde_json::Error> + Send + Sync + 'a;

/// A client for one API.
pub struct Client {
    settings: Settings,
    transport: Box<dyn Transport>,
    skew: Mutex<Skew>,
    requests: AtomicU64,
    hanging: Hanging,
}

impl Client {
    /// A client that asks through `transport`.
    #[must_use]
    pub fn new(settings: Settings, transport: impl Transport + 'static) -> Self {
        let (skew, requests, hanging) = (Mutex::default(), AtomicU64::new(1), Hanging::default());
        Self { settings, transport: Box::new(transport), skew, requests, hanging }
    }

    /// Which API this is.
    #[must_use]
    pub fn api(&self) -> Api {
        self.settings.api
    }

    /// The time now in Kapso's clock, as well as its `Date` headers tell.
    #[must_use]
    pub fn kapso_now(&self) -> Timestamp {
        self.in_kapso_clock(self.steady_now())
    }

    /// The time now, for all that is planned.
    #[must_use]
    pub fn steady_now(&self) -> Steady {
        self.settings.clock.steady()
    }

    /// A moment in Kapso's clock.
    #[must_use]
    pub fn in_kapso_clock(&self, at: Steady) -> Timestamp {
        let (at, skew) = (at.timestamp(), self.skew.lock().estimate());
        at.saturating_add(skew).unwrap_or(at)
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

    pub(super) fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.settings.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Gets `url` and reads its body, again and again while that may help. Boxed: the future is large.
    pub(super) fn get<'a, T: Send>(
        &'a self,
        endpoint: Endpoint,
        url: &'a Url,
        read: &'a Read<'a, T>,
    ) -> BoxFuture<'a, Result<T, Error>> {
        let retried = async move {
            let mut delays = BACKOFF.build();
            loop {
                let error = match self.attempt(endpoint, url, read).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                };
                let Some(delay) = delay_before_retry(&error, &mut delays) else {
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

    async fn attempt<T>(&self, endpoint: Endpoint, url: &Url, read: &Read<'_, T>) -> Result<T, Error> {
        let result = match self.send(endpoint, url).await {
            Ok(body) => read(&body).map_err(|e| Error::Decode { endpoint, message: defect(&e) }),
            Err(error) => Err(error),
        };
        if let Err(error) = &result
            && let Some(reason) = error.reason()
        {
            self.observer().failed(self.api(), reason, 1);
        }
        result
    }

    async fn send(&self, endpoint: Endpoint, url: &Url) -> Result<Body, Error> {
        let budget = &self.settings.budget;
        let paused = budget.paused_for();
        if paused > LONGEST_WAIT {
            let status = StatusCode::TOO_MANY_REQUESTS;
            return Err(Error::Status { endpoint, status, retry_after: Some(paused) });
        }
        budget.acquire().await;
        let (sent, started) = (self.steady_now(), Instant::now());
        let asked = self.requests.fetch_add(1, Ordering::Relaxed);
        let answer = self.hanging.watch(timeout(self.settings.timeout, self.transport.get(url))).await;
        let status = answer.as_ref().ok().and_then(|a| a.as_ref().ok()).map(|a| a.status);
        self.observer().requested(self.api(), endpoint, status, started.elapsed());
        let answer = answer
            .map_err(|_| Error::Timeout { endpoint, after: self.settings.timeout })?
            .map_err(|message| Error::Connection { endpoint, message })?;
        self.learn(&answer.headers, sent);
        self.accept(endpoint, answer, asked, sent)
    }

    fn accept(&self, endpoint: Endpoint, answer: Answer, asked: u64, sent: Steady) -> Result<Body, Error> {
        let status = answer.status;
        if status.is_success() {
            return Ok(Body { bytes: answer.body, asked, asked_at: sent, as_of: self.in_kapso_clock(sent) });
        }
        let mut retry_after = retry_after(&answer.headers, self.kapso_now());
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
        if let Some(date) = headers.get(header::DATE).and_then(|date| date.to_str().ok()) {
            let received = self.steady_now();
            self.skew.lock().observe(sent.timestamp(), received.timestamp(), date);
        }
    }
}

/// How long to wait before trying again, if that may help. After a 429 the budget itself waits.
fn delay_before_retry(error: &Error, delays: &mut impl Iterator<Item = Duration>) -> Option<Duration> {
    let delay = delays.next().filter(|_| error.is_transient())?;
    match error.retry_after() {
        Some(wait) if error.reason() == Some(Reason::RateLimited) => {
            (wait <= LONGEST_WAIT).then_some(Duration::ZERO)
        }
        _ => Some(delay),
    }
}

/// `Retry-After` in either form: seconds, or a date in Kapso's clock, which shows `now`.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::from(now)).unwrap_or_default())
}

/// What is wrong with a body and where, without a piece of it: serde's own text may quote values.
pub(super) fn defect(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}
