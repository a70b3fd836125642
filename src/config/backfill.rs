//! What `backfill` is to write: of which time, how finely, with which further labels.

use std::{fmt, path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::parse::Parsed;

/// Labels that the exporter sets itself.
const OWN_LABELS: [&str; 6] = ["api", "le", "project", "status", "workflow_id", "workflow_name"];
const DAY: Duration = Duration::from_hours(24);
const SHORTEST_STEP: Duration = Duration::from_secs(15);
const LONGEST_STEP: Duration = Duration::from_hours(1);
const MOMENT: &str = "an RFC 3339 time such as 2026-11-01T00:00:00Z, or Unix seconds";

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfillConfig {
    /// Events before then are left out.
    pub since: Bound,
    /// Events from then on are left out; none = now.
    pub until: Option<Bound>,
    /// The folder of the files, and of what was read so far.
    pub output: PathBuf,
    /// From one sample to the next; divides a day evenly.
    pub step: Duration,
    /// Labels of every series beside the exporter's own, such as `job` and `instance`.
    pub labels: Vec<(String, String)>,
}

/// One end of the time, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    given: String,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Before(SignedDuration),
}

impl Bound {
    /// The moment, where a duration counts back from `end`.
    #[must_use]
    pub fn before(&self, end: Timestamp) -> Timestamp {
        match self.when {
            When::At(at) => at,
            When::Before(time) => end.saturating_sub(time).unwrap_or(Timestamp::MIN),
        }
    }
}

/// As it was given.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// `--since`: a moment, or how long before the end.
///
/// # Errors
/// Like all of these: what is allowed, if `text` is not.
pub fn since(text: &str) -> Parsed<Bound> {
    let given = text.trim().to_owned();
    let time = humantime::parse_duration(&given).ok().filter(|time| *time >= SHORTEST_STEP);
    let when = match time.map(SignedDuration::try_from) {
        Some(Ok(time)) => Some(When::Before(time)),
        _ => moment(&given).map(When::At),
    };
    let when = when.ok_or_else(|| format!("expected a duration such as 30d, {MOMENT}"))?;
    Ok(Bound { given, when })
}

/// `--until`: a moment.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn until(text: &str) -> Parsed<Bound> {
    let given = text.trim().to_owned();
    let at = moment(&given).ok_or_else(|| format!("expected {MOMENT}"))?;
    Ok(Bound { given, when: When::At(at) })
}

/// To the microsecond, which is as precise as a metric shows it.
fn moment(text: &str) -> Option<Timestamp> {
    let micros = |seconds: f64| (seconds * 1e6).round();
    #[allow(clippy::cast_possible_truncation, reason = "within the range of a timestamp, or refused by it")]
    let of_number = |seconds: f64| Timestamp::from_microsecond(micros(seconds) as i64).ok();
    match text.parse::<f64>() {
        Ok(seconds) => Some(seconds).filter(|seconds| *seconds > 0.0).and_then(of_number),
        Err(_) => text.parse().ok(),
    }
}

/// `--step`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn step(text: &str) -> Parsed<Duration> {
    let is_allowed = |step: &Duration| {
        (SHORTEST_STEP..=LONGEST_STEP).contains(step) && DAY.as_nanos().is_multiple_of(step.as_nanos())
    };
    let step = humantime::parse_duration(text.trim()).ok().filter(is_allowed);
    step.ok_or_else(|| "expected a duration from 15s to 1h that divides a day, such as 30s, 1m or 5m".into())
}

/// `--label`.
///
/// # Errors
/// What is allowed, if `text` is not.
pub fn label(text: &str) -> Parsed<(String, String)> {
    let wrong = || "expected NAME=VALUE, such as job=kapso, with a name of letters, digits and '_'";
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(fits);
    if !is_name || name.starts_with("__") || value.is_empty() || value.contains(char::is_control) {
        return Err(wrong().into());
    }
    if OWN_LABELS.contains(&name) {
        return Err(format!(
            "the exporter sets the label {name} itself; the labels of a scrape are job and instance"
        ));
    }
    Ok((name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_beginning_is_a_time_before_the_end_or_a_moment() {
        let end = at("2026-11-22T00:00:00Z");
        for (text, expected) in [
            ("30d", "2026-10-23T00:00:00Z"),
            ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00Z"),
            ("1793491200", "2026-11-01T00:00:00Z"),
            ("1793491200.123456", "2026-11-01T00:00:00.123456Z"),
        ] {
            assert_eq!(since(text).unwrap().before(end), at(expected), "{text}");
        }
        for bad in ["", "soon", "-30d", "0s", "NaN", "inf", "-5", "1e300", "2026-13-01T00:00:00Z"] {
            assert!(since(bad).unwrap_err().contains("such as 30d"), "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_moment() {
        assert_eq!(until("1793491200.5").unwrap().before(Timestamp::MAX), at("2026-11-01T00:00:00.5Z"));
        assert!(until("30d").unwrap_err().starts_with("expected an RFC 3339 time"));
    }

    #[test]
    fn a_step_divides_a_day() {
        assert_eq!(step("90s").unwrap(), Duration::from_secs(90));
        for bad in ["7m", "1s", "2h", "15.5s", "often"] {
            assert!(step(bad).unwrap_err().contains("divides a day"), "{bad}");
        }
    }

    #[test]
    fn a_label_is_none_of_the_exporters_own() {
        assert_eq!(label("instance=host:10110=x").unwrap(), ("instance".into(), "host:10110=x".into()));
        for bad in ["job", "=x", "job=", "a-b=c", "__name__=x", "9=x", "a=b\nc"] {
            assert!(label(bad).unwrap_err().starts_with("expected NAME=VALUE"), "{bad}");
        }
        assert!(label("status=x").unwrap_err().contains("sets the label status itself"));
    }
}
