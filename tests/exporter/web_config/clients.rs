//! Certificates of clients: the five types of `client_auth_type`, and names.

use super::{TLS, address, served};
use crate::support::{Certificate, Folder, s_client};

const NONE: [bool; 4] = [false; 4];

/// Whether a client gets an answer that has no certificate, that of the CA itself, one that the CA has signed, and one that
/// it has not.
async fn answered(text: &str) -> [bool; 4] {
    let folder = Folder::new();
    let ca = Certificate::of_client(&["test1", "test3", "10.1.2.3"]);
    folder.put("client", &ca);
    folder.put("signed", &ca.signed_by(&["test3", "10.1.2.3"]));
    folder.put("stranger", &Certificate::of_client(&["test3"]));
    let exporter = served(&folder, &format!("{TLS}{text}")).await;
    let mut answered = NONE;
    let names = [None, Some("client"), Some("signed"), Some("stranger")];
    for (is_answered, name) in answered.iter_mut().zip(names) {
        let path = |ending: &str| folder.path(&format!("{}.{ending}", name.unwrap_or_default()));
        let (certificate, key) = (path("crt"), path("key"));
        let shown = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()];
        let args = if name.is_some() { &shown[..] } else { &[] };
        let said = s_client(address(&exporter), &folder.path("server.crt"), args).await;
        *is_answered = said.contains("HTTP/1.1 200 OK");
    }
    answered
}

#[tokio::test]
async fn clients_are_asked_for_a_certificate_as_the_type_says() {
    let ca = "  client_ca_file: client.crt\n";
    for (auth, expected) in [
        ("NoClientCert", [true, true, true, true]),
        ("RequestClientCert", [true, true, true, true]),
        ("RequireClientCert", [false, true, true, true]),
        ("RequireAnyClientCert", [false, true, true, true]),
        ("VerifyClientCertIfGiven", [true, true, true, false]),
        ("RequireAndVerifyClientCert", [false, true, true, false]),
    ] {
        let text = format!("  client_auth_type: {auth}\n{}", if auth == "NoClientCert" { "" } else { ca });
        assert_eq!(answered(&text).await, expected, "{auth}");
    }
    // No CA has signed what is given.
    assert_eq!(answered("  client_auth_type: VerifyClientCertIfGiven\n").await, [true, false, false, false]);
}

#[tokio::test]
async fn a_client_has_one_of_the_names_that_are_allowed() {
    let verified = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n";
    for (names, expected) in [
        // web_config_auth_client_san.good.yaml and .bad.yaml
        ("[one, test3, two]", [false, true, true, false]),
        ("[bad]", NONE),
        ("[test1]", [false, true, false, false]),
        ("[]", NONE),
    ] {
        assert_eq!(
            answered(&format!("{verified}  client_allowed_sans: {names}\n")).await,
            expected,
            "{names}"
        );
    }
    // Whoever has no certificate has no name.
    let text = "  client_auth_type: RequestClientCert\n  client_allowed_sans: [10.1.2.3]\n";
    assert_eq!(answered(text).await, [false, true, true, false]);
}

#[tokio::test]
async fn a_client_is_told_why_it_is_refused() {
    let folder = Folder::new();
    folder.put("client", &Certificate::of_client(&["test"]));
    let ca = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n";
    let exporter = served(&folder, &format!("{TLS}{ca}")).await;
    let said = s_client(address(&exporter), &folder.path("server.crt"), &[]).await;
    assert!(said.contains("alert certificate required"), "{said}");
}
