//! The certificates of clients: the five types of Go's `ClientAuth`, and the names that are allowed.

use std::{net::IpAddr, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use crate::{
    config::{
        Problem,
        web::{ClientAuth, TlsConfig},
    },
    pem,
};

/// Verifies the certificates of clients. That a client has the key of its certificate is always verified.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    /// The CA, if there is one.
    ca: Option<Arc<dyn ClientCertVerifier>>,
    /// The certificates of the CA. A client that has one of these itself is let in, as Go does: it signed itself.
    trusted: Vec<CertificateDer<'static>>,
    /// Whether the CA has to have signed the certificate.
    verifies: bool,
    /// Whether there has to be one.
    mandatory: bool,
    /// Names of which a certificate has to have one; `None` = any will do.
    allowed: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    /// `None` if clients are not asked for a certificate. Where only certain names are allowed a client has to have a
    /// certificate: without one it has no name.
    pub fn new(tls: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Option<Arc<Self>>, Problem> {
        let (verifies, mandatory) = match tls.client_auth {
            ClientAuth::NoClientCert => return Ok(None),
            ClientAuth::RequestClientCert => (false, false),
            ClientAuth::RequireAnyClientCert => (false, true),
            ClientAuth::VerifyClientCertIfGiven => (true, false),
            ClientAuth::RequireAndVerifyClientCert => (true, true),
        };
        let allowed = tls.client_allowed_sans.clone();
        let trusted = tls.client_ca.as_ref().map(pem::chain).transpose()?.unwrap_or_default();
        Ok(Some(Arc::new(Self {
            ca: ca(tls, &trusted, provider)?,
            trusted,
            verifies,
            mandatory: mandatory || allowed.is_some(),
            allowed,
            algorithms: provider.signature_verification_algorithms,
        })))
    }

    fn allows(&self, certificate: &CertificateDer<'_>) -> bool {
        let Some(allowed) = &self.allowed else { return true };
        names(certificate).iter().any(|name| allowed.contains(name))
    }
}

fn ca(
    tls: &TlsConfig,
    trusted: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Problem> {
    let Some(pem) = &tls.client_ca else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots
            .add(certificate.clone())
            .map_err(|_| pem.problem("a certificate in it cannot be that of a CA"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    verifier.build().map(Some).map_err(|error| pem.problem(&error.to_string()))
}

/// Whether a certificate that is trusted itself holds at this time, and for clients.
fn is_for_clients(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    match parsed.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.client_auth || usage.value.any => Ok(()),
        _ => Err(CertificateError::InvalidPurpose),
    }
}

/// The subject alternative names: DNS names, addresses, e-mail addresses and URIs.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let v4 = || <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4().or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.ca.as_ref().map_or(&[], |ca| ca.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.verifies {
            let Some(ca) = &self.ca else { return Err(CertificateError::UnknownIssuer.into()) };
            if self.trusted.contains(certificate) {
                is_for_clients(certificate, now)?;
            } else {
                ca.verify_client_cert(certificate, intermediates, now)?;
            }
        }
        if self.allows(certificate) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
