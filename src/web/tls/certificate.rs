//! When a certificate ends.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

use crate::config::{Content, Problem};

/// When the first of them ends.
pub(super) fn expiry(pem: &Content, chain: &[CertificateDer<'_>]) -> Result<Timestamp, Problem> {
    let ends = chain.iter().map(|certificate| {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
    });
    let first = ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().min());
    first.ok_or_else(|| pem.problem("a certificate in it cannot be read"))
}
