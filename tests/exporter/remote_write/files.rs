//! Which files of `--remote-write.config.file` are refused, and what is said of them. Names are those of the test files of
//! Prometheus' own `config` package, whose cases these are.

use std::fmt::Write;

use super::{business, receiver::Receiver};
use crate::support::{Certificate, Folder, Kapso};

const REFUSED: [(&str, &str, &str); 31] = [
    ("junk", "junk\n", ":1:1: expected a mapping, found \"junk\""),
    ("misspelt", "basic_aut: {}\n", ":1:1: basic_aut: unknown key; did you mean basic_auth?"),
    (
        "http.conf.bearer-token-and-file-set.bad.yml",
        "bearer_token: hunter2\nbearer_token_file: a\n",
        ":2:20: bearer_token_file: bearer_token is given as well; only one of them can be",
    ),
    (
        "http.conf.mix-bearer-and-creds.bad.yaml",
        "authorization: {credentials: hunter2}\nbearer_token: hunter2\n",
        ":2:15: bearer_token: authorization is given as well",
    ),
    (
        "http.conf.basic-auth-and-auth-creds.too-much.bad.yaml",
        "basic_auth: {username: a}\nauthorization: {credentials: hunter2}\n",
        ":2:16: authorization: basic_auth is given as well",
    ),
    (
        "http.conf.auth-creds-and-file-set.too-much.bad.yaml",
        "authorization: {credentials: hunter2, credentials_file: server.crt}\n",
        ":1:57: authorization.credentials_file: credentials is given as well",
    ),
    (
        "http.conf.auth-creds-no-basic.bad.yaml",
        "authorization:\n  type: Basic\n  credentials: hunter2\n",
        ":2:9: authorization.type: found \"Basic\": use basic_auth for it",
    ),
    (
        "no credentials",
        "authorization: {type: Bearer}\n",
        "one of credentials and credentials_file is missing",
    ),
    (
        "username and file",
        "basic_auth: {username: a, username_file: server.crt}\n",
        ":1:42: basic_auth.username_file: username is given as well",
    ),
    (
        "password and file",
        "basic_auth: {password: hunter2, password_file: server.crt}\n",
        ":1:48: basic_auth.password_file: password is given as well",
    ),
    (
        "password_ref",
        "basic_auth: {password_ref: a}\n",
        ":1:14: basic_auth.password_ref: there is no manager of secrets",
    ),
    (
        "a colon",
        "basic_auth: {username: 'a:b'}\n",
        ":1:24: basic_auth.username: a user name cannot hold a colon",
    ),
    (
        "no such file",
        "basic_auth: {password_file: nowhere}\n",
        ":1:29: basic_auth.password_file: found \"nowhere\": cannot read it: No such file",
    ),
    (
        "line break",
        "bearer_token: \"hunter2\\nb\"\n",
        ":1:15: bearer_token: it holds characters that an HTTP header",
    ),
    ("empty", "bearer_token_file: empty\n", "empty: it is empty"),
    ("oauth2", "oauth2: {client_id: a}\n", ":1:1: oauth2: OAuth 2.0 is not supported"),
    ("sigv4", "\nsigv4: {}\n", ":2:1: sigv4: signatures of AWS are not supported"),
    ("azuread", "azuread: {}\n", ":1:1: azuread: Azure AD is not supported"),
    (
        "headers",
        "headers: {a: b}\n",
        ":1:1: headers: these are given as http_headers: {NAME: {values: [VALUE]}}",
    ),
    (
        "http.conf.headers-reserved-1.bad.yaml",
        "http_headers:\n  user-Agent: {values: [foo]}\n",
        ":2:3: http_headers.user-Agent: this header cannot be set",
    ),
    ("a header's name", "http_headers: {'a b': {values: [foo]}}\n", ": that is no name of a header"),
    (
        "a header's key",
        "http_headers: {a: {value: [foo]}}\n",
        ":1:20: http_headers.a.value: unknown key; did you mean values?",
    ),
    (
        "a header's value",
        "http_headers: {a: {secrets: [\"hunter2\\n\"]}}\n",
        ":1:30: http_headers.a.secrets[0]: it holds characters",
    ),
    ("proxy", "proxy_url: hunter2\n", ":1:12: proxy_url: expected the http or https URL of a proxy"),
    ("no_proxy", "no_proxy: a\n", ":1:11: no_proxy: proxy_url is missing"),
    (
        "both proxies",
        "proxy_url: http://a\nproxy_from_environment: true\n",
        ":2:25: proxy_from_environment: proxy_url is given as well",
    ),
    ("a switch", "enable_http2: perhaps\n", ":1:15: enable_http2: found \"perhaps\": expected true or false"),
    (
        "a key alone",
        "tls_config: {key_file: server.key}\n",
        ":1:13: tls_config: one of cert and cert_file is missing",
    ),
    (
        "a server's name",
        "tls_config: {server_name: 10.0.0.1}\n",
        ":1:27: tls_config.server_name: found \"10.0.0.1\": expected the name of a host",
    ),
    (
        "a server's name behind a proxy",
        "proxy_url: http://a\ntls_config: {server_name: a}\n",
        ":2:13: tls_config.server_name: it cannot be used by way of a proxy",
    ),
    (
        "an old version",
        "tls_config: {min_version: TLS10}\n",
        ":1:27: tls_config.min_version: found \"TLS10\": TLS before 1.2",
    ),
];

#[tokio::test]
async fn a_file_that_is_wrong_is_refused_with_its_place_and_no_secret_is_told() {
    let (kapso, receiver, folder) = (Kapso::start(business()).await, Receiver::start().await, Folder::new());
    let url = format!("--remote-write={}", receiver.url);
    folder.write("empty", "\n");
    let file = folder.path("http.yml").display().to_string();
    let mut wrong = String::new();
    for (name, text, expected) in REFUSED {
        folder.write("http.yml", text);
        let end = kapso.run("once", &[&url, &format!("--remote-write.config.file={file}")]).await;
        let is_told = end.stderr.contains(&file) && end.stderr.contains(expected);
        if end.code != Some(2) || !is_told || end.stderr.contains("hunter2") {
            writeln!(wrong, "{name}: {:?} {}", end.code, end.stderr).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!((kapso.simulator.requests().len(), receiver.count()), (0, 0));
}

#[tokio::test]
async fn certificates_and_keys_that_cannot_be_used_are_told_with_their_place() {
    let (kapso, receiver, folder) = (Kapso::start(business()).await, Receiver::start().await, Folder::new());
    let url = format!("--remote-write={}", receiver.url);
    folder.put("other", &Certificate::of_client(&["a"]));
    for (text, expected) in [
        ("tls_config: {ca: hunter2}", ":1:18: tls_config.ca: there is no certificate in it"),
        ("tls_config: {ca_file: server.key}", "server.key: there is no certificate in it"),
        (
            "tls_config: {cert_file: server.crt, key: hunter2}",
            ":1:42: tls_config.key: there is no private key in it that is not encrypted",
        ),
        ("tls_config: {cert_file: server.crt, key_file: other.key}", "other.key: "),
    ] {
        folder.write("http.yml", text);
        let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
        let end = kapso.run("once", &[&url, &flag]).await;
        assert!(end.code == Some(2) && end.stderr.contains(expected), "{text}: {end:?}");
        assert!(!end.stderr.contains("hunter2"), "{end:?}");
    }
}
