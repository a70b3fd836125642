//! `OpenMetrics` text with timestamps, one series after the other, as the format wants it.
//!
//! The series of a histogram are written as three families of unknown type: whoever imports them looks at names alone, and
//! Python's parser (`prometheus_client` 0.26) cannot read a histogram with more than one timestamp.

use std::io::{self, Write};

use super::span::{Counts, Moment};
use crate::metrics::{Encoder, Family, Format, Kind, Labels, Options, Sink, Value, escape};

/// A part of a family that is written in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The series of a histogram with this ending.
    Ending(&'static str),
}

impl Part {
    /// The parts of a family.
    #[must_use]
    pub fn all(family: &Family) -> &'static [Self] {
        const OF_HISTOGRAM: [Part; 3] =
            [Part::Ending("_bucket"), Part::Ending("_count"), Part::Ending("_sum")];
        match family.kind {
            Kind::Histogram | Kind::Snapshot => &OF_HISTOGRAM,
            Kind::Gauge | Kind::Counter => &[Self::Whole],
        }
    }

    /// The lines that begin it.
    #[must_use]
    pub fn head(self, family: &Family) -> Vec<u8> {
        let mut head = Vec::new();
        Format::OpenMetrics.head(family, 0, &mut head);
        let Self::Ending(ending) = self else { return head };
        let text = String::from_utf8_lossy(&head);
        let help = text.lines().next().unwrap_or_default();
        let name = family.name;
        let help = help.replacen(name, &format!("{name}{ending}"), 1);
        format!("{help}\n# TYPE {name}{ending} unknown\n").into_bytes()
    }
}

/// When samples are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before those that are written: they tell which histograms have begun.
    Before,
    /// Then, and they are written.
    At(Moment),
    /// The next moment after those that are written: they tell which histograms are about to begin.
    After,
}

/// Takes the samples of a part of a family moment by moment, and writes them series by series.
pub struct SeriesText<'a> {
    /// When the samples are of that come next.
    when: When,
    lines: Lines<'a>,
    series: Vec<Series>,
}

/// A series, or all series of a part of a histogram.
struct Series {
    /// The values of its labels.
    key: String,
    /// The lines of each.
    texts: Vec<Vec<u8>>,
    /// A histogram begins with its last empty sample before its first value.
    begun: bool,
    empty_at: Option<i64>,
}

impl<'a> SeriesText<'a> {
    /// Of this part, with these labels beside those of the samples, each followed by a comma.
    #[must_use]
    pub fn new(part: Part, common: &'a str) -> Self {
        let encoder = Encoder::new(Format::OpenMetrics, Options::default());
        let lines = Lines { part, name: "", common, encoder, plain: Vec::new(), written: 0 };
        Self { when: When::Before, lines, series: Vec::new() }
    }

    /// The samples that come next are of then.
    pub fn at(&mut self, when: When) {
        self.when = when;
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.texts.is_empty())
    }

    /// Writes what was taken. Returns how many samples that is.
    ///
    /// # Errors
    /// What `to` reports.
    pub fn write(&self, to: &mut impl Write) -> io::Result<u64> {
        for text in self.series.iter().flat_map(|series| &series.texts) {
            to.write_all(text)?;
        }
        Ok(self.lines.written)
    }

    fn place(&mut self, labels: &Labels<'_>) -> usize {
        let is_it = |series: &Series| {
            let mut values = series.key.split('\0');
            labels.iter().all(|(_, value)| values.next() == Some(value))
        };
        self.series.iter().position(is_it).unwrap_or_else(|| {
            let values: Vec<_> = labels.iter().map(|(_, value)| value.as_ref()).collect();
            let (texts, begun, empty_at) = (Vec::new(), false, None);
            self.series.push(Series { key: values.join("\0"), texts, begun, empty_at });
            self.series.len() - 1
        })
    }
}

impl Sink for SeriesText<'_> {
    fn begin(&mut self, family: &Family) {
        self.lines.name = family.name;
        self.lines.encoder.begin(family);
    }

    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let place = self.place(labels);
        let (series, lines) = (&mut self.series[place], &mut self.lines);
        let Value::Histogram { histogram, .. } = value else {
            if let When::At(moment) = self.when {
                lines.write(labels, value, moment.at, &mut series.texts);
            }
            return;
        };
        let has_values = histogram.count() > 0;
        if let (true, false, Some(at)) = (has_values, series.begun, series.empty_at) {
            let empty = Value::Histogram { histogram: &histogram.since(histogram), since: None };
            lines.write(labels, &empty, at, &mut series.texts);
        }
        series.begun |= has_values;
        match self.when {
            // The next exporter begins with every series.
            When::At(Moment { at, counts }) if series.begun || counts == Counts::None => {
                lines.write(labels, value, at, &mut series.texts);
            }
            When::At(Moment { at, .. }) => series.empty_at = Some(at),
            When::Before | When::After => {}
        }
    }
}

/// Writes the lines of a sample.
struct Lines<'a> {
    part: Part,
    /// The family's name.
    name: &'static str,
    common: &'a str,
    encoder: Encoder,
    /// Lines without timestamps.
    plain: Vec<u8>,
    /// How many lines were written.
    written: u64,
}

impl Lines<'_> {
    /// Adds a line to each of `texts`.
    fn write(&mut self, labels: &Labels<'_>, value: &Value<'_>, at: i64, texts: &mut Vec<Vec<u8>>) {
        self.encode(labels, value);
        let at = timestamp(at);
        let ending = if let Part::Ending(ending) = self.part { ending } else { "" };
        let head = format!("{}{ending}{{", self.name);
        let lines = self.plain.split(|&byte| byte == b'\n');
        let lines = lines.filter_map(|line| line.strip_prefix(head.as_bytes()));
        for (number, rest) in lines.enumerate() {
            if texts.len() == number {
                texts.push(Vec::new());
            }
            self.written += 1;
            for part in [head.as_bytes(), self.common.as_bytes(), rest, b" ", at.as_bytes(), b"\n"] {
                texts[number].extend_from_slice(part);
            }
        }
    }

    fn encode(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        self.plain.clear();
        match value {
            // Its buckets belong to another part.
            Value::Histogram { histogram, .. } if self.part != Part::Ending("_bucket") => {
                let histogram = (*histogram).clone().with_bounds(&[].into());
                self.encoder.sample(labels, &Value::Histogram { histogram: &histogram, since: None });
            }
            _ => self.encoder.sample(labels, value),
        }
        self.encoder.finish(&mut self.plain);
    }
}

/// The line that ends a file.
#[must_use]
pub fn end() -> Vec<u8> {
    let mut end = Vec::new();
    Format::OpenMetrics.end(&mut end);
    end
}

/// These labels as [`SeriesText`] takes them.
#[must_use]
pub fn common(labels: &[(String, String)]) -> String {
    let mut text = Vec::new();
    for (name, value) in labels {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"=\"");
        escape(value, true, &mut text);
        text.extend_from_slice(b"\",");
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Seconds since 1970, to the millisecond, which is as precise as Prometheus keeps them.
fn timestamp(millisecond: i64) -> String {
    match (millisecond.div_euclid(1000), millisecond.rem_euclid(1000)) {
        (seconds, 0) => seconds.to_string(),
        (seconds, millis) => format!("{seconds}.{millis:03}"),
    }
}
