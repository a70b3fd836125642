//! Prometheus' text format and `OpenMetrics`, which differs in the names of counters, in how bounds of buckets are written,
//! and by what it has besides: units, start timestamps and exemplars.

use std::{borrow::Cow, io::Write};

use jiff::Timestamp;

use super::{EXEMPLAR_LABEL, Row};
use crate::{
    ledger::{Exemplar, Histogram},
    metrics::{
        Family, Unit,
        family::Kind,
        sink::{Labels, Value},
    },
    model::unix_seconds,
};

/// The lines before the samples of a family.
pub(super) fn head(family: &Family, out: &mut Vec<u8>) {
    help_and_type(family, family.name, false, out);
}

/// The same in `OpenMetrics`, where a counter's family is named without its ending.
pub(crate) fn open_metrics_head(family: &Family, out: &mut Vec<u8>) {
    let name = base(family.name, family.kind);
    help_and_type(family, name, true, out);
    if let Some(unit) = unit(family) {
        write(out, format_args!("# UNIT {name} {unit}\n"));
    }
}

fn help_and_type(family: &Family, name: &str, quotes: bool, out: &mut Vec<u8>) {
    write(out, format_args!("# HELP {name} "));
    escape(family.help, quotes, out);
    write(out, format_args!("\n# TYPE {name} {}\n", family.kind.as_str()));
}

/// The base unit of a family whose name ends with it, as the formats want it.
pub(crate) fn unit(family: &Family) -> Option<&'static str> {
    let unit = match family.unit {
        Unit::Seconds | Unit::UnixSeconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::Flag | Unit::None | Unit::Number => return None,
    };
    base(family.name, family.kind).strip_suffix(unit)?.ends_with('_').then_some(unit)
}

/// A family's name, a counter's without its ending.
fn base(name: &str, kind: Kind) -> &str {
    if kind == Kind::Counter { name.strip_suffix("_total").unwrap_or(name) } else { name }
}

/// The lines of a sample.
pub(super) fn sample(row: &Row<'_>, out: &mut Vec<u8>) {
    match *row.value {
        Value::Gauge(value) | Value::Counter { total: value, .. } => {
            line(out, (row.name, ""), row.labels, None, |out| number(value, out));
        }
        Value::Histogram { histogram, .. } => lines_of_histogram(row, histogram, out, plain_bound, |_, _| {}),
    }
}

/// The lines of a sample in `OpenMetrics`.
pub(super) fn open_metrics_sample(row: &Row<'_>, out: &mut Vec<u8>) {
    match *row.value {
        Value::Gauge(value) => line(out, (row.name, ""), row.labels, None, |out| number(value, out)),
        Value::Counter { total, since, exemplar } => {
            line(out, (row.name, ""), row.labels, None, |out| {
                number(total, out);
                write_exemplar(row.options.exemplar(exemplar), out);
            });
            created(base(row.name, row.kind), row.labels, since, out);
        }
        Value::Histogram { histogram, since } => {
            let exemplars = row.options.by_bucket(histogram);
            let exemplar = |bucket: usize, out: &mut Vec<u8>| write_exemplar(exemplars[bucket], out);
            lines_of_histogram(row, histogram, out, canonical_bound, exemplar);
            created(row.name, row.labels, since, out);
        }
    }
}

fn lines_of_histogram(
    row: &Row<'_>,
    histogram: &Histogram,
    out: &mut Vec<u8>,
    bound: fn(f64) -> String,
    exemplar: impl Fn(usize, &mut Vec<u8>),
) {
    let buckets = histogram.cumulative().filter(|_| row.has_classic_buckets());
    for (index, (upper, count)) in buckets.enumerate() {
        let le = Some(bound(upper));
        line(out, (row.name, "_bucket"), row.labels, le, |out| {
            write(out, format_args!("{count}"));
            exemplar(index, out);
        });
    }
    let count = histogram.count();
    line(out, (row.name, "_bucket"), row.labels, Some("+Inf".into()), |out| {
        write(out, format_args!("{count}"));
        exemplar(histogram.counts().len() - 1, out);
    });
    line(out, (row.name, "_sum"), row.labels, None, |out| number(histogram.sum(), out));
    line(out, (row.name, "_count"), row.labels, None, |out| write(out, format_args!("{count}")));
}

/// A line: the name with its ending, the labels, `le` at last, and what `value` writes.
fn line(
    out: &mut Vec<u8>,
    (name, ending): (&str, &str),
    labels: &Labels<'_>,
    le: Option<String>,
    value: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(ending.as_bytes());
    let le = le.map(|le| ("le", Cow::Owned(le)));
    let mut separator = b'{';
    for (name, value) in labels.iter().chain(&le) {
        out.push(separator);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(value, true, out);
        out.push(b'"');
        separator = b',';
    }
    if separator == b',' {
        out.push(b'}');
    }
    out.push(b' ');
    value(out);
    out.push(b'\n');
}

fn created(name: &str, labels: &Labels<'_>, since: Option<Timestamp>, out: &mut Vec<u8>) {
    if let Some(since) = since {
        line(out, (name, "_created"), labels, None, |out| number(unix_seconds(since), out));
    }
}

fn write_exemplar(exemplar: Option<&Exemplar>, out: &mut Vec<u8>) {
    let Some(Exemplar { execution, value, at }) = exemplar else { return };
    write(out, format_args!(" # {{{EXEMPLAR_LABEL}=\""));
    escape(execution.as_str(), true, out);
    out.extend_from_slice(b"\"} ");
    number(*value, out);
    out.push(b' ');
    number(unix_seconds(*at), out);
}

fn plain_bound(bound: f64) -> String {
    bound.to_string()
}

/// The one way in which `OpenMetrics` writes this bound: with a point, and with an exponent from a million on.
pub(crate) fn canonical_bound(bound: f64) -> String {
    if bound >= 1e6 || (bound > 0.0 && bound < 1e-4) {
        let text = format!("{bound:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    if bound.fract() == 0.0 { format!("{bound:.1}") } else { bound.to_string() }
}

fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write(out, format_args!("{value}"));
    }
}

/// The text, with what would end it or its line escaped; quotes too, where they would.
pub(crate) fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    for part in text.as_bytes().split_inclusive(|byte| matches!(byte, b'\\' | b'\n' | b'"')) {
        let Some((last, rest)) = part.split_last() else { continue };
        out.extend_from_slice(rest);
        match last {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            byte => out.push(*byte),
        }
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_has_one_way_to_write_a_bound() {
        let written = [0.0001, 0.00001, 0.5, 1.0, 2.5, 604_800.0, 1e6, 1_234_567.0, 1e7].map(canonical_bound);
        let canonical =
            ["0.0001", "1e-05", "0.5", "1.0", "2.5", "604800.0", "1e+06", "1.234567e+06", "1e+07"];
        assert_eq!(written, canonical);
    }

    #[test]
    fn what_would_end_a_text_is_escaped() {
        let mut out = Vec::new();
        escape("a\"b\\c\nd", true, &mut out);
        escape("\"", false, &mut out);
        assert_eq!(out, br#"a\"b\\c\nd""#);
    }
}
