//! The length of a line: an event may quote what a server sent, and a server may send megabytes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::config::LogFormat;

/// The longest line of an event, in bytes. A longer one is cut.
const LONGEST: usize = 4 << 10;
/// The longest value in a line of JSON that is cut.
const LONGEST_VALUE: usize = 256;
/// The longest text that is no event, such as a panic with its backtrace.
const LONGEST_TEXT: usize = 64 << 10;
/// The longest escape sequence, such as `\u{10ffff}`.
const LONGEST_ESCAPE: usize = 10;
/// Where something was cut.
const MARK: &str = "...";

/// The line of an event, cut if it is too long. It stays one of its format.
pub(super) fn bounded(line: &[u8], format: LogFormat) -> Cow<'_, [u8]> {
    if line.len() <= LONGEST {
        return Cow::Borrowed(line);
    }
    let line = String::from_utf8_lossy(line);
    let cut = match format {
        LogFormat::Logfmt => logfmt(&line),
        LogFormat::Json => json(&line).unwrap_or_else(|_| logfmt(&line)),
    };
    Cow::Owned((cut + "\n").into_bytes())
}

/// A text that is no event, as a line.
pub(super) fn plain(text: &str) -> Vec<u8> {
    format!("{}\n", cut(text, LONGEST_TEXT)).into_bytes()
}

fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{MARK}", &text[..text.floor_char_boundary(longest)]))
}

/// Cuts the line, and closes the quotes of a value that is cut in two.
fn logfmt(line: &str) -> String {
    let mut end = line.floor_char_boundary(LONGEST);
    let (mut quoted, mut escaped, mut last_escape) = (false, false, None);
    for (at, c) in line[..end].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => (escaped, last_escape) = (true, Some(at)),
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    if let Some(at) = last_escape.filter(|at| quoted && end - at < LONGEST_ESCAPE) {
        end = at;
    }
    format!("{}{MARK}{}", &line[..end], if quoted { "\"" } else { "" })
}

/// Cuts the values.
fn json(line: &str) -> serde_json::Result<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(line)?;
    for value in fields.values_mut() {
        if let Value::String(text) = value {
            *text = cut(text, LONGEST_VALUE).into_owned();
        }
    }
    serde_json::to_string(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_to_text(line: &str, format: LogFormat) -> String {
        let cut = bounded(line.as_bytes(), format);
        assert!(cut.len() < LONGEST + 10, "{}", cut.len());
        String::from_utf8(cut.into_owned()).unwrap()
    }

    #[test]
    fn a_line_of_usual_length_stays_as_it_is() {
        let line = b"level=info msg=sweep\n";
        assert_eq!(*bounded(line, LogFormat::Logfmt), *line);
    }

    #[test]
    fn a_long_value_of_logfmt_is_cut_and_its_quotes_are_closed() {
        let line = format!("level=info msg=\"no {}\" after=1\n", "x".repeat(1 << 20));
        let cut = cut_to_text(&line, LogFormat::Logfmt);
        assert!(cut.starts_with("level=info msg=\"no xxx") && cut.ends_with("xxx...\"\n"), "{cut}");
    }

    #[test]
    fn a_long_value_without_quotes_gets_none() {
        let cut = cut_to_text(&format!("msg=no id={}\n", "é".repeat(1 << 20)), LogFormat::Logfmt);
        assert!(cut.ends_with("éé...\n"), "{cut}");
    }

    #[test]
    fn no_escape_sequence_is_cut_in_two() {
        for sequence in [r"\\", r#"\""#, r"\n", r"\u{202e}", r"\u{10ffff}"] {
            for before in 0..12 {
                let line = format!("msg=\"{}{}\"\n", "x".repeat(before), sequence.repeat(LONGEST));
                let cut = cut_to_text(&line, LogFormat::Logfmt);
                let value = cut.strip_prefix("msg=\"").unwrap().trim_start_matches('x');
                let rest = value.replace(sequence, "");
                assert_eq!(rest, "...\"\n", "{sequence} after {before}");
            }
        }
    }

    #[test]
    fn a_long_line_of_json_stays_json_with_its_message() {
        let line = format!(
            "{}\n",
            serde_json::json!({"level": "INFO", "message": "gone", "id": "\u{1}é".repeat(1 << 20), "n": 7})
        );
        let cut = cut_to_text(&line, LogFormat::Json);
        let fields: Value = serde_json::from_str(&cut).unwrap();
        assert_eq!((&fields["message"], &fields["n"]), (&"gone".into(), &7.into()));
        assert!(fields["id"].as_str().unwrap().ends_with("..."), "{cut}");
    }

    #[test]
    fn a_text_ends_somewhere() {
        assert_eq!(plain("error: no key"), b"error: no key\n");
        assert_eq!(plain(&"x".repeat(1 << 20)).len(), LONGEST_TEXT + MARK.len() + 1);
    }
}
