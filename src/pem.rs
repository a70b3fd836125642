//! Certificates and keys in their text form, PEM.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::config::{Content, Problem};

/// All certificates, at least one.
///
/// # Errors
/// If there is none, or it is not PEM.
pub fn chain(pem: &Content) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.bytes()).collect();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(pem.problem("there is no certificate in it (BEGIN CERTIFICATE)"))
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(pem.problem(&format!("it is not PEM: {error}"))),
    }
}

/// The first key.
///
/// # Errors
/// If there is none, or it is encrypted; quotes nothing of it.
pub fn key(pem: &Content) -> Result<PrivateKeyDer<'static>, Problem> {
    let message = "there is no private key in it that is not encrypted (BEGIN PRIVATE KEY)";
    PrivateKeyDer::from_pem_slice(pem.bytes()).map_err(|_| pem.problem(message))
}
