//! Prometheus scrapes over TLS, with a certificate and a password of its own, while the exporter's certificate changes.

use std::{fs, time::Duration};

use serde_json::Value;

use super::stack::{free_address, start};
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
    let prometheus = Prometheus::start(&folder, exporter.url.strip_prefix("http://").unwrap());

    wait_for("a scrape", async || prometheus.value("up").await == Some(1.0)).await;
    for certificate in &certificates[1..] {
        let before = prometheus.expiry().await;
        folder.put("server", certificate);
        wait_for("the new certificate", async || prometheus.expiry().await > before).await;
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

struct Prometheus {
    url: String,
    _process: tokio::process::Child,
}

impl Prometheus {
    fn start(folder: &Folder, exporter: &str) -> Self {
        let path = |name: &str| folder.path(name).display().to_string();
        let text = format!(
            "scrape_configs:\n- job_name: kapso\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  scheme: https\n  \
             basic_auth: {{username: prometheus, password: secret}}\n  tls_config: {{ca_file: '{}', cert_file: '{}', \
             key_file: '{}'}}\n  static_configs: [{{targets: ['{exporter}']}}]\n",
            path("ca.crt"),
            path("client.crt"),
            path("client.key"),
        );
        fs::write(folder.path("prometheus.yml"), text).unwrap();
        let address = free_address();
        let flags = [
            format!("--config.file={}", path("prometheus.yml")),
            format!("--storage.tsdb.path={}", path("data")),
            format!("--web.listen-address={address}"),
        ];
        Self { url: format!("http://{address}/api/v1/query"), _process: start("prometheus", &flags) }
    }

    async fn expiry(&self) -> Option<f64> {
        self.value("kapso_exporter_web_certificate_expiry_timestamp_seconds").await
    }

    /// The one value that a query answers with.
    async fn value(&self, query: &str) -> Option<f64> {
        let url = reqwest::Url::parse_with_params(&self.url, [("query", query)]).unwrap();
        let answer: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}
