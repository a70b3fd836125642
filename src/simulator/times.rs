//! Times on the wire: the RFC 3339 forms that occur side by side in one body, and the `Date` header's form.

use jiff::{Timestamp, civil::DateTime, tz};

use super::random;

/// Hours from UTC; 0 is written `Z`.
const OFFSETS: [i8; 5] = [0, 2, 0, -3, 0];

/// `at`, a whole millisecond, exactly, in a form that depends on which `field` of which `id` it is.
pub fn wire(id: &str, field: &str, at: Timestamp) -> String {
    let hours = *random::choose(&OFFSETS, &[id, field, "offset"]);
    let civil = tz::offset(hours).to_datetime(at);
    let digits = *random::choose(&[0_u8, 3, 6], &[id, field, "digits"]);
    format!("{}{}{}", civil_seconds(civil), fraction(civil, digits), suffix(hours))
}

fn civil_seconds(civil: DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

fn fraction(civil: DateTime, digits: u8) -> String {
    match (civil.subsec_nanosecond() / 1_000_000, digits) {
        (0, 0) => String::new(),
        (millis, 6) => format!(".{millis:03}000"),
        (millis, _) => format!(".{millis:03}"),
    }
}

fn suffix(hours: i8) -> String {
    match hours {
        0 => "Z".to_owned(),
        _ => format!("{}{:02}:00", if hours < 0 { '-' } else { '+' }, hours.unsigned_abs()),
    }
}

/// `at` as an IMF-fixdate, the form of the `Date` header.
pub fn http_date(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let civil = tz::Offset::UTC.to_datetime(at);
    let day = usize::try_from(civil.weekday().to_monday_zero_offset()).unwrap_or(0);
    let month = usize::try_from(civil.month() - 1).unwrap_or(0);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[day],
        civil.day(),
        MONTHS[month],
        civil.year(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_form_parses_back_to_the_exact_instant(
            millis in 0_i64..4_000_000_000_000, id in "[a-z]{1,8}", field in "[a-z]{1,8}",
        ) {
            let at = Timestamp::from_millisecond(millis).unwrap();
            prop_assert_eq!(wire(&id, &field, at).parse::<Timestamp>().unwrap(), at);
        }
    }

    #[test]
    fn all_documented_forms_occur() {
        let shape = |millis: i64| -> BTreeSet<String> {
            let at = Timestamp::from_millisecond(millis).unwrap();
            (0..200).map(|i: i32| wire(&i.to_string(), "started_at", at)[19..].to_owned()).collect()
        };
        let whole = shape(1_700_000_000_000);
        for suffix in ["Z", ".000Z", ".000000Z", "+02:00", ".000-03:00"] {
            assert!(whole.contains(suffix), "{suffix} is missing from {whole:?}");
        }
        let broken = shape(1_700_000_000_120);
        assert!(broken.contains(".120Z") && broken.contains(".120000+02:00") && !broken.contains("Z"));
    }

    #[test]
    fn the_date_header_is_an_imf_fixdate() {
        let at: Timestamp = "1994-11-06T08:49:37.9Z".parse().unwrap();
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        let at: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(http_date(at), "Sat, 28 Feb 2026 23:59:59 GMT");
    }
}
