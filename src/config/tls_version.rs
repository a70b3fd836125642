//! Versions of TLS, by their names in the configuration files of Prometheus.

use super::yaml::{Mapping, Walk, join};

/// A version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named after the version")]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// `min_version` and `max_version` of the section at `path`.
pub(super) fn versions(walk: &mut Walk, section: Mapping<'_>, path: &str) -> (TlsVersion, TlsVersion) {
    let mut version = |key| {
        let node = section.given(key)?;
        walk.value(node, &join(path, key), version)
    };
    let min = version("min_version").unwrap_or(TlsVersion::Tls12);
    let max = version("max_version").unwrap_or(TlsVersion::Tls13);
    if min > max {
        walk.problem(section.place, &join(path, "min_version"), "it is greater than max_version");
    }
    (min, max)
}

fn version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "TLS12" => Ok(TlsVersion::Tls12),
        "TLS13" => Ok(TlsVersion::Tls13),
        "TLS10" | "TLS11" => Err("TLS before 1.2 is not spoken; expected TLS12 or TLS13".into()),
        _ => Err("expected TLS12 or TLS13".into()),
    }
}
