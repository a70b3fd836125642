//! What all HTTP clients of the program share.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use jiff::Timestamp;
use url::{Host, Url};

/// How the program calls itself.
pub const USER_AGENT: &str = concat!("kapso-exporter/", env!("CARGO_PKG_VERSION"));

/// Whether a URL names this machine, to which no proxy leads.
#[must_use]
pub fn is_loopback(base: &Url) -> bool {
    match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The error and its causes: reqwest's own text names the phase only.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `Retry-After` in either form: seconds, or a date in the clock of the server, which shows `now`.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::from(now)).unwrap_or_default())
}
