//! Values of flags. The first byte chooses the flag.

use std::time::Duration;

use axum::{Router, routing::get};
use kapso_exporter::config::{RESERVED_FOLDERS, RESERVED_PATHS, parse, web::ListenAddress};
use secrecy::ExposeSecret;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// What is accepted is what was documented, and can be used.
pub fn run(data: &[u8]) {
    let Some((&selector, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match selector % 10 {
        0 => listen_address(text),
        1 => telemetry_path(text),
        2 => url(text),
        3 => conversation(text),
        4 => key(text),
        5 => duration(&parse::interval(text), SECOND, DAY),
        6 => duration(&parse::lookback(text), SECOND * 60, DAY * 365),
        7 => duration(&parse::max_age(text), SECOND * 3600, DAY * 3650),
        8 => duration(&parse::timeout(text), SECOND / 10, SECOND * 300),
        _ => numbers(text),
    }
}

fn listen_address(text: &str) {
    match parse::listen_address(text) {
        Ok(ListenAddress::Tcp(address)) => {
            let (_, port) = address.rsplit_once(':').expect("a port");
            port.parse::<u16>().expect("a port");
        }
        Ok(ListenAddress::Unix(path)) => assert!(path.is_absolute()),
        Err(_) => {}
    }
}

fn telemetry_path(text: &str) {
    let Ok(path) = parse::telemetry_path(text) else { return };
    assert!(!RESERVED_FOLDERS.iter().any(|folder| path.starts_with(folder)), "other pages are there");
    // The router panics where two routes collide.
    let pages =
        RESERVED_PATHS.iter().fold(Router::<()>::new(), |router, page| router.route(page, get(|| async {})));
    let _ = pages.route(&path, get(|| async {}));
}

fn url(text: &str) {
    let Ok(url) = parse::url(text) else { return };
    assert!(["http", "https"].contains(&url.scheme()) && url.has_host());
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(url.path_segments().is_some(), "paths can be appended");
}

fn conversation(text: &str) {
    let Ok(id) = parse::conversation(text) else { return };
    assert!(id.as_str().len() <= 128 && !id.as_str().contains(['/', '?', '#', '%', '\\']));
}

fn key(text: &str) {
    let Ok(key) = parse::key(text) else { return };
    http::HeaderValue::from_str(key.expose_secret()).expect("a key can stand in a header");
    assert_eq!(format!("{key:?}"), "SecretBox<str>([REDACTED])");
}

fn duration(parsed: &Result<Duration, String>, least: Duration, most: Duration) {
    let Ok(duration) = parsed else { return };
    assert!((least..=most).contains(duration), "{duration:?}");
}

fn numbers(text: &str) {
    assert!(
        parse::requests_per_minute(text).is_ok_and(|n| (1..=100_000).contains(&n))
            || !is_plain(text, 1, 100_000)
    );
    assert!(parse::max_series(text).is_ok_and(|n| n >= 1000) || !is_plain(text, 1000, 10_000_000));
    assert!(parse::max_conversations(text).is_ok() || !is_plain(text, 0, 100_000));
}

/// Whether the text is a number in this range, written in digits alone.
fn is_plain(text: &str, least: u64, most: u64) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
}
