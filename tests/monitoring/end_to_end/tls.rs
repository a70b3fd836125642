//! Prometheus scrapes over TLS, with a certificate and a password of its own, while the exporter's certificate changes.

use std::time::Duration;

use super::prometheus::Prometheus;
use crate::{
    files,
    promql::Query,
    support::{Certificate, Exporter, Folder, wait_for},
};

const ROTATIONS: i32 = 3;

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn prometheus_scrapes_over_tls_and_notices_no_new_certificate() {
    let folder = Folder::new();
    let certificates: Vec<_> = (0..=ROTATIONS).map(|number| Certificate::until(2050 + number)).collect();
    let all: String = certificates.iter().map(|one| one.pem.as_str()).collect();
    folder.write("ca.crt", &all);
    folder.put("server", &certificates[0]);
    folder.put("client", &Certificate::of_client(&["prometheus.internal"]));
    let file = format!(
        "tls_server_config: {{cert_file: server.crt, key_file: server.key, client_ca_file: client.crt,\n  \
         client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [prometheus.internal]}}\n\
         basic_auth_users: {{prometheus: '{}'}}\n",
        bcrypt::hash("secret", 10).unwrap()
    );
    let exporter = Exporter::start(&["--demo", &folder.flag(&file)], &[]).await;
    let prometheus = prometheus(&folder, exporter.url.strip_prefix("http://").unwrap());

    wait_for("a scrape", async || prometheus.value("up").await == Some(1.0)).await;
    for certificate in &certificates[1..] {
        let before = expiry(&prometheus).await;
        folder.put("server", certificate);
        wait_for("the new certificate", async || expiry(&prometheus).await > before).await;
    }
    // A connection is kept: with the last certificate another one is opened.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(prometheus.value("min_over_time(up[5m])").await, Some(1.0), "no scrape has failed");
    assert!(prometheus.value("count_over_time(up[5m])").await > Some(5.0));
    for rule in files::rules() {
        for selector in Query::of(&rule.expr).selectors {
            if selector.metric.starts_with("kapso_exporter_web_") {
                assert!(prometheus.value(&selector.metric).await.is_some(), "{}", rule.name());
            }
        }
    }
}

/// One that scrapes the exporter at this address with the client's certificate and a password.
fn prometheus(folder: &Folder, exporter: &str) -> Prometheus {
    let path = |name: &str| folder.path(name).display().to_string();
    let job = format!(
        "- job_name: kapso\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  scheme: https\n  \
         basic_auth: {{username: prometheus, password: secret}}\n  tls_config: {{ca_file: '{}', cert_file: '{}', \
         key_file: '{}'}}\n  static_configs: [{{targets: ['{exporter}']}}]\n",
        path("ca.crt"),
        path("client.crt"),
        path("client.key"),
    );
    Prometheus::start("", &job)
}

async fn expiry(prometheus: &Prometheus) -> Option<f64> {
    prometheus.value("kapso_exporter_web_certificate_expiry_timestamp_seconds").await
}
