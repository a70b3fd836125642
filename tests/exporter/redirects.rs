//! Redirects: none is followed, so that the key never leaves for another host.

use crate::support::{Hostile, http, run_against};

#[tokio::test]
async fn a_redirect_to_another_host_is_a_failure_and_nothing_is_asked_there() {
    let elsewhere = Hostile::start(|_, _| http("200 OK", "", r#"{"data":[]}"#)).await;
    let port = elsewhere.port;
    let statuses = [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ];
    let kapso = Hostile::start(move |number, _| {
        let host = ["http://127.0.0.1", "http://localhost", "//127.0.0.1"][number % 3];
        let headers = format!("Location: {host}:{port}/platform/v1/workflows\r\n");
        http(statuses[number % statuses.len()], &headers, "")
    })
    .await;
    for _ in 0..3 {
        let finished =
            run_against(kapso.port, "the-key", "once", &["--scrape.source=conversations,agents"]).await;
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        assert!(finished.stdout.contains(r#"kapso_up{api="platform",project="default"} 0"#));
        assert!(finished.stderr.contains("answered 30"), "{}", finished.stderr);
        let counted = r#"reason="client_error"} "#;
        assert!(finished.stdout.contains(counted), "{}", finished.stdout);
    }
    assert!(kapso.requests() >= 9, "every kind was answered: {}", kapso.requests());
    assert_eq!(elsewhere.requests(), 0);
}
