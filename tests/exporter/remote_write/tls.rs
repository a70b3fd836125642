//! Receivers over TLS: whom the client trusts, by which name, and the certificate that it shows.

use std::{fs, sync::Arc};

use reqwest::Version;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS12,
};

use super::{business, push, receiver::Receiver};
use crate::support::{Certificate, Finished, Folder, Kapso};

/// A receiver with this certificate; clients show one that this file has signed, if it is given.
async fn receiver(folder: &Folder, name: &str, clients: Option<&str>) -> Receiver {
    let pem = |name: &str| fs::read(folder.path(name)).unwrap();
    let certificate = CertificateDer::from_pem_slice(&pem(&format!("{name}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS12]).unwrap();
    let builder = match clients {
        Some(name) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(&pem(name)).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Receiver::start_tls(Arc::new(config)).await
}

async fn sent(receiver: &Receiver, folder: &Folder, text: &str) -> Finished {
    let kapso = Kapso::start(business()).await;
    folder.write("http.yml", text);
    let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
    push(&kapso, receiver, &[&flag]).await
}

#[tokio::test]
async fn a_certificate_has_to_be_trusted_unless_any_will_do() {
    let folder = Folder::new();
    let receiver = receiver(&folder, "server", None).await;
    for (text, is_trusted) in [
        ("", false),
        ("tls_config: {ca_file: server.crt}", true),
        ("tls_config: {insecure_skip_verify: true}", true),
        ("tls_config: {ca_file: server.crt, min_version: TLS13}", false),
        ("tls_config: {ca_file: server.crt, max_version: TLS12}", true),
    ] {
        let end = sent(&receiver, &folder, text).await;
        assert_eq!(end.code, Some(i32::from(!is_trusted)), "{text}: {end:?}");
        assert_eq!(receiver.received().len(), usize::from(is_trusted), "{text}");
    }
    // It fails at once: trying again would not help.
    let end = sent(&receiver, &folder, "").await;
    assert!(end.stderr.contains("certificate") && !end.stderr.contains("tried again"), "{end:?}");
}

#[tokio::test]
async fn http2_is_spoken_unless_the_file_says_no() {
    let folder = Folder::new();
    let receiver = receiver(&folder, "server", None).await;
    for (text, version) in [("", Version::HTTP_2), ("enable_http2: false\n", Version::HTTP_11)] {
        let end = sent(&receiver, &folder, &format!("tls_config: {{ca_file: server.crt}}\n{text}")).await;
        assert_eq!(end.code, Some(0), "{end:?}");
        assert_eq!(receiver.received()[0].version, version);
    }
}

#[tokio::test]
async fn the_name_in_the_certificate_may_be_another_than_that_in_the_url() {
    let folder = Folder::new();
    folder.put("named", &Certificate::named(&["prometheus.internal"]));
    let receiver = receiver(&folder, "named", None).await;
    let end = sent(&receiver, &folder, "tls_config: {ca_file: named.crt}").await;
    assert!(end.code == Some(1) && receiver.received().is_empty(), "{end:?}");
    let end =
        sent(&receiver, &folder, "tls_config: {ca_file: named.crt, server_name: prometheus.internal}").await;
    assert_eq!(end.code, Some(0), "{end:?}");
    let [request] = &receiver.received()[..] else { panic!("one request") };
    assert_eq!(request.server_name.as_deref(), Some("prometheus.internal"));
    let address = receiver.url.strip_prefix("https://").unwrap().strip_suffix("/api/v1/write").unwrap();
    assert_eq!((request.header("host"), request.uri.as_str()), (Some(address), "/api/v1/write"));
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_receiver_that_asks_for_one() {
    let folder = Folder::new();
    let ca = Certificate::of_client(&["test"]);
    folder.put("ca", &ca);
    folder.put("client", &ca.signed_by(&["kapso-exporter"]));
    folder.put("stranger", &Certificate::of_client(&["test"]));
    let receiver = receiver(&folder, "server", Some("ca.crt")).await;
    let inline = |name: &str| fs::read_to_string(folder.path(name)).unwrap().trim().replace('\n', "\n    ");
    let (certificate, key) = (inline("client.crt"), inline("client.key"));
    for (text, is_let_in) in [
        ("  cert_file: client.crt\n  key_file: client.key\n".to_owned(), true),
        (format!("  cert: |\n    {certificate}\n  key: |\n    {key}\n"), true),
        ("  cert_file: stranger.crt\n  key_file: stranger.key\n".to_owned(), false),
        (String::new(), false),
    ] {
        let end = sent(&receiver, &folder, &format!("tls_config:\n  ca_file: server.crt\n{text}")).await;
        assert_eq!(end.code, Some(i32::from(!is_let_in)), "{text}: {end:?}");
        assert_eq!(receiver.received().len(), usize::from(is_let_in), "{text}");
    }
}
