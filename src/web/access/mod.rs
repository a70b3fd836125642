//! Who may ask what: the passwords, the limit of requests, and the headers, as the web configuration file has them.
//!
//! Probes and webhook deliveries need no password and count in no limit: a kubelet has no password, and a delivery has a
//! signature. All other paths do, those that do not exist included. The file is looked at again and again ([`Watch`]);
//! what it says holds for open connections from their next request on, its TLS part for new connections.

mod attempts;
mod passwords;
mod watch;

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use governor::{DefaultDirectRateLimiter, Quota};
use tower::ServiceExt;

use self::passwords::{Passwords, Verdict};
pub use self::watch::{Opened, Watch};
use super::tls::Tls;
use crate::{
    config::{
        Problem,
        web::{RateLimit, WebFile},
    },
    metrics::{RequestRefusal, WebMetrics},
};

const REALM: &str = "Basic realm=\"kapso-exporter\", charset=\"UTF-8\"";
/// After so many seconds an attempt that there was no room for may be made again.
const RETRY_AFTER: &str = "1";

/// What is in force.
pub struct Access {
    rules: ArcSwap<Rules>,
    passwords: Passwords,
    metrics: Arc<WebMetrics>,
}

/// What a web configuration file comes to; by default, what there is without one.
#[derive(Default)]
pub struct Rules {
    file: WebFile,
    tls: Option<Tls>,
    limiter: Option<Limiter>,
}

enum Limiter {
    Bucket(DefaultDirectRateLimiter),
    /// A bucket that never holds a token.
    Nothing,
}

impl Rules {
    /// What a file comes to.
    ///
    /// # Errors
    /// What is wrong with a certificate or a key.
    pub fn new(file: WebFile) -> Result<Self, Problem> {
        let tls = file.tls.as_ref().map(|tls| Tls::new(tls, file.http.http2)).transpose()?;
        Ok(Self { tls, limiter: file.rate_limit.map(Limiter::new), file })
    }

    /// How connections are encrypted; `None` = they are not.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What the file says.
    #[must_use]
    pub const fn file(&self) -> &WebFile {
        &self.file
    }
}

impl Limiter {
    fn new(limit: RateLimit) -> Self {
        let quota = Quota::with_period(limit.interval).zip(limit.burst.try_into().ok());
        quota.map_or(Self::Nothing, |(quota, burst)| {
            Self::Bucket(DefaultDirectRateLimiter::direct(quota.allow_burst(burst)))
        })
    }

    fn admits(&self) -> bool {
        match self {
            Self::Bucket(bucket) => bucket.check().is_ok(),
            Self::Nothing => false,
        }
    }
}

impl Access {
    /// With these rules.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(rules: Rules, metrics: Arc<WebMetrics>) -> Result<Self, getrandom::Error> {
        Ok(Self { rules: ArcSwap::from_pointee(rules), passwords: Passwords::new()?, metrics })
    }

    /// What is in force now.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Answers a request from this address, if it may be answered; none = it came over a unix socket.
    pub(super) async fn answer(&self, peer: Option<IpAddr>, request: Request, pages: &Router) -> Response {
        let rules = self.rules.load_full();
        let refusal = if is_open(request.uri().path()) {
            None
        } else {
            let given = request.headers().get(header::AUTHORIZATION).cloned();
            self.refusal(&rules, peer, given).await
        };
        let mut response = match refusal {
            Some(refusal) => refusal,
            None => pages.clone().oneshot(request).await.into_response(),
        };
        for (name, value) in &rules.file.http.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    async fn refusal(
        &self,
        rules: &Rules,
        peer: Option<IpAddr>,
        given: Option<HeaderValue>,
    ) -> Option<Response> {
        if rules.limiter.as_ref().is_some_and(|limiter| !limiter.admits()) {
            self.metrics.request_refused(RequestRefusal::RateLimit);
            return Some(StatusCode::TOO_MANY_REQUESTS.into_response());
        }
        if rules.file.users.is_empty() {
            return None;
        }
        match self.passwords.verify(&rules.file.users, given.as_ref(), peer).await {
            Verdict::Right => None,
            Verdict::NoneGiven => Some(unauthorized()),
            Verdict::Wrong => {
                self.metrics.request_refused(RequestRefusal::WrongPassword);
                Some(unauthorized())
            }
            Verdict::TooMany => {
                self.metrics.request_refused(RequestRefusal::TooManyPasswords);
                let text = "too many passwords to check: try again\n";
                let again = [(header::RETRY_AFTER, RETRY_AFTER)];
                Some((StatusCode::TOO_MANY_REQUESTS, again, text).into_response())
            }
        }
    }
}

/// Whether a path needs no password. No other page can be below it: see `config::parse::telemetry_path`.
fn is_open(path: &str) -> bool {
    matches!(path, "/-/healthy" | "/-/ready") || path.starts_with("/webhooks/")
}

fn unauthorized() -> Response {
    let text = "a user name and a password are needed\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, REALM)], text).into_response()
}
