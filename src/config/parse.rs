//! Values of flags: from text to what is meant, or a sentence on what is allowed.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use secrecy::SecretString;
use strum::VariantNames;
use url::Url;

use super::{RESERVED_FOLDERS, RESERVED_PATHS, web::ListenAddress};
use crate::{
    label,
    model::{ConversationId, NativeHistograms, Source},
};

/// The longest name of a label of the user's own, in bytes.
const LONGEST_LABEL_NAME: usize = 128;

/// A value, or what is allowed.
pub type Parsed<T> = Result<T, String>;

/// `--scrape.interval`.
///
/// # Errors
/// Like all of these: what is allowed, if `text` is not.
pub fn interval(text: &str) -> Parsed<Duration> {
    duration(text, "1s", "24h")
}

/// `--scrape.lookback`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn lookback(text: &str) -> Parsed<Duration> {
    duration(text, "1m", "365d")
}

/// `--state.retention`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn retention(text: &str) -> Parsed<Duration> {
    duration(text, "1h", "3650d")
}

/// `--replica.lease-ttl`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn lease_ttl(text: &str) -> Parsed<Duration> {
    duration(text, "3s", "5m")
}

/// `--replica.instance-label`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn instance_label(text: &str) -> Parsed<String> {
    let value = text.trim();
    if (1..=label::MOST).contains(&value.len()) && !value.contains(char::is_control) {
        return Ok(value.into());
    }
    Err(format!("expected a value of 1 to {} bytes, such as kapso", label::MOST))
}

/// `--scrape.max-staleness`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn max_staleness(text: &str) -> Parsed<Duration> {
    duration(text, "1m", "365d")
}

/// `--scrape.conversation-max-age`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn max_age(text: &str) -> Parsed<Duration> {
    duration(text, "1h", "3650d")
}

/// `--scrape.timeout`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn timeout(text: &str) -> Parsed<Duration> {
    duration(text, "100ms", "5m")
}

/// `--latency` of the simulated Kapso.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn latency(text: &str) -> Parsed<Duration> {
    duration(text, "0s", "1m")
}

/// `--history-span` of the simulated Kapso.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn history_span(text: &str) -> Parsed<Duration> {
    duration(text, "1h", "365d")
}

/// A duration from `least` to `most`, both as a person would write them.
fn duration(text: &str, least: &str, most: &str) -> Parsed<Duration> {
    let parse = |text: &str| humantime::parse_duration(text.trim()).ok();
    let allowed = |duration: &Duration| parse(least) <= Some(*duration) && Some(*duration) <= parse(most);
    parse(text)
        .filter(allowed)
        .ok_or_else(|| format!("expected a duration from {least} to {most}, such as 30s, 5m or 7d"))
}

/// `--kapso.platform-url` and `--kapso.legacy-url`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn url(text: &str) -> Parsed<Url> {
    let usable = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let allowed = "expected an http or https URL without credentials, query or fragment, such as \
                   https://api.kapso.ai/platform/v1";
    Url::parse(text.trim()).ok().filter(usable).ok_or_else(|| allowed.into())
}

/// `--remote-write`.
///
/// # Errors
/// What is allowed, if `text` is not; quotes nothing of it.
pub fn remote_write_url(text: &str) -> Parsed<Url> {
    let usable =
        |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
    let url = Url::parse(text.trim()).ok().filter(usable);
    let url =
        url.ok_or("expected an http or https URL, such as https://prometheus.example.com/api/v1/write")?;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    Err("a URL with a user or a password would be seen by others; these stand in the file of \
         --remote-write.config.file, as basic_auth"
        .into())
}

