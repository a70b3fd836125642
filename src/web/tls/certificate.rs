//! Certificates and keys in their text form, PEM.

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::problem;
use crate::config::{Problem, web::Pem};

/// All certificates, at least one.
pub(super) fn chain(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes()).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(problem(pem, "there is no certificate in it (BEGIN CERTIFICATE)"))
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(problem(pem, &format!("it is not PEM: {error}"))),
    }
}

/// The first key. An error quotes nothing of it.
pub(super) fn key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Problem> {
    let message = "there is no private key in it that is not encrypted (BEGIN PRIVATE KEY)";
    PrivateKeyDer::from_pem_slice(pem.bytes()).map_err(|_| problem(pem, message))
}

/// When the first of them ends.
pub(super) fn expiry(pem: &Pem, chain: &[CertificateDer<'_>]) -> Result<Timestamp, Problem> {
    let ends = chain.iter().map(|certificate| {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
    });
    let first = ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().min());
    first.ok_or_else(|| problem(pem, "a certificate in it cannot be read"))
}
