//! Sending: each request until it is taken, or refused for good.

use std::{error::Error, io, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use prost::Message;
use secrecy::{ExposeSecret, SecretString};

use super::{client::Client, message::WriteRequest};
use crate::http_client::{describe, retry_after};

/// The waits between attempts: 13 s together, at most twice that with jitter.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(500))
    .with_max_delay(Duration::from_secs(5))
    .with_max_times(5)
    .with_jitter();
/// A `Retry-After` longer than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How much is shown of what a receiver answers, in characters.
const LONGEST_QUOTE: usize = 300;
/// How much is read of it, in bytes.
const MOST_READ: usize = 4096;

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No answer.
    #[error("{0}")]
    Connection(String),
    /// One of the two does not trust the other.
    #[error("{0}")]
    Tls(String),
    /// Another answer than success.
    #[error("the receiver answered {status}{}", said(.text))]
    Refused {
        /// What it answered.
        status: StatusCode,
        /// The start of its text.
        text: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl SendError {
    /// Whether another attempt may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Tls(_) => false,
            Self::Refused { status, retry_after, .. } => {
                let is_soon = retry_after.is_none_or(|wait| wait <= LONGEST_WAIT);
                (status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS) && is_soon
            }
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Connection(_) | Self::Tls(_) => None,
        }
    }
}

/// Sends a request, again and again while that may help.
pub(super) async fn send(
    client: &Client,
    secrets: &[SecretString],
    request: &WriteRequest,
    now: impl Fn() -> Timestamp,
) -> Result<(), SendError> {
    let body =
        body(request).map_err(|error| SendError::Connection(format!("cannot compress it: {error}")))?;
    let attempt = || attempt(client, secrets, body.clone(), &now);
    let wait = |error: &SendError, delay: Option<Duration>| {
        delay.map(|delay| error.wait().unwrap_or_default().max(delay))
    };
    let tell = |error: &SendError, delay| tracing::warn!(%error, ?delay, "remote write is tried again");
    attempt.retry(BACKOFF).when(SendError::is_transient).adjust(wait).notify(tell).await
}

/// The message, compressed in the block format of snappy.
pub(super) fn body(request: &WriteRequest) -> Result<Bytes, snap::Error> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).map(Bytes::from)
}

async fn attempt(
    client: &Client,
    secrets: &[SecretString],
    body: Bytes,
    now: &impl Fn() -> Timestamp,
) -> Result<(), SendError> {
    let request = client.http.post(client.url.clone()).headers(client.headers.clone()).body(body);
    let request = request
        .header(header::CONTENT_ENCODING, "snappy")
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0");
    let answer = request.send().await;
    let mut answer = answer.map_err(|error| {
        let kind = if is_tls(&error) { SendError::Tls } else { SendError::Connection };
        kind(without(secrets, describe(&error.without_url())))
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let retry_after = retry_after(answer.headers(), server_time(answer.headers()).unwrap_or_else(now));
    let text = without(secrets, start(&mut answer).await);
    let text = match answer.headers().get(header::LOCATION) {
        Some(_) if status.is_redirection() => "a redirect that is not followed".into(),
        _ => text,
    };
    Err(SendError::Refused { status, text, retry_after })
}

/// Whether it is TLS that failed, as it will again: an I/O error holds the error of TLS, and does not show it as its source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || within.is_some_and(|within| is_tls(within))
        || error.source().is_some_and(is_tls)
}

/// The time in the server's clock, if it tells it.
fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    Timestamp::try_from(date).ok()
}

/// The start of the text, on one line. What cannot be read is left out: the status tells more.
async fn start(answer: &mut reqwest::Response) -> String {
    let mut read = Vec::new();
    while read.len() < MOST_READ
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        read.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// The text in one line, shortened, without any of the secrets: a receiver may quote them.
fn without(secrets: &[SecretString], text: String) -> String {
    let known = secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
    let text = known.fold(text, |text, secret| text.replace(secret, "<secret>"));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(LONGEST_QUOTE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder;

    use super::*;

    #[test]
    fn it_is_not_tried_for_ever() {
        let waits: Vec<_> = BACKOFF.build().collect();
        assert!(waits.len() == 5 && waits.iter().sum::<Duration>() < Duration::from_secs(30), "{waits:?}");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status, seconds: Option<u64>| SendError::Refused {
            status: StatusCode::from_u16(status).unwrap(),
            text: String::new(),
            retry_after: seconds.map(Duration::from_secs),
        };
        for (status, seconds, expected) in [
            (500, None, true),
            (503, Some(60), true),
            (503, Some(61), false),
            (429, Some(1), true),
            (400, None, false),
            (401, Some(1), false),
            (308, None, false),
        ] {
            assert_eq!(refused(status, seconds).is_transient(), expected, "{status} {seconds:?}");
        }
    }

    #[test]
    fn what_a_receiver_says_is_one_short_line_without_a_secret() {
        let secrets = ["hunter2".into(), "".into()];
        let said = without(&secrets, format!("wrong:\thunter2\r\n\u{7}<b>{}", "ä".repeat(400)));
        assert!(said.starts_with("wrong: <secret> <b>ä") && said.ends_with("ä…"), "{said}");
        assert_eq!(said.chars().count(), LONGEST_QUOTE + 1);
    }
}
