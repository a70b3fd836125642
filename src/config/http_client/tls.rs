//! `tls_config`: whom the client trusts, and the certificate that it shows.

use std::net::IpAddr;

use crate::config::{
    content::{self, Content, Files},
    parse::switch,
    tls_version::{TlsVersion, versions},
    yaml::{Node, Walk, join},
};

const PATH: &str = "tls_config";
const KEYS: [&str; 10] = [
    "ca",
    "ca_file",
    "cert",
    "cert_file",
    "key",
    "key_file",
    "server_name",
    "insecure_skip_verify",
    "min_version",
    "max_version",
];
const NO_MANAGER: &str = "there is no manager of secrets here; give the name of a file";
const REFUSED: [(&str, &str); 3] =
    [("ca_ref", NO_MANAGER), ("cert_ref", NO_MANAGER), ("key_ref", NO_MANAGER)];

/// `tls_config`.
#[derive(Debug, Clone)]
pub struct TlsClientConfig {
    /// Certificates of those who are trusted; `None` = those that the system trusts.
    pub ca: Option<Content>,
    /// The certificate that the client shows, and its key.
    pub identity: Option<(Content, Content)>,
    /// The name that the server's certificate has to have; `None` = the host of the URL.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// The least version that is spoken.
    pub min_version: TlsVersion,
    /// The highest version that is spoken.
    pub max_version: TlsVersion,
}

impl Default for TlsClientConfig {
    fn default() -> Self {
        Self {
            ca: None,
            identity: None,
            server_name: None,
            insecure_skip_verify: false,
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
        }
    }
}

/// What the section says, or what holds without it.
pub(super) fn tls(walk: &mut Walk, node: Option<&Node>, files: &mut dyn Files) -> TlsClientConfig {
    let Some(section) = node.and_then(|node| walk.mapping_without(node, PATH, &KEYS, &REFUSED)) else {
        return TlsClientConfig::default();
    };
    let ca = content::optional(walk, section, PATH, ["ca", "ca_file"], files);
    let has_identity = KEYS[2..6].iter().any(|key| section.given(key).is_some());
    let identity = has_identity.then(|| {
        let certificate = content::required(walk, section, PATH, ["cert", "cert_file"], files);
        let key = content::required(walk, section, PATH, ["key", "key_file"], files);
        certificate.zip(key)
    });
    let name = section.given("server_name");
    let server_name = name.and_then(|node| walk.value(node, &join(PATH, "server_name"), server_name));
    let insecure = section.given("insecure_skip_verify");
    let insecure = insecure.and_then(|node| walk.value(node, &join(PATH, "insecure_skip_verify"), switch));
    let (min_version, max_version) = versions(walk, section, PATH);
    TlsClientConfig {
        ca,
        identity: identity.flatten(),
        server_name,
        insecure_skip_verify: insecure.unwrap_or_default(),
        min_version,
        max_version,
    }
}

fn server_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.len() <= 253 && text.chars().all(fits) && text.parse::<IpAddr>().is_err() {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected the name of a host, such as prometheus.internal".into())
}
