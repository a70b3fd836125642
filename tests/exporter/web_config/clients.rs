//! Certificates of clients: the five types of `client_auth_type`, and names.

use super::{TLS, address, served};
use crate::support::{Certificate, Folder, s_client};

/// Whether a client gets an answer that has no certificate, one that the CA knows, and one that it does not.
async fn answered(text: &str) -> [bool; 3] {
    let folder = Folder::new();
    folder.put("client", &Certificate::of_client(&["test1", "test3", "10.1.2.3"]));
    folder.put("stranger", &Certificate::of_client(&["test3"]));
    let exporter = served(&folder, &format!("{TLS}{text}")).await;
    let mut answered = [false; 3];
    for (is_answered, name) in answered.iter_mut().zip([None, Some("client"), Some("stranger")]) {
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
        ("NoClientCert", [true, true, true]),
        ("RequestClientCert", [true, true, true]),
        ("RequireClientCert", [false, true, true]),
        ("RequireAnyClientCert", [false, true, true]),
        ("VerifyClientCertIfGiven", [true, true, false]),
        ("RequireAndVerifyClientCert", [false, true, false]),
    ] {
        let text = format!("  client_auth_type: {auth}\n{}", if auth == "NoClientCert" { "" } else { ca });
        assert_eq!(answered(&text).await, expected, "{auth}");
    }
    // No CA has signed what is given.
    assert_eq!(answered("  client_auth_type: VerifyClientCertIfGiven\n").await, [true, false, false]);
}

#[tokio::test]
async fn a_client_has_one_of_the_names_that_are_allowed() {
    let verified = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n";
    for (names, expected) in [
        // web_config_auth_client_san.good.yaml and .bad.yaml
        ("[one, test3, two]", [false, true, false]),
        ("[bad]", [false; 3]),
        ("[10.1.2.3]", [false, true, false]),
        ("[]", [false; 3]),
    ] {
        assert_eq!(
            answered(&format!("{verified}  client_allowed_sans: {names}\n")).await,
            expected,
            "{names}"
        );
    }
    // Whoever has no certificate has no name.
    let text = "  client_auth_type: RequestClientCert\n  client_allowed_sans: [10.1.2.3]\n";
    assert_eq!(answered(text).await, [false, true, false]);
}
