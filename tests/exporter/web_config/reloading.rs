//! Changes of the file and of those that it names, while scrapes go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Certificate as Root, Client};

use super::{TLS, address, https, served};
use crate::support::{Certificate, Exporter, Folder, s_client, wait_for};

const UNTIL: &str = "kapso_exporter_web_certificate_expiry_timestamp_seconds";
const SUCCESSFUL: &str = "kapso_exporter_web_config_last_reload_successful";

/// The value of a series without labels, as a client that trusts these is told it.
async fn value(exporter: &Exporter, client: &Client, name: &str) -> Option<f64> {
    let text = client.get(https(exporter, "/metrics")).send().await.ok()?.text().await.ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line?.parse().ok()
}

fn client_of(certificates: &[&Certificate]) -> Client {
    let roots = certificates.iter().map(|root| Root::from_pem(root.pem.as_bytes()).unwrap());
    Client::builder().tls_certs_only(roots).build().unwrap()
}

#[tokio::test]
async fn a_new_certificate_is_served_and_no_scrape_fails_meanwhile() {
    let (folder, certificates) = (Folder::new(), [2097, 2098, 2099].map(Certificate::until));
    folder.put("server", &certificates[0]);
    let exporter = Arc::new(served(&folder, TLS).await);
    let client = client_of(&certificates.each_ref());
    let (stopped, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let scrapes = {
        let (exporter, client, stopped, asked) =
            (exporter.clone(), client.clone(), stopped.clone(), asked.clone());
        tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = client.get(https(&exporter, "/metrics")).send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                answer.bytes().await.expect("all of it");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for certificate in &certificates[1..] {
        let before = value(&exporter, &client, UNTIL).await;
        // The key comes later than the certificate.
        folder.write("server.crt", &certificate.pem);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(value(&exporter, &client, SUCCESSFUL).await, Some(1.0));
        folder.write("server.key", &certificate.key);
        wait_for("the new certificate in the metrics", async || {
            value(&exporter, &client, UNTIL).await > before
        })
        .await;
        let ca = folder.path("server.crt");
        let said = s_client(address(&exporter), &ca, &[]).await;
        assert!(said.contains("HTTP/1.1 200 OK"), "it is served as well: {said}");
    }
    stopped.store(true, Ordering::Relaxed);
    scrapes.await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 100);
}

#[tokio::test]
async fn passwords_change_for_open_connections_as_well() {
    let folder = Folder::new();
    let users = |password| format!("basic_auth_users:\n  dave: {}\n", bcrypt::hash(password, 4).unwrap());
    let exporter = served(&folder, &users("old")).await;
    let client = Client::new();
    let status = async |password| {
        let request = client.get(format!("{}/metrics", exporter.url)).basic_auth("dave", Some(password));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("old").await, 200);
    folder.write("web.yml", &users("new"));
    wait_for("the new password", async || status("new").await == 200).await;
    assert_eq!(status("old").await, 401);
}

#[tokio::test]
async fn a_change_that_is_wrong_or_opens_a_door_is_refused_and_said_after_a_while() {
    let folder = Folder::new();
    let users = format!("basic_auth_users:\n  dave: {}\n", bcrypt::hash("dave123", 4).unwrap());
    let good = format!("{TLS}{users}");
    let exporter = served(&folder, &good).await;
    let client = folder.client();
    let successful = async || {
        let request = client.get(https(&exporter, "/metrics")).basic_auth("dave", Some("dave123"));
        let text = request.send().await.unwrap().text().await.unwrap();
        text.contains(&format!("{SUCCESSFUL} 1\n"))
    };
    assert!(successful().await);
    for (bad, said) in [
        ("", "it would end TLS, which takes a restart"),
        (TLS, "it would end passwords, which takes a restart"),
        ("tls_server_config: [", "this is not YAML"),
    ] {
        folder.write("web.yml", bad);
        wait_for("the refusal", async || !successful().await).await;
        assert!(exporter.log().contains(said), "{bad}: {}", exporter.log());
        let open = client.get(https(&exporter, "/metrics")).send().await.unwrap();
        assert_eq!(open.status(), 401, "passwords are still needed");
        folder.write("web.yml", &good);
        wait_for("what is in force again", successful).await;
    }
}
