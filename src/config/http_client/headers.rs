//! `http_headers`: headers of every request, each with values, secrets and the content of files.

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

use super::authentication::header_value;
use crate::config::{
    content::{Content, Files},
    yaml::{Node, Walk, join},
};

const KEYS: [&str; 3] = ["values", "secrets", "files"];
/// Headers that the client sets itself, or that change the connection: those of `config/headers.go`, in lower case.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

/// The headers, and the secrets in them.
pub(super) fn headers(
    walk: &mut Walk,
    node: Option<&Node>,
    files: &mut dyn Files,
    secrets: &mut Vec<SecretString>,
) -> Vec<(HeaderName, HeaderValue)> {
    let section = "http_headers";
    let entries = node.and_then(|node| walk.entries(node, section)).unwrap_or_default();
    let mut headers = Vec::new();
    for (key, node) in entries {
        let path = join(section, &key.text);
        match name(&key.text) {
            Ok(name) => {
                let values = values(walk, node, &path, files, secrets);
                headers.extend(values.into_iter().map(|value| (name.clone(), value)));
            }
            Err(message) => walk.problem(key.place, &path, message),
        }
    }
    headers
}

fn name(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "that is no name of a header")?;
    if RESERVED.contains(&name.as_str()) { Err("this header cannot be set") } else { Ok(name) }
}

fn values(
    walk: &mut Walk,
    node: &Node,
    path: &str,
    files: &mut dyn Files,
    secrets: &mut Vec<SecretString>,
) -> Vec<HeaderValue> {
    let Some(header) = walk.mapping(node, path, &KEYS) else { return Vec::new() };
    let mut contents = Vec::new();
    for key in KEYS {
        let items = header.get(key).map(|node| walk.list(node, &join(path, key))).unwrap_or_default();
        for (path, item) in items {
            let content = match key {
                "files" => walk
                    .value(item, &path, |name| files.read(name.as_ref()))
                    .map(|(file, text)| (Some(file), text)),
                _ => walk.hidden(item, &path, |text| Ok((None, text.into()))),
            };
            contents
                .extend(content.map(|(file, text)| (key, Content { path, place: item.place, file, text })));
        }
    }
    let mut public = Vec::new();
    let mut value = |(key, content): &(&str, Content)| {
        let secrets = if *key == "values" { &mut public } else { &mut *secrets };
        header_value(content, secrets).map_err(|problem| walk.problems.push(problem)).ok()
    };
    contents.iter().filter_map(&mut value).collect()
}
