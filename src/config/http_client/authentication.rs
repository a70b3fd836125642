//! `basic_auth`, `authorization`, and `bearer_token`, which is an older way to say the latter: one of them at most.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{
    content::{self, Content, Files},
    yaml::{Mapping, Problem, Walk, join},
};

const BASIC_KEYS: [&str; 4] = ["username", "username_file", "password", "password_file"];
const BASIC_REFUSED: [(&str, &str); 2] = [("username_ref", NO_MANAGER), ("password_ref", NO_MANAGER)];
const AUTHORIZATION_KEYS: [&str; 3] = ["type", "credentials", "credentials_file"];
const AUTHORIZATION_REFUSED: [(&str, &str); 1] = [("credentials_ref", NO_MANAGER)];
const NO_MANAGER: &str = "there is no manager of secrets here; give the name of a file";
const NOT_A_HEADER: &str = "it holds characters that an HTTP header cannot carry";
/// Ways to say who the client is.
const WAYS: [&str; 4] = ["basic_auth", "authorization", "bearer_token", "bearer_token_file"];

/// The value of the header `Authorization`.
pub(super) fn header(
    walk: &mut Walk,
    file: Mapping<'_>,
    files: &mut dyn Files,
    secrets: &mut Vec<SecretString>,
) -> Option<HeaderValue> {
    let mut given = WAYS.iter().filter_map(|key| Some((*key, file.given(key)?)));
    if let (Some((first, _)), Some((second, node))) = (given.next(), given.next()) {
        walk.problem(node.place, second, format!("{first} is given as well; only one of them can be"));
        return None;
    }
    if let Some(node) = file.given("basic_auth") {
        let section = walk.mapping_without(node, "basic_auth", &BASIC_KEYS, &BASIC_REFUSED)?;
        return basic(walk, section, files, secrets);
    }
    if let Some(node) = file.given("authorization") {
        let section =
            walk.mapping_without(node, "authorization", &AUTHORIZATION_KEYS, &AUTHORIZATION_REFUSED)?;
        return authorization(walk, section, files, secrets);
    }
    let token = content::optional(walk, file, "", ["bearer_token", "bearer_token_file"], files)?;
    credentials(walk, "Bearer", &token, secrets)
}

/// User and password as RFC 7617 has them.
fn basic(
    walk: &mut Walk,
    section: Mapping<'_>,
    files: &mut dyn Files,
    secrets: &mut Vec<SecretString>,
) -> Option<HeaderValue> {
    let path = "basic_auth";
    let username = content::optional(walk, section, path, ["username", "username_file"], files);
    let password = content::optional(walk, section, path, ["password", "password_file"], files);
    let name = username.as_ref().map(trimmed).unwrap_or_default();
    if let Some(username) = username.as_ref().filter(|_| name.contains(':')) {
        walk.problems
            .push(username.problem("a user name cannot hold a colon, at which it would end (RFC 7617)"));
        return None;
    }
    let password = password.as_ref().map(trimmed).unwrap_or_default();
    let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
    let header = sensitive(&format!("Basic {encoded}"));
    secrets.extend([encoded.into(), password.to_owned().into()]);
    header
}

fn authorization(
    walk: &mut Walk,
    section: Mapping<'_>,
    files: &mut dyn Files,
    secrets: &mut Vec<SecretString>,
) -> Option<HeaderValue> {
    let path = "authorization";
    let scheme = section.given("type").map(|node| walk.value(node, &join(path, "type"), scheme));
    let keys = ["credentials", "credentials_file"];
    let given = content::required(walk, section, path, keys, files)?;
    let scheme = scheme.unwrap_or_else(|| Some("Bearer".into()))?;
    credentials(walk, &scheme, &given, secrets)
}

fn scheme(text: &str) -> Result<String, String> {
    let scheme = text.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        return Err("use basic_auth for it".into());
    }
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("expected the name of a scheme, such as Bearer".into());
    }
    Ok(scheme.into())
}

fn credentials(
    walk: &mut Walk,
    scheme: &str,
    given: &Content,
    secrets: &mut Vec<SecretString>,
) -> Option<HeaderValue> {
    let text = trimmed(given);
    let Some(header) = sensitive(&format!("{scheme} {text}")).filter(|_| !text.is_empty()) else {
        let message = if text.is_empty() { "it is empty" } else { NOT_A_HEADER };
        walk.problems.push(given.problem(message));
        return None;
    };
    secrets.push(text.to_owned().into());
    Some(header)
}

/// The text without the line break at the end of a file; what stands in the configuration file is meant as it is.
fn trimmed(content: &Content) -> &str {
    let text = content.text.expose_secret();
    if content.file.is_some() { text.trim() } else { text }
}

/// A value that `Debug` does not show.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The same for a header of the user's own.
pub(super) fn header_value(
    content: &Content,
    secrets: &mut Vec<SecretString>,
) -> Result<HeaderValue, Problem> {
    let text = trimmed(content);
    let value = sensitive(text).ok_or_else(|| content.problem(NOT_A_HEADER))?;
    secrets.push(text.to_owned().into());
    Ok(value)
}
