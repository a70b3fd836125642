//! Which format a scrape gets, and how it is compressed: `Accept` and `Accept-Encoding` (RFC 9110, section 12.5).
//!
//! The most specific range that fits a format says how welcome it is. Of those that are equally welcome the one wins that
//! the client names first, then the one that we have first. Who takes none of ours gets the text format, as from
//! Prometheus' own libraries.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING},
};
use mediatype::{MediaType, MediaTypeList, Name, ReadParams};

use crate::metrics::{Encoding, Format};

/// What a scrape gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub format: Format,
    pub encoding: Encoding,
    pub content_type: String,
}

/// What can be had: the format, and the parameters without which a client has to be understood to mean another version.
struct Offer {
    format: Format,
    /// Type and subtype.
    names: [&'static str; 2],
    /// What a client's range says, or may leave out unless it is needed.
    params: &'static [(&'static str, &'static str)],
    /// Whether a range without these parameters means something else.
    needs_params: bool,
    content_type: &'static str,
    /// Whether names may be escaped otherwise, as the client likes: ours need none.
    has_escaping: bool,
}

/// The first ones are preferred.
const OFFERS: [Offer; 4] = [
    Offer {
        format: Format::Text,
        names: ["text", "plain"],
        params: &[("version", "0.0.4")],
        needs_params: false,
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        has_escaping: false,
    },
    Offer {
        format: Format::Text,
        names: ["text", "plain"],
        params: &[("version", "1.0.0")],
        needs_params: false,
        content_type: "text/plain; version=1.0.0; charset=utf-8",
        has_escaping: true,
    },
    Offer {
        format: Format::OpenMetrics,
        names: ["application", "openmetrics-text"],
        params: &[("version", "1.0.0")],
        needs_params: false,
        content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
        has_escaping: true,
    },
    Offer {
        format: Format::Protobuf,
        names: ["application", "vnd.google.protobuf"],
        params: &[("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")],
        needs_params: true,
        content_type: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                       encoding=delimited",
        has_escaping: true,
    },
];

/// The ways in which names that are not plain may be escaped.
const ESCAPINGS: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

/// How well a range fits an offer: not at all, or the better the higher.
type Fit = Option<u8>;

/// What a request with these headers gets.
pub(super) fn negotiate(headers: &HeaderMap) -> Negotiated {
    let accept = joined(headers, &ACCEPT);
    let ranges: Vec<_> = MediaTypeList::new(&accept).filter_map(Result::ok).collect();
    let (offer, range) = best(&ranges).unwrap_or((&OFFERS[0], None));
    let escaping = range.filter(|_| offer.has_escaping).and_then(escaping);
    let escaping = escaping.map(|escaping| format!("; escaping={escaping}")).unwrap_or_default();
    let content_type = format!("{}{escaping}", offer.content_type);
    Negotiated { format: offer.format, encoding: encoding(headers), content_type }
}

/// The values of all headers of this name, as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

fn best<'a>(ranges: &'a [MediaType<'a>]) -> Option<(&'static Offer, Option<&'a MediaType<'a>>)> {
    let mut best: Option<(f32, usize, &Offer)> = None;
    for offer in &OFFERS {
        let fitting = ranges.iter().enumerate().filter_map(|(index, range)| Some((offer.fit(range)?, index)));
        let Some((_, index)) = fitting.max_by_key(|&(fit, index)| (fit, std::cmp::Reverse(index))) else {
            continue;
        };
        let quality = quality_of(&ranges[index]);
        let is_better = best.is_none_or(|(best, at, _)| quality > best || (quality == best && index < at));
        if quality > 0.0 && is_better {
            best = Some((quality, index, offer));
        }
    }
    best.map(|(_, index, offer)| (offer, ranges.get(index)))
}

impl Offer {
    fn fit(&self, range: &MediaType<'_>) -> Fit {
        let is = |name: Name<'_>, own: &str| name == own;
        if is(range.ty, "*") && is(range.subty, "*") {
            return Some(0);
        }
        if !is(range.ty, self.names[0]) {
            return None;
        }
        if is(range.subty, "*") {
            return Some(1);
        }
        let named = |(name, wanted): &(&str, &str)| {
            param(range, name).map(|value| value.eq_ignore_ascii_case(wanted))
        };
        if !is(range.subty, self.names[1]) || self.params.iter().any(|param| named(param) == Some(false)) {
            return None;
        }
        let are_all_named = self.params.iter().all(|param| named(param).is_some());
        if are_all_named { Some(3) } else { (!self.needs_params).then_some(2) }
    }
}

fn quality_of(range: &MediaType<'_>) -> f32 {
    param(range, "q").map_or(1.0, |q| quality(&q))
}

/// The value of a parameter.
fn param(range: &MediaType<'_>, name: &str) -> Option<String> {
    let (_, value) = range.params().find(|(param, _)| *param == *name)?;
    Some(value.unquoted_str().into_owned())
}

/// A quality that makes no sense is none.
fn quality(text: &str) -> f32 {
    text.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(0.0)
}

fn escaping(range: &MediaType<'_>) -> Option<&'static str> {
    let asked = param(range, "escaping")?;
    ESCAPINGS.into_iter().find(|escaping| asked.eq_ignore_ascii_case(escaping))
}

/// The compression that the client likes most; the first of these if it likes several as much.
fn encoding(headers: &HeaderMap) -> Encoding {
    let (mut zstd, mut gzip, mut any, mut identity) = (None, None, None, None);
    for coding in joined(headers, &ACCEPT_ENCODING).split(',') {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let place = match name.as_str() {
            "zstd" => &mut zstd,
            "gzip" | "x-gzip" => &mut gzip,
            "*" => &mut any,
            "identity" => &mut identity,
            _ => continue,
        };
        *place = Some(q.map_or(1.0, quality));
    }
    let (zstd, gzip) = (zstd.unwrap_or(0.0), gzip.or(any).unwrap_or(0.0));
    let identity = identity.unwrap_or(0.0);
    if zstd > 0.0 && zstd >= gzip && zstd >= identity {
        Encoding::Zstd
    } else if gzip > 0.0 && gzip >= identity {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

    fn content_type(accept: &str) -> String {
        negotiate(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])).content_type
    }

    #[test]
    fn every_prometheus_gets_what_it_likes_most() {
        let protobuf =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let of_2_42 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let of_2_42_native = format!(
            "{protobuf},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        );
        let of_2_53 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let of_3_5 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let of_3_5_native = format!(
            "{protobuf};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
        assert_eq!(content_type(of_2_42), OPEN_METRICS);
        assert_eq!(content_type(&of_2_42_native), PROTOBUF);
        assert_eq!(content_type(of_2_53), OPEN_METRICS);
        assert_eq!(content_type(of_3_5), format!("{OPEN_METRICS}; escaping=allow-utf-8"));
        assert_eq!(content_type(&of_3_5_native), PROTOBUF);
        assert_eq!(content_type("text/plain;version=0.0.4;q=1,*/*;q=0.1"), TEXT, "vmagent");
        let only_text =
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(content_type(only_text), "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
    }

    #[test]
    fn who_names_nothing_of_ours_gets_text() {
        assert_eq!(negotiate(&HeaderMap::new()).content_type, TEXT);
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for accept in ["", "*/*", "text/*", "text/html", browser, "nonsense", "application/json;q=1"] {
            assert_eq!(content_type(accept), TEXT, "{accept}");
        }
    }

    #[test]
    fn the_most_specific_range_says_how_welcome_a_format_is() {
        for (accept, expected) in [
            ("application/*", OPEN_METRICS),
            ("application/openmetrics-text", OPEN_METRICS),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5", OPEN_METRICS),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", TEXT),
            ("text/plain;q=0.1, */*;q=0.9", OPEN_METRICS),
            ("text/plain, application/openmetrics-text", TEXT),
            ("application/openmetrics-text, text/plain", OPEN_METRICS),
            ("application/openmetrics-text;q=0, */*", TEXT),
            ("application/openmetrics-text;q=nonsense, text/plain;q=0.1", TEXT),
            ("text/plain;q=0, application/openmetrics-text;q=0.001", OPEN_METRICS),
            ("application/vnd.google.protobuf", TEXT),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT),
            ("application/openmetrics-text;version=\"1.0.0,\", text/plain;q=0.1", TEXT),
        ] {
            assert_eq!(content_type(accept), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/plain;q=0.1".parse().unwrap());
        headers.append(ACCEPT, "application/openmetrics-text".parse().unwrap());
        assert_eq!(negotiate(&headers).format, Format::OpenMetrics);
    }

    #[test]
    fn an_escaping_is_the_one_that_was_asked_for_if_there_is_such() {
        let escaped =
            |escaping: &str| content_type(&format!("application/openmetrics-text;escaping={escaping}"));
        assert_eq!(escaped("dots"), format!("{OPEN_METRICS}; escaping=dots"));
        assert_eq!(escaped("none"), OPEN_METRICS);
        assert_eq!(content_type("text/plain;version=0.0.4;escaping=values"), TEXT);
    }

    #[test]
    fn it_is_compressed_where_the_client_takes_it() {
        for (value, expected) in [
            ("gzip", Encoding::Gzip),
            ("gzip, deflate, br", Encoding::Gzip),
            ("gzip, deflate, br, zstd", Encoding::Zstd),
            ("zstd;q=0.5, gzip", Encoding::Gzip),
            ("zstd;q=0.5, identity", Encoding::Identity),
            ("deflate;q=1.0, GZIP;q=0.5", Encoding::Gzip),
            ("*", Encoding::Gzip),
            ("*;q=0.1", Encoding::Gzip),
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("deflate", Encoding::Identity),
            ("gzip;q=0", Encoding::Identity),
            ("*;q=1, gzip;q=0", Encoding::Identity),
            ("gzip;q=0.2, identity;q=0.8", Encoding::Identity),
            ("gzip;q=nonsense", Encoding::Identity),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(encoding(&headers), expected, "{value:?}");
        }
        assert_eq!(encoding(&HeaderMap::new()), Encoding::Identity);
    }
}
