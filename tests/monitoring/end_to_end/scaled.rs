//! Our configuration with time running sixty times faster: in rules and queries a minute becomes a second. Nothing
//! else of it is changed but addresses and intervals.

use std::{fs, path::Path};

use crate::files;

/// What comes before a duration in rules and queries.
const BEFORE: [&str; 3] = ["[", "offset ", "for: "];

/// Bounds of idle times that stand for a duration, and the bucket that stands for a sixtieth of it (of a day: the
/// next one above).
const BOUNDS: [(&str, &str); 2] = [("\"1800(", "\"30("), ("\"86400(", "\"1800(")];

/// A rule or query in which every duration is a sixtieth.
pub fn faster(text: &str) -> String {
    let text = BEFORE.iter().fold(text.to_owned(), |text, before| shorten(&text, before));
    let text = BOUNDS.iter().fold(text, |text, (bound, other)| text.replace(bound, other));
    text.replace(" * 60", " * 1")
}

fn shorten(text: &str, before: &str) -> String {
    let mut pieces = text.split(before);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        result += before;
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(piece.len());
        match humantime::parse_duration(&piece[..end]) {
            Ok(duration) => {
                let seconds = (duration / 60).as_secs().max(1).to_string();
                result.extend([&seconds, "s", &piece[end..]]);
            }
            Err(_) => result.push_str(piece),
        }
    }
    result
}

/// A dashboard's query as Grafana would send it, for a range of two minutes.
pub fn query(expr: &str) -> String {
    let bound = ["job", "instance", "project", "workflow"]
        .iter()
        .fold(expr.to_owned(), |text, name| text.replace(&format!("\"${name}\""), "\".+\""));
    let ranges = [("$__rate_interval", 10), ("$__interval", 15), ("$__range", 120)];
    faster(&ranges.iter().fold(bound, |text, (name, seconds)| text.replace(name, &format!("{seconds}m"))))
}

/// Writes the rules, shortened, into a directory.
pub fn write_rules(directory: &Path) {
    for path in files::listed("alerts", ".yml") {
        let name = path.rsplit('/').next().unwrap();
        fs::write(directory.join(name), faster(&files::text(&path))).unwrap();
    }
}

/// The shipped configuration with these replacements, each of which must be there.
pub fn configuration(path: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(files::text(path), |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from}");
        text.replace(from, to)
    })
}

#[test]
fn a_minute_becomes_a_second_and_names_stay() {
    let text = "for: 15m\nexpr: a:b:increase1h > 2 * 60 and x[1d] offset 1h{le=~\"1800([.]0)?\"} and y[30m]";
    let expected =
        "for: 15s\nexpr: a:b:increase1h > 2 * 1 and x[1440s] offset 60s{le=~\"30([.]0)?\"} and y[30s]";
    assert_eq!(faster(text), expected);
    assert_eq!(query("rate(x{job=~\"$job\"}[$__rate_interval])"), "rate(x{job=~\".+\"}[10s])");
}
