//! `tls_server_config`.

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::config::{
    content::{self, Content, Files},
    parse::switch,
    tls_version::{TlsVersion, versions},
    yaml::{Mapping, Node, Walk, join},
};

const PATH: &str = "tls_server_config";
const KEYS: [&str; 13] = [
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
const CLIENT_CA: [&str; 2] = ["client_ca", "client_ca_file"];
/// Suites of TLS 1.2 and of TLS 1.3, by their names in Go.
pub const CIPHER_SUITES: [&str; 9] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];
/// Groups for the key exchange, by their names in Go.
pub const CURVES: [&str; 4] = ["CurveP256", "CurveP384", "X25519", "X25519MLKEM768"];
/// One of them is needed for HTTP/2 over TLS 1.2 (RFC 9113, section 9.2.2).
const FOR_HTTP2: [&str; 2] =
    ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"];

/// `tls_server_config`. Names of suites and groups are some of [`CIPHER_SUITES`] and [`CURVES`], in the order of
/// preference; none = all.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "named after their keys")]
pub struct TlsConfig {
    pub certificate: Content,
    pub key: Content,
    pub client_auth: ClientAuth,
    pub client_ca: Option<Content>,
    /// `None` = any.
    pub client_allowed_sans: Option<Vec<String>>,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    pub cipher_suites: Vec<String>,
    pub prefer_server_cipher_suites: bool,
    pub curve_preferences: Vec<String>,
}

/// Whether clients show a certificate, in the words of Go's `crypto/tls`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    NoClientCert,
    /// They are asked for one, and it may be any.
    RequestClientCert,
    /// They have to have one, and it may be any.
    #[strum(serialize = "RequireClientCert", to_string = "RequireAnyClientCert")]
    RequireAnyClientCert,
    /// If they have one, the CA has to have signed it.
    VerifyClientCertIfGiven,
    /// They have to have one that the CA has signed.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether no client is let in without a certificate that the CA has signed.
    #[must_use]
    pub const fn is_verified(self) -> bool {
        matches!(self, Self::RequireAndVerifyClientCert)
    }
}

/// Reads the section; `None` if it asks for nothing, or is wrong.
pub(super) fn tls(walk: &mut Walk, node: &Node, http2: bool, files: &mut dyn Files) -> Option<TlsConfig> {
    let section = walk.mapping(node, PATH, &KEYS)?;
    if KEYS.iter().all(|key| section.given(key).is_none()) {
        return None;
    }
    let certificate = content::required(walk, section, PATH, ["cert", "cert_file"], files);
    let key = content::required(walk, section, PATH, ["key", "key_file"], files);
    let client_ca = content::optional(walk, section, PATH, CLIENT_CA, files);
    let (client_auth, client_allowed_sans) = clients(walk, section);
    let (min_version, max_version) = versions(walk, section, PATH);
    let cipher_suites = names(walk, section, "cipher_suites", &CIPHER_SUITES);
    let prefer = section.given("prefer_server_cipher_suites");
    let prefer = prefer.and_then(|node| walk.value(node, &join(PATH, "prefer_server_cipher_suites"), switch));
    let spoken_before_13 = !cipher_suites.is_empty() && min_version < TlsVersion::Tls13;
    if http2 && spoken_before_13 && !FOR_HTTP2.iter().any(|suite| cipher_suites.iter().any(|is| is == suite))
    {
        let message = format!(
            "HTTP/2 needs {} or {} below TLS 1.3; add one, or set http_server_config.http2 to false",
            FOR_HTTP2[0], FOR_HTTP2[1]
        );
        walk.problem(node.place, &join(PATH, "cipher_suites"), message);
    }
    Some(TlsConfig {
        certificate: certificate?,
        key: key?,
        client_auth,
        client_ca,
        client_allowed_sans,
        min_version,
        max_version,
        cipher_suites,
        prefer_server_cipher_suites: prefer.unwrap_or(true),
        curve_preferences: names(walk, section, "curve_preferences", &CURVES),
    })
}

fn clients(walk: &mut Walk, section: Mapping<'_>) -> (ClientAuth, Option<Vec<String>>) {
    let has_ca = CLIENT_CA.iter().any(|key| section.given(key).is_some());
    let parse = |text: &str| text.parse().map_err(|_| one_of(ClientAuth::VARIANTS));
    let path = join(PATH, "client_auth_type");
    let node = section.given("client_auth_type");
    let auth = node.and_then(|node| walk.value(node, &path, parse));
    let sans = section.given("client_allowed_sans").map(|node| {
        let sans = walk.values(node, &join(PATH, "client_allowed_sans"), |text| Ok(text.to_owned()));
        (node.place, sans)
    });
    // A type that was not understood is complained about already.
    if node.is_none() || auth.is_some() {
        let auth = auth.unwrap_or_default();
        let asks = auth != ClientAuth::NoClientCert;
        if has_ca && !asks {
            let message = "a client CA is given, but clients are asked for no certificate; expected \
                           RequireAndVerifyClientCert or another type";
            walk.problem(section.place, &path, message);
        }
        if auth == ClientAuth::RequireAndVerifyClientCert && !has_ca {
            let message = "client_ca or client_ca_file is missing, which signs the certificates of clients";
            walk.problem(section.place, &path, message);
        }
        if let Some((place, _)) = sans.as_ref().filter(|_| !asks) {
            let message = "clients are asked for no certificate; set client_auth_type";
            walk.problem(*place, &join(PATH, "client_allowed_sans"), message);
        }
    }
    (auth.unwrap_or_default(), sans.map(|(_, sans)| sans))
}

fn names(walk: &mut Walk, section: Mapping<'_>, key: &str, known: &[&'static str]) -> Vec<String> {
    let parse = |text: &str| if known.contains(&text) { Ok(text.to_owned()) } else { Err(one_of(known)) };
    section.given(key).map(|node| walk.values(node, &join(PATH, key), parse)).unwrap_or_default()
}

fn one_of(known: &[&str]) -> String {
    format!("expected one of {}", known.join(", "))
}
