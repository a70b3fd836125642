//! Text from outside as the value of a label: short, and without characters that act on what shows it.
//!
//! A value has at most [`MOST`] bytes; what is longer is cut at the end of a character and marked with `…`. Control
//! characters, line separators and characters that turn the direction of writing become U+FFFD. The id of something
//! must stay its own: if it was changed, a hash of the whole id follows the mark.

use std::borrow::Cow;

/// Bytes of a value, the mark included.
pub const MOST: usize = 256;

/// Stands where something was cut off.
const MARK: &str = "…";

/// A text that is shown beside an id. What fits stays as it is, so that a value can pass twice.
#[must_use]
pub fn name(text: &str) -> Cow<'_, str> {
    if fits(text) {
        return Cow::Borrowed(text);
    }
    let length: usize = clean(text).map(char::len_utf8).sum();
    Cow::Owned(if length <= MOST { clean(text).collect() } else { shortened(text, MARK) })
}

/// A text that tells things apart and is kept in this form. What fits stays as it is, so that a value can pass
/// twice; different texts stay different unless one of them imitates the form.
#[must_use]
pub fn key(text: &str) -> Cow<'_, str> {
    if fits(text) { Cow::Borrowed(text) } else { Cow::Owned(hashed(text)) }
}

/// An id. Different ids stay different: one that holds a mark of its own gets a hash, too.
#[must_use]
pub fn id(text: &str) -> Cow<'_, str> {
    if text.contains(MARK) { Cow::Owned(hashed(text)) } else { key(text) }
}

/// Whether a text can be a value as it is.
fn fits(text: &str) -> bool {
    text.len() <= MOST && (text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(acts))
}

/// Whether a character does something where it is shown, beside being shown.
fn acts(c: char) -> bool {
    let turns_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns_direction || matches!(c, '\u{2028}' | '\u{2029}')
}

fn clean(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|c| if acts(c) { char::REPLACEMENT_CHARACTER } else { c })
}

fn hashed(text: &str) -> String {
    shortened(text, &format!("{MARK}{:016x}", fnv1a(text.as_bytes())))
}

/// As much of the beginning as leaves room for `ending`, and `ending`.
fn shortened(text: &str, ending: &str) -> String {
    let mut value = String::with_capacity(MOST);
    for c in clean(text) {
        if value.len() + c.len_utf8() + ending.len() > MOST {
            break;
        }
        value.push(c);
    }
    value + ending
}

/// FNV-1a with 64 bits: the same in every version of this program, unlike the standard library's hashes.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_and_clean_stays_as_it_is() {
        for text in
            ["", " ", "Ärger & Ñandú 訂單 🛵", "say \"hi\"", "C:\\bots", "a\u{200d}b", &"x".repeat(MOST)]
        {
            assert_eq!([name(text), key(text), id(text)], [text, text, text]);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_at_the_end_of_a_character_and_marked() {
        assert_eq!(name(&"x".repeat(MOST + 1)), format!("{}…", "x".repeat(253)));
        for offset in 0..4 {
            let text = "x".repeat(offset) + &"🛵".repeat(100);
            let value = name(&text);
            assert!(value.len() <= MOST && value.len() > MOST - 4, "{} bytes", value.len());
            assert!(text.starts_with(value.strip_suffix('…').unwrap()));
        }
    }

    #[test]
    fn what_acts_where_it_is_shown_is_replaced() {
        let text = "a\nb\r\u{1b}[31mc\0d\u{202e}e\u{2066}f\u{2028}g\u{2029}h\u{85}i\u{7f}";
        assert_eq!(
            name(text),
            "a\u{fffd}b\u{fffd}\u{fffd}[31mc\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\u{fffd}"
        );
        let replaced = name(&"\0".repeat(MOST)).into_owned();
        assert_eq!((replaced.len(), replaced.ends_with("\u{fffd}…")), (255, true), "it grows by that");
    }

    #[test]
    fn ids_stay_different_whatever_was_changed() {
        let long = "x".repeat(100_000);
        let ids = [&format!("{long}a"), &format!("{long}b"), "x\n", "x\r", "x\u{fffd}", "x", "x…", "x…a"];
        let imitated = id(&long).into_owned();
        let mut values: Vec<_> = ids.into_iter().chain([long.as_str(), &imitated]).map(id).collect();
        assert!(values.iter().all(|value| value.len() <= MOST));
        values.sort();
        values.dedup();
        assert_eq!(values.len(), ids.len() + 2);
    }

    #[test]
    fn a_hash_is_the_same_in_every_version() {
        assert_eq!(id("x\n"), "x\u{fffd}…08f0de07b58d2b17");
    }

    #[test]
    fn a_value_passes_twice() {
        let long = "訂單".repeat(1000);
        for text in [long.as_str(), "a\nb"] {
            assert_eq!(name(&name(text)), name(text));
            assert_eq!(key(&key(text)), key(text));
            assert_eq!(name(&key(text)), key(text));
        }
    }
}
