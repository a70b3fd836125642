//! `Accept-Encoding`: whether an answer may be compressed (RFC 9110, section 12.5.3).

use http::{HeaderMap, header::ACCEPT_ENCODING};

/// Whether the client takes gzip, and takes it at least as gladly as no encoding at all.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for coding in value.split(',') {
            let (name, quality) = quality(coding);
            match name.as_str() {
                "gzip" | "x-gzip" => gzip = Some(quality),
                "*" => any = Some(quality),
                "identity" => identity = Some(quality),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

fn quality(coding: &str) -> (String, f32) {
    let mut parts = coding.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, quality.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_the_client_takes_it() {
        for (value, expected) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0.1", true),
            ("", false),
            ("identity", false),
            ("deflate", false),
            ("gzip;q=0", false),
            ("*;q=1, gzip;q=0", false),
            ("gzip;q=0.2, identity;q=0.8", false),
            ("gzip;q=nonsense", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(accepts_gzip(&headers), expected, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
