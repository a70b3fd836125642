//! What TLS is agreed on, with OpenSSL on the other side.

use super::{TLS, address, https, served};
use crate::support::{Exporter, Folder, s_client};

/// Versions of TLS, suites and groups that a client offers, and whether they come to an answer, with this suite.
struct Offer {
    client: &'static [&'static str],
    agreed: Option<&'static str>,
}

async fn agree(text: &str, offers: &[Offer]) {
    let folder = Folder::new();
    let exporter = served(&folder, &format!("{TLS}{text}")).await;
    for Offer { client, agreed } in offers {
        let said = s_client(address(&exporter), &folder.path("server.crt"), client).await;
        let cipher = agreed.map(|suite| format!("Cipher is {suite}\n"));
        let expected = cipher.as_ref().is_none_or(|cipher| said.contains(cipher));
        assert_eq!(said.contains("HTTP/1.1 200 OK"), agreed.is_some(), "{text} {client:?}: {said}");
        assert!(expected, "{text} {client:?}: {said}");
    }
}

#[tokio::test]
async fn without_a_file_it_is_plain_http() {
    let exporter = Exporter::start(&["--demo"], &[]).await;
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    assert!(reqwest::get(https(&exporter, "/-/healthy")).await.is_err());
}

#[tokio::test]
async fn with_a_certificate_it_is_https_in_http2_and_http1_and_says_so_to_others() {
    let folder = Folder::new();
    // web_config_noAuth.good.yml
    let exporter = served(&folder, &format!("{TLS}  client_auth_type: VerifyClientCertIfGiven\n")).await;
    let answer = folder.client().get(https(&exporter, "/metrics")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    let said = s_client(address(&exporter), &folder.path("server.crt"), &[]).await;
    assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    let (status, text) = exporter.get("/metrics").await;
    assert_eq!((status, text.as_str()), (400, "This is an HTTPS port, and the request is plain HTTP.\n"));
}

#[tokio::test]
async fn http2_can_be_switched_off() {
    let folder = Folder::new();
    let exporter = served(&folder, &format!("{TLS}http_server_config:\n  http2: false\n")).await;
    let answer = folder.client().get(https(&exporter, "/-/healthy")).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
}

#[tokio::test]
async fn versions_before_1_2_are_not_spoken_and_others_as_the_file_says() {
    let (tls11, tls12, tls13) = (&["-tls1_1"], &["-tls1_2"], &["-tls1_3"]);
    let usual = "ECDHE-RSA-AES256-GCM-SHA384";
    agree(
        "",
        &[
            Offer { client: tls11, agreed: None },
            Offer { client: tls12, agreed: Some(usual) },
            Offer { client: tls13, agreed: Some("TLS_AES_256_GCM_SHA384") },
        ],
    )
    .await;
    let only_older = [Offer { client: tls12, agreed: Some(usual) }, Offer { client: tls13, agreed: None }];
    agree("  max_version: TLS12\n", &only_older).await;
    let only_newer = [
        Offer { client: tls12, agreed: None },
        Offer { client: tls13, agreed: Some("TLS_AES_256_GCM_SHA384") },
    ];
    agree("  min_version: TLS13\n", &only_newer).await;
}

#[tokio::test]
async fn suites_are_those_of_the_file_in_the_order_of_the_server_or_of_the_client() {
    // web_config_noAuth_someCiphers.good.yml
    let some = "  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  \
                - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  min_version: TLS12\n  max_version: TLS12\n";
    agree(
        some,
        &[
            Offer {
                client: &["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
                agreed: Some("ECDHE-RSA-AES128-GCM-SHA256"),
            },
            Offer { client: &["-cipher", "ECDHE-RSA-AES256-SHA"], agreed: None },
            Offer {
                client: &["-cipher", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"],
                agreed: Some("ECDHE-RSA-AES128-GCM-SHA256"),
            },
        ],
    )
    .await;
    // web_config_noAuth_someCiphers_noOrder.good.yml
    let no_order = "  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  \
                    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  prefer_server_cipher_suites: false\n  \
                    max_version: TLS12\n";
    agree(
        no_order,
        &[Offer {
            client: &["-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"],
            agreed: Some("ECDHE-RSA-AES128-GCM-SHA256"),
        }],
    )
    .await;
    // web_config_noAuth_noHTTP2.good.yml
    let no_http2 = "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12\n\
                    http_server_config:\n  http2: false\n";
    agree(no_http2, &[Offer { client: &[], agreed: Some("ECDHE-RSA-AES256-GCM-SHA384") }]).await;
}

#[tokio::test]
async fn groups_are_those_of_the_file() {
    let agreed = Some("TLS_AES_256_GCM_SHA384");
    agree(
        "  min_version: TLS13\n  curve_preferences: [CurveP256]\n",
        &[
            Offer { client: &["-curves", "P-256"], agreed },
            Offer { client: &["-curves", "P-384"], agreed: None },
            Offer { client: &["-curves", "X25519"], agreed: None },
        ],
    )
    .await;
}

#[tokio::test]
async fn headers_are_on_every_answer() {
    // web_config_headers.good.yml
    let text = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
                Strict-Transport-Security: max-age=31536000; includeSubDomains\n    \
                X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    \
                Content-Security-Policy: \"default-src 'self' *.test.example.net\"\n";
    let exporter = served(&Folder::new(), text).await;
    for path in ["/metrics", "/", "/-/healthy", "/nothing"] {
        let answer = reqwest::get(format!("{}{path}", exporter.url)).await.unwrap();
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-frame-options", "deny"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "1"),
            ("content-security-policy", "default-src 'self' *.test.example.net"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
    }
}

#[tokio::test]
async fn requests_are_limited_but_not_probes_and_deliveries() {
    // web_config_rate_limiter_one_second.yaml
    let exporter = served(&Folder::new(), "rate_limit:\n  interval: 1s\n  burst: 0\n").await;
    assert_eq!(exporter.get("/metrics").await.0, 429);
    // web_config_rate_limiter_nonblocking.yaml
    let unlimited = served(&Folder::new(), "rate_limit:\n  interval: 0\n  burst: 0\n").await;
    let limited = served(&Folder::new(), "rate_limit:\n  interval: 1h\n  burst: 5\n").await;
    for number in 0..10 {
        assert_eq!(unlimited.get("/metrics").await.0, 200);
        assert_eq!(limited.get("/metrics").await.0, if number < 5 { 200 } else { 429 });
        assert_eq!(limited.get("/-/healthy").await.0, 200);
        let delivery = reqwest::Client::new().post(format!("{}/webhooks/kapso/default", limited.url));
        assert_eq!(delivery.body("{}").send().await.unwrap().status(), 401, "it has no signature");
    }
}
