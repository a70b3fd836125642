//! Figures as people read them.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::seconds_between;

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A time span, in one or two units.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a span of whole seconds is small"
)]
pub(super) fn span(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 0.095 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 9.95 && seconds.fract() > 0.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{minutes_all} min", minutes_all = whole / 60),
        7200..172_800 => format!("{} h {minutes} min", whole / 3600),
        _ => format!("{days} d {hours} h"),
    }
}

/// So many of something.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// How long ago something was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(seconds_between(at, now)))
}

/// A moment to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A number of bytes.
#[allow(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A text as a segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_units_that_matter() {
        let spans = [0.0, 0.0274, 9.94, 9.96, 119.4, 150.0, 7199.0, 7260.0, 200_000.0];
        let expected = ["0 s", "27 ms", "9.9 s", "10 s", "119 s", "2 min", "119 min", "2 h 1 min", "2 d 7 h"];
        assert_eq!(spans.map(span), expected);
    }

    #[test]
    fn a_segment_holds_any_text() {
        assert_eq!(segment("a/b?c#\"<é %2F"), "a%2Fb%3Fc%23%22%3C%C3%A9%20%252F");
    }
}