/// `--remote-write.label`: the name and the value.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn remote_write_label(text: &str) -> Parsed<(String, String)> {
    let named = |first: char| first.is_ascii_alphabetic() || first == '_';
    let fits = |name: &str| {
        name.starts_with(named)
            && name.chars().all(|c| named(c) || c.is_ascii_digit())
            && !name.starts_with("__")
            && name.len() <= LONGEST_LABEL_NAME
    };
    let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    let allowed = |(name, value): &(&str, &str)| {
        fits(name) && value.len() <= label::MOST && !value.contains(char::is_control)
    };
    let (name, value) = pair.filter(allowed).ok_or_else(|| {
        format!(
            "expected NAME=VALUE, such as job=kapso-exporter: a name of up to {LONGEST_LABEL_NAME} letters, digits and \
             '_' that begins with no digit and not with '__', and a value of up to {} bytes",
            label::MOST
        )
    })?;
    Ok((name.into(), value.into()))
}

/// One of `--scrape.source`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn source(text: &str) -> Parsed<Source> {
    text.trim().parse().map_err(|_| "it is none of: auto, conversations, agents, workflows".into())
}

/// `--scrape.conversation`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn conversation(text: &str) -> Parsed<ConversationId> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let id = text.trim();
    if (1..=128).contains(&id.len()) && id.chars().all(fits) && !id.starts_with('.') {
        return Ok(id.into());
    }
    Err("expected the id of a conversation, as Kapso lists it: up to 128 letters, digits, '-', '_', '.' and ':'".into())
}

/// The id of a phone number, as Kapso lists it.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn phone_number_id(text: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let id = text.trim();
    if (1..=128).contains(&id.len()) && id.chars().all(fits) {
        return Ok(id.to_owned());
    }
    Err("expected the id of a phone number, as Kapso lists it: up to 128 letters, digits, '-' and '_'".into())
}

/// The API key, as a variable or a file holds it. The error quotes nothing of it.
///
/// # Errors
/// What is wrong, if `text` is not a key.
pub fn key(text: &str) -> Parsed<SecretString> {
    let key = text.trim();
    if key.is_empty() {
        return Err("the API key is empty".into());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the API key must be one line of visible ASCII characters".into());
    }
    Ok(key.into())
}

/// The secret of a webhook.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn webhook_secret(text: &str) -> Parsed<SecretString> {
    let secret = text.trim();
    if (1..=1024).contains(&secret.len()) && !secret.contains(char::is_control) {
        return Ok(secret.into());
    }
    Err("the secret of a webhook must be one line of 1 to 1024 bytes".into())
}

/// `--scrape.requests-per-minute`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn requests_per_minute(text: &str) -> Parsed<u32> {
    number(text, 1..=100_000)
}

/// `--metrics.max-series`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn max_series(text: &str) -> Parsed<usize> {
    number(text, 1_000..=10_000_000)
}

/// `--metrics.max-conversations`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn max_conversations(text: &str) -> Parsed<usize> {
    number(text, 0..=100_000)
}

/// `--metrics.native-histograms`. To YAML, `off` and `on` are `false` and `true`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn native_histograms(text: &str) -> Parsed<NativeHistograms> {
    let mode = match text.trim() {
        "false" => "off",
        "true" => "on",
        mode => mode,
    };
    mode.parse().map_err(|_| format!("expected {}", NativeHistograms::VARIANTS.join(", ")))
}

/// A switch of the configuration file.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn switch(text: &str) -> Parsed<bool> {
    text.trim().parse().map_err(|_| "expected true or false".to_owned())
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(text: &str, allowed: RangeInclusive<T>) -> Parsed<T> {
    let number = text.trim().parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("expected a whole number from {} to {}", allowed.start(), allowed.end()))
}

/// `--web.listen-address`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn listen_address(text: &str) -> Parsed<ListenAddress> {
    match text.trim().strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(ListenAddress::Unix(path.into())),
        Some(_) => Err("expected the whole path of a socket, such as unix:/run/kapso-exporter.sock".into()),
        None => tcp_address(text).map(ListenAddress::Tcp),
    }
}

/// `--web.listen-address` of the simulated Kapso.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn tcp_address(text: &str) -> Parsed<String> {
    let text = text.trim();
    let port = text.rsplit_once(':').and_then(|(host, port)| {
        let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        port.parse::<u16>().ok().filter(|_| !bare_ipv6)
    });
    port.map(|_| text.to_owned())
        .ok_or_else(|| "expected [HOST]:PORT, such as :10110, 127.0.0.1:10110 or [::1]:10110".into())
}

