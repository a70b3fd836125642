//! TLS, as `tls_server_config` says it, for rustls.

mod certificate;
mod clients;

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};

use self::clients::ClientVerifier;
use crate::{
    config::{Problem, TlsVersion, web::TlsConfig},
    pem,
};

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub struct Tls {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// When the first certificate of the chain ends.
    pub expires: Timestamp,
}

impl Tls {
    /// Reads certificates and keys out of their text; `http2` says whether HTTP/2 is offered.
    ///
    /// # Errors
    /// Which key of the file is wrong, and why.
    pub fn new(tls: &TlsConfig, http2: bool) -> Result<Self, Problem> {
        let provider = Arc::new(provider(tls));
        let chain = pem::chain(&tls.certificate)?;
        let key = pem::key(&tls.key)?;
        let expires = certificate::expiry(&tls.certificate, &chain)?;
        let versions = versions(tls);
        let clients = ClientVerifier::new(tls, &provider)?;
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions).map_err(
                |_| problem_at("tls_server_config.cipher_suites", "none is of a version that is spoken"),
            )?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => tls.key.problem("it is not the key of the certificate"),
            error => tls.key.problem(&error.to_string()),
        })?;
        config.ignore_client_order = tls.prefer_server_cipher_suites;
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // Sessions that are taken up again would save next to nothing: connections are few.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), expires })
    }
}

fn versions(tls: &TlsConfig) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(TlsVersion::Tls12, &TLS12), (TlsVersion::Tls13, &TLS13)];
    let spoken = all.into_iter().filter(|(version, _)| (tls.min_version..=tls.max_version).contains(version));
    spoken.map(|(_, version)| version).collect()
}

/// What rustls has, without the suites and groups that are not wanted.
fn provider(tls: &TlsConfig) -> CryptoProvider {
    let all = aws_lc_rs::default_provider();
    CryptoProvider {
        cipher_suites: suites(&all.cipher_suites, &tls.cipher_suites),
        kx_groups: groups(&all.kx_groups, &tls.curve_preferences),
        ..all
    }
}

/// As in Go, the suites of TLS 1.3 are always there.
fn suites(all: &[SupportedCipherSuite], wanted: &[String]) -> Vec<SupportedCipherSuite> {
    if wanted.is_empty() {
        return all.to_vec();
    }
    let newer = all.iter().filter(|suite| suite.tls13().is_some());
    let named = |name: &String| {
        all.iter().find(|suite| suite.tls13().is_none() && suite.suite().as_str() == Some(name))
    };
    newer.chain(wanted.iter().filter_map(named)).copied().collect()
}

fn groups(all: &[&'static dyn SupportedKxGroup], wanted: &[String]) -> Vec<&'static dyn SupportedKxGroup> {
    if wanted.is_empty() {
        return all.to_vec();
    }
    let named = |name: &String| all.iter().find(|group| curve(group.name()) == name).copied();
    wanted.iter().filter_map(named).collect()
}

/// Go's name of a group.
const fn curve(group: rustls::NamedGroup) -> &'static str {
    match group {
        rustls::NamedGroup::secp256r1 => "CurveP256",
        rustls::NamedGroup::secp384r1 => "CurveP384",
        rustls::NamedGroup::X25519 => "X25519",
        rustls::NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        _ => "",
    }
}

fn problem_at(path: &str, message: &str) -> Problem {
    Problem { place: crate::config::Place::default(), path: path.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::web::{CIPHER_SUITES, CURVES};

    #[test]
    fn every_suite_and_group_that_can_be_named_is_there() {
        let all = aws_lc_rs::default_provider();
        for name in CURVES {
            assert_eq!(groups(&all.kx_groups, &[name.into()]).len(), 1, "{name}");
        }
        let newer = all.cipher_suites.iter().filter(|suite| suite.tls13().is_some()).count();
        for name in CIPHER_SUITES {
            let is_newer = !name.contains("_WITH_");
            let expected = newer + usize::from(!is_newer);
            assert_eq!(suites(&all.cipher_suites, &[name.into()]).len(), expected, "{name}");
        }
        assert_eq!(CIPHER_SUITES.len(), all.cipher_suites.len());
    }
}
