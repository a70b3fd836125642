//! Which files are taken, and what is said of the others. The names are those of the exporter-toolkit's own test files,
//! whose cases these are; docs/tls.md has them in a table.

use super::{TLS, inline};
use crate::support::{Certificate, Folder, run_to_end};

/// Each file that is refused, and what is said.
const REFUSED: [(&str, &str, &str); 27] = [
    ("web_config_junk.yml", "hWkNKCp3fvIx3jKnsaBI\nTuEjdwNS8A2vYdFbiKqr\n", "expected a mapping"),
    ("web_config_junk_key.yml", "tls_server_config:\n  cert_filse: server.crt\n", "did you mean cert_file?"),
    (
        "web_config_noAuth_certPath_empty.bad.yml",
        "tls_server_config:\n  cert_file: ''\n  key_file: server.key\n",
        "one of cert and cert_file is missing",
    ),
    (
        "web_config_noAuth_cert_empty.bad.yml",
        "tls_server_config:\n  cert: ''\n  key_file: server.key\n",
        "one of cert and cert_file is missing",
    ),
    (
        "web_config_noAuth_keyPath_empty.bad.yml",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: ''\n",
        "one of key and key_file is missing",
    ),
    (
        "web_config_noAuth_key_empty.bad.yml",
        "tls_server_config:\n  cert_file: server.crt\n  key: ''\n",
        "one of key and key_file is missing",
    ),
    (
        "web_config_noAuth_certPath_keyPath_empty.bad.yml",
        "tls_server_config:\n  cert_file: ''\n  key_file: ''\n  client_auth_type: x\n",
        "one of cert and cert_file is missing",
    ),
    (
        "web_config_noAuth_certPath_invalid.bad.yml",
        "tls_server_config:\n  cert_file: somefile\n  key_file: server.key\n",
        "cert_file: found \"somefile\": cannot read it: No such file",
    ),
    (
        "web_config_noAuth_keyPath_invalid.bad.yml",
        "tls_server_config:\n  cert_file: server.crt\n  key_file: somefile\n",
        "key_file: found \"somefile\": cannot read it: No such file",
    ),
    (
        "web_config_noAuth_certPath_keyPath_invalid.bad.yml",
        "tls_server_config:\n  cert_file: somefile\n  key_file: somefile\n",
        "No such file",
    ),
    ("web_config_noAuth.bad.yml", "+  client_ca_file: /dev/null\n", "clients are asked for no certificate"),
    ("web_config_auth_clientCAs_invalid.bad.yml", "+  client_ca_file: somefile\n", "No such file"),
    (
        "web_config_auth_clientCAs_missing.bad.yml",
        "+  client_auth_type: RequireAndVerifyClientCert\n",
        "client_ca or client_ca_file is missing",
    ),
    (
        "web_config_auth_user_list_invalid.bad.yml",
        "+basic_auth_users:\n  john: doe\n",
        "basic_auth_users.john: expected a bcrypt hash",
    ),
    (
        "web_config_noAuth_inventedCiphers.bad.yml",
        "+  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]\n",
        "expected one of TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        "web_config_noAuth_inventedCurves.bad.yml",
        "+  curve_preferences: [CurveP257]\n",
        "found \"CurveP257\": expected one of CurveP256",
    ),
    (
        "web_config_noAuth_wrongTLSVersion.bad.yml",
        "+  min_version: TLS111\n",
        "found \"TLS111\": expected TLS12 or TLS13",
    ),
    (
        "web_config_noAuth_noHTTP2Cipher.bad.yml",
        "+  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12\n",
        "HTTP/2 needs TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        "web_config_headers_content_type_options.bad.yml",
        "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n",
        "found \"sniff\": expected nosniff",
    ),
    (
        "web_config_headers_frame_options.bad.yml",
        "http_server_config:\n  headers:\n    X-Frame-Options: foo\n",
        "found \"foo\": expected deny or sameorigin",
    ),
    (
        "web_config_headers_extra_header.bad.yml",
        "http_server_config:\n  headers:\n    Content-Type: foo\n",
        "headers.Content-Type: unknown key",
    ),
    // These three the toolkit takes. rustls has neither these suites nor this curve.
    (
        "web_config_noAuth_allCiphers.good.yml",
        "+  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  - TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\n",
        "cipher_suites[1]: found \"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\": expected one of",
    ),
    (
        "web_config_noAuth_allCurves.good.yml",
        "+  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n",
        "curve_preferences[2]: found \"CurveP521\": expected one of",
    ),
    (
        "web_config_noAuth_someCurves.good.yml",
        "+  min_version: TLS13\n  curve_preferences: [CurveP521]\n",
        "found \"CurveP521\"",
    ),
    // These are not the toolkit's.
    ("both", "+  cert: x\n", "cert is given as well; only one of the two can be"),
    ("old", "+  min_version: TLS11\n", "TLS before 1.2 is not spoken"),
    ("names", "+  client_allowed_sans: [a]\n", "clients are asked for no certificate; set client_auth_type"),
];

