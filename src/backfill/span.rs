//! The time that is backfilled, and the moments at which its counters are written.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Lists filter by start alone: executions that started so long before are read for their ends.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
const DAY: i64 = 86_400_000;

/// The time that is backfilled: from `since` up to, not including, `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// A moment at which the counters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Which events they hold.
    pub counts: Counts,
}

/// Which events a sample holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Those before it.
    Before,
    /// All.
    All,
    /// None: the counters of an exporter that begins to watch at the end begin at zero, and that they do so is to be
    /// seen whatever the first scrape of it shows.
    None,
}

/// The moments of one day, in UTC; the last two of all are one and two milliseconds before the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Which one.
    pub date: Date,
    /// Its moments, in order.
    pub moments: Vec<Moment>,
    /// The first one of the next day.
    pub next: Option<Moment>,
}

impl Span {
    /// Whether something that happened then is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        (self.since..self.until).contains(&at)
    }

    /// The earliest start of the executions that are read.
    #[must_use]
    pub fn starts_from(&self) -> Timestamp {
        self.since.saturating_sub(LONGEST_LIFE).unwrap_or(Timestamp::MIN)
    }

    /// Its days, with a moment at its beginning, at each multiple of `step`, and at its end.
    pub fn days(&self, step: Duration) -> impl Iterator<Item = Day> + use<> {
        let span = *self;
        let step = i64::try_from(step.as_millis()).unwrap_or(DAY).max(1);
        let days =
            span.since.as_millisecond().div_euclid(DAY)..=(span.until.as_millisecond() - 1).div_euclid(DAY);
        days.map(move |day| Day {
            date: date(day * DAY),
            moments: span.moments(day, step).collect(),
            next: span.moments(day + 1, step).next(),
        })
    }

    /// The moments of a day, which is counted from 1970; `step` is in milliseconds.
    fn moments(&self, day: i64, step: i64) -> impl Iterator<Item = Moment> + use<> {
        // In whole seconds, since some parsers compare fractions wrongly.
        let first = self.since.as_second() * 1000;
        let end = self.until.as_millisecond();
        let (from, to) = ((day * DAY).max(first), ((day + 1) * DAY).min(end - 2));
        let beginning = Some(first).filter(|at| at.div_euclid(DAY) == day);
        let grid = (from.div_euclid(step)..).map(move |number| number * step);
        let grid = grid.skip_while(move |&at| at < from || at == first).take_while(move |&at| at < to);
        let before = beginning.into_iter().chain(grid).map(|at| Moment { at, counts: Counts::Before });
        let ending =
            [Moment { at: end - 2, counts: Counts::All }, Moment { at: end - 1, counts: Counts::None }];
        before.chain(ending.into_iter().filter(move |moment| moment.at.div_euclid(DAY) == day))
    }
}

fn date(millisecond: i64) -> Date {
    TimeZone::UTC.to_datetime(Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MIN)).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(since: &str, until: &str) -> Span {
        Span { since: since.parse().unwrap(), until: until.parse().unwrap() }
    }

    fn days(span: Span, step: u64) -> Vec<(String, Vec<String>)> {
        let moment = |moment: &Moment| {
            let at = Timestamp::from_millisecond(moment.at).unwrap().to_string();
            let mark = match moment.counts {
                Counts::Before => "",
                Counts::All => " all",
                Counts::None => " none",
            };
            at.split('T').nth(1).unwrap().to_owned() + mark
        };
        let days = span.days(Duration::from_secs(step));
        days.map(|day| (day.date.to_string(), day.moments.iter().map(moment).collect())).collect()
    }

    #[test]
    fn moments_are_the_beginning_the_multiples_of_the_step_and_the_end() {
        let span = span("2026-11-21T23:10:00.5Z", "2026-11-22T01:00:00Z");
        let of = |moments: &[&str]| moments.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            ("2026-11-21".to_owned(), of(&["23:10:00Z", "23:30:00Z"])),
            (
                "2026-11-22".to_owned(),
                of(&["00:00:00Z", "00:30:00Z", "00:59:59.998Z all", "00:59:59.999Z none"]),
            ),
        ];
        assert_eq!(days(span, 1800), expected);
    }

    #[test]
    fn moments_ascend_and_every_day_of_them_begins_at_midnight_whatever_the_ends() {
        let ends = [
            "2026-11-22T00:00:00Z",
            "2026-11-22T00:00:00.001Z",
            "2026-11-22T00:00:00.002Z",
            "2026-11-22T03:07:00.5Z",
        ];
        for since in ["2026-11-19T00:00:00Z", "2026-11-20T11:59:59.999Z"] {
            for until in ends {
                let days: Vec<_> = span(since, until).days(Duration::from_secs(90)).collect();
                let all: Vec<_> = days.iter().flat_map(|day| &day.moments).collect();
                assert!(all.is_sorted_by(|a, b| a.at < b.at), "{since} {until}");
                assert_eq!(all.iter().filter(|moment| moment.counts == Counts::All).count(), 1);
                assert_eq!(all.last().unwrap().counts, Counts::None);
                for (day, next) in days.iter().zip(&days[1..]) {
                    assert_eq!(day.next, next.moments.first().copied(), "{since} {until}");
                }
                assert_eq!(days.last().unwrap().next, None);
                for day in &days[1..] {
                    assert!(!day.moments.is_empty());
                    assert!(
                        day.moments[0].at % DAY == 0 || day.moments[0].counts != Counts::Before,
                        "{since} {until}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_event_at_the_end_is_the_next_exporters() {
        let span = span("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        assert!(span.contains(span.since) && !span.contains(span.until));
        assert_eq!(span.starts_from().to_string(), "2026-11-14T00:00:00Z");
    }
}