/// `--web.telemetry-path`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn telemetry_path(text: &str) -> Parsed<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let plain = text.starts_with('/') && text.chars().all(fits) && !text.contains("//");
    let is_below = |folder: &&str| text.starts_with(*folder) || text == folder.trim_end_matches('/');
    if plain && !RESERVED_PATHS.contains(&text) && !RESERVED_FOLDERS.iter().any(is_below) {
        return Ok(text.to_owned());
    }
    let (paths, folders) = (RESERVED_PATHS.join(", "), RESERVED_FOLDERS.join(", "));
    Err(format!(
        "expected a path such as /metrics, of letters, digits and '/-_.~', other than {paths}, and not below {folders}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_say_their_range() {
        assert_eq!(interval(" 90s ").unwrap(), Duration::from_secs(90));
        for bad in ["", "0s", "soon", "-5s", "5", "25h", "999999999999999999999s"] {
            let error = interval(bad).unwrap_err();
            assert_eq!(error, "expected a duration from 1s to 24h, such as 30s, 5m or 7d", "{bad}");
        }
    }

    #[test]
    fn urls_are_plain() {
        assert!(url("http://127.0.0.1:1234/platform/v1").is_ok());
        for bad in
            ["", "api.kapso.ai", "ftp://api.kapso.ai", "https://u:p@api.kapso.ai", "https://api.kapso.ai?a=b"]
        {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn conversation_ids_cannot_leave_their_path_segment() {
        assert!(conversation("0f6e-4b2a_x.y:z").is_ok());
        for bad in ["", " ", "a/b", "..", "a b", "a?b", &"x".repeat(129)] {
            assert!(conversation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_receiver_has_a_url_that_holds_no_password() {
        for good in ["http://localhost:9090/api/v1/write", "https://a.example/api/v1/write?extra_label=a=b"] {
            assert!(remote_write_url(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost:9090", "/api/v1/write", "ftp://a/b", "http://a/#b", "http://"] {
            assert!(remote_write_url(bad).unwrap_err().starts_with("expected an http or https URL"), "{bad}");
        }
        for secret in ["http://user:hunter2@a/", "http://hunter2@a/"] {
            let error = remote_write_url(secret).unwrap_err();
            assert!(error.contains("basic_auth") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_label_has_a_name_that_prometheus_takes() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(remote_write_label(" zone = eu=1 "), pair("zone", "eu=1"));
        assert_eq!(remote_write_label("job="), pair("job", ""));
        let long = format!("{}=b", "a".repeat(129));
        for bad in ["", "job", "=a", "1a=b", "a-b=c", "__a=b", "ä=b", "a=b\nc", &long, &"a=".repeat(300)] {
            assert!(remote_write_label(bad).unwrap_err().starts_with("expected NAME=VALUE"), "{bad}");
        }
    }

    #[test]
    fn listen_addresses_have_a_port() {
        for good in [":10110", "127.0.0.1:0", "localhost:80", "[::1]:10110"] {
            assert!(listen_address(good).is_ok(), "{good}");
        }
        for bad in ["", "10110", "::1", "::1:80", "localhost", ":99999", "localhost:http", "unix:", "unix:a"]
        {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
        let unix = listen_address("unix:/run/kapso exporter.sock").unwrap();
        assert_eq!(unix.to_string(), "unix:/run/kapso exporter.sock");
    }

    #[test]
    fn the_telemetry_path_hides_no_other_page() {
        assert!(telemetry_path("/custom/metrics").is_ok());
        let below = ["/-/healthy", "/api/v1/status", "/projects/a", "/webhooks/metrics", "/webhooks"];
        for bad in ["", "metrics", "/", "/a//b", "/{x}", "/a b"].into_iter().chain(below) {
            assert!(telemetry_path(bad).is_err(), "{bad}");
        }
    }
}