/// `+` stands for [`TLS`].
fn whole(text: &str) -> String {
    text.strip_prefix('+').map_or_else(|| text.into(), |rest| format!("{TLS}{rest}"))
}

async fn checked(folder: &Folder, text: &str) -> (Option<i32>, String, String) {
    let flag = folder.flag(text);
    let end = run_to_end(&["check", "--offline", &flag], &[("KAPSO_API_KEY", "key")]).await;
    (end.code, end.stdout, end.stderr)
}

#[tokio::test]
async fn a_file_that_is_wrong_is_refused_with_its_place_and_what_is_allowed() {
    let folder = Folder::new();
    for (name, text, expected) in REFUSED {
        let (code, _, said) = checked(&folder, &whole(text)).await;
        assert!(code == Some(2) && said.contains(expected), "{name}: {code:?} {said}");
    }
    let flag = format!("--web.config.file={}", folder.path("somefile").display());
    for command in [&["--demo", flag.as_str()][..], &["check", "--offline", "--demo", flag.as_str()]] {
        let end = run_to_end(command, &[]).await;
        assert!(
            end.code == Some(2) && end.stderr.contains("somefile: cannot read it: No such file"),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_or_a_key_is_said_and_nothing_of_a_secret() {
    let folder = Folder::new();
    folder.put("other", &Certificate::of_client(&["a"]));
    folder.write("text", "no certificate\n");
    for (text, expected) in [
        (
            "tls_server_config: {cert_file: server.crt, key_file: other.key}",
            "other.key: it is not the key of the certificate",
        ),
        ("tls_server_config: {cert_file: text, key_file: server.key}", "text: there is no certificate in it"),
        ("tls_server_config: {cert_file: server.crt, key_file: text}", "text: there is no private key in it"),
        (
            "tls_server_config: {cert_file: server.crt, key: VERYSECRET}",
            "tls_server_config.key: there is no private key",
        ),
        ("basic_auth_users: {john: VERYSECRET}", "basic_auth_users.john: expected a bcrypt hash"),
    ] {
        let (code, _, said) = checked(&folder, text).await;
        assert!(code == Some(2) && said.contains(expected) && !said.contains("VERYSECRET"), "{text}: {said}");
    }
}

#[tokio::test]
async fn check_tells_what_a_good_file_comes_to() {
    let folder = Folder::new();
    folder.put("server", &Certificate::until(2099));
    let (code, report, said) = checked(&folder, "").await;
    assert!(code == Some(0) && report.contains("HTTP, not encrypted, no password"), "{report} {said}");
    let text = format!(
        "{TLS}  client_auth_type: RequireAnyClientCert\nbasic_auth_users:\n  carol: {}\n",
        bcrypt::hash("carol123", 4).unwrap()
    );
    let (code, report, said) = checked(&folder, &text).await;
    let expected = "HTTPS, the certificate ends 2099-12-31T00:00:00Z, RequireAnyClientCert, 1 user";
    assert!(code == Some(0) && report.contains(expected), "{report} {said}");
    folder.put("server", &Certificate::until(2020));
    let (code, report, _) = checked(&folder, TLS).await;
    assert!(code == Some(0) && report.contains("the certificate ENDED 2020-12-31T00:00:00Z"), "{report}");
}

#[tokio::test]
async fn certificates_and_keys_stand_in_the_file_itself_as_well() {
    let folder = Folder::new();
    let (certificate, key) = (inline(&folder, "cert", "server.crt"), inline(&folder, "key", "server.key"));
    for text in [
        // web_config_noAuth_tlsInline.good.yml
        format!("tls_server_config:\n{certificate}{key}  client_auth_type: VerifyClientCertIfGiven\n"),
        // tls_config_noAuth.requireanyclientcertkeyinline.good.yml
        format!(
            "tls_server_config:\n  cert_file: server.crt\n{key}  client_auth_type: RequireAnyClientCert\n"
        ),
    ] {
        let (code, report, said) = checked(&folder, &text).await;
        assert!(code == Some(0) && report.contains("HTTPS"), "{said}");
    }
}
