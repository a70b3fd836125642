//! `http_server_config`, `basic_auth_users` and `rate_limit`.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, HeaderValue, header};
use secrecy::SecretString;

use crate::config::{
    parse::switch,
    yaml::{Mapping, Node, Walk, join},
};

/// Headers that can be set, and the values that they may have; any where none are named.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", header::CONTENT_SECURITY_POLICY, &[]),
    ("Strict-Transport-Security", header::STRICT_TRANSPORT_SECURITY, &[]),
    ("X-Content-Type-Options", header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-Frame-Options", header::X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-XSS-Protection", header::X_XSS_PROTECTION, &[]),
];
const HTTP_KEYS: [&str; 2] = ["http2", "headers"];
const LIMIT_KEYS: [&str; 2] = ["interval", "burst"];
/// A check of a password takes twice as long for each step: 64 ms at 10, 16 s at 18.
const COSTLIEST: u32 = 18;
const MOST_USERS: usize = 1000;

/// Users, and the bcrypt hashes of their passwords.
pub type Users = BTreeMap<String, SecretString>;

/// `http_server_config`.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Whether HTTP/2 is offered, over TLS.
    pub http2: bool,
    /// Headers of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The toolkit's.
impl Default for HttpConfig {
    fn default() -> Self {
        Self { http2: true, headers: Vec::new() }
    }
}

/// `rate_limit`: a bucket of `burst` tokens, which gets one back in each interval; a request takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Not zero.
    pub interval: Duration,
    /// With none, every request is refused.
    pub burst: u32,
}

pub(super) fn http(walk: &mut Walk, node: Option<&Node>) -> HttpConfig {
    let path = "http_server_config";
    let section = node.and_then(|node| walk.mapping(node, path, &HTTP_KEYS)).unwrap_or(Mapping::EMPTY);
    let http2 = section.get("http2").and_then(|node| walk.value(node, &join(path, "http2"), switch));
    let headers = section.get("headers").map(|node| headers(walk, node, &join(path, "headers")));
    HttpConfig { http2: http2.unwrap_or(true), headers: headers.unwrap_or_default() }
}

fn headers(walk: &mut Walk, node: &Node, path: &str) -> Vec<(HeaderName, HeaderValue)> {
    let Some(section) = walk.mapping(node, path, &HEADERS.map(|(name, ..)| name)) else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, header, allowed) in HEADERS {
        let parse = |text: &str| {
            if !allowed.is_empty() && !allowed.contains(&text) {
                return Err(format!("expected {}", allowed.join(" or ")));
            }
            HeaderValue::from_str(text).map_err(|_| "expected visible ASCII characters in one line".into())
        };
        let value = section.get(name).and_then(|node| walk.value(node, &join(path, name), parse));
        // A header that is blank is not set.
        headers.extend(value.filter(|value| !value.is_empty()).map(|value| (header, value)));
    }
    headers
}

pub(super) fn users(walk: &mut Walk, node: Option<&Node>) -> Users {
    let path = "basic_auth_users";
    let mut users = Users::new();
    let Some(node) = node else { return users };
    for (name, hash) in walk.entries(node, path).unwrap_or_default() {
        // A colon ends the name in a request (RFC 7617).
        if name.text.contains([':', '\n', '\r']) {
            walk.problem(name.place, path, "the name of a user has no colon and no line break");
        } else if let Some(hash) = walk.hidden(hash, &join(path, &name.text), bcrypt_hash) {
            users.insert(name.text.clone(), hash);
        }
    }
    if users.len() > MOST_USERS {
        walk.problem(
            node.place,
            path,
            format!("there are {} users; at most {MOST_USERS} can be", users.len()),
        );
    }
    users
}

/// The hash of a password: `$2y$`, the cost, 22 characters of salt, and 31 of the hash.
fn bcrypt_hash(text: &str) -> Result<SecretString, String> {
    let parts: bcrypt::HashParts = text
        .parse()
        .map_err(|_| "expected a bcrypt hash, as `htpasswd -nBC 10 \"\"` prints it after the colon")?;
    match parts.get_cost() {
        4..=COSTLIEST => Ok(text.into()),
        cost => Err(format!("its cost is {cost}; from 4 to {COSTLIEST} are taken, and 10 is usual")),
    }
}

pub(super) fn rate_limit(walk: &mut Walk, node: Option<&Node>) -> Option<RateLimit> {
    let path = "rate_limit";
    let section = walk.mapping(node?, path, &LIMIT_KEYS)?;
    let interval =
        section.get("interval").and_then(|node| walk.value(node, &join(path, "interval"), interval));
    let burst = |text: &str| text.parse().map_err(|_| "expected a whole number, such as 20".into());
    let burst = section.get("burst").and_then(|node| walk.value(node, &join(path, "burst"), burst));
    let interval = interval.filter(|interval| !interval.is_zero())?;
    Some(RateLimit { interval, burst: burst.unwrap_or_default() })
}

fn interval(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let interval = humantime::parse_duration(text).ok();
    interval
        .filter(|interval| *interval <= Duration::from_hours(1))
        .ok_or_else(|| "expected a duration up to 1h, such as 100ms or 1s, or 0 for no limit".into())
}
