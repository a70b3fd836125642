//! OpenMetrics text with timestamps, one series after the other, as the format wants it.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::metrics::{Encoder, Family, Format, Labels, Options, Sink, Value};

/// Takes the samples of a family moment by moment, and writes them series by series.
pub struct SeriesText<'a> {
    /// Labels that every series has, each followed by a comma.
    common: &'a str,
    /// Of which moment the samples are that come next, in milliseconds since 1970; none: of what was written before.
    at: Option<i64>,
    lines: Lines,
    series: Vec<Series>,
}

/// A series, or all series of a histogram.
struct Series {
    /// The values of its labels.
    key: String,
    text: Vec<u8>,
    /// A histogram begins with its last empty sample before its first value.
    begun: bool,
    empty_at: Option<i64>,
}

impl<'a> SeriesText<'a> {
    /// With these labels beside those of the samples.
    #[must_use]
    pub fn new(common: &'a str) -> Self {
        Self { common, at: None, lines: Lines::new(), series: Vec::new() }
    }

    /// The samples that come next are of this moment.
    pub fn set_moment(&mut self, at: i64) {
        self.at = Some(at);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.text.is_empty())
    }

    /// Writes what was taken. Returns how many samples that is.
    ///
    /// # Errors
    /// What `to` reports.
    pub fn write(&self, to: &mut impl Write) -> io::Result<u64> {
        let mut samples = 0;
        for series in &self.series {
            to.write_all(&series.text)?;
            samples += series.text.iter().filter(|&&byte| byte == b'\n').count() as u64;
        }
        Ok(samples)
    }

    fn place(&mut self, labels: &Labels<'_>) -> usize {
        let is_it = |series: &Series| {
            let mut values = series.key.split('\0');
            labels.iter().all(|(_, value)| values.next() == Some(value))
        };
        self.series.iter().position(is_it).unwrap_or_else(|| {
            let values: Vec<_> = labels.iter().map(|(_, value)| value.as_ref()).collect();
            let (text, begun, empty_at) = (Vec::new(), false, None);
            self.series.push(Series { key: values.join("\0"), text, begun, empty_at });
            self.series.len() - 1
        })
    }
}

impl Sink for SeriesText<'_> {
    fn begin(&mut self, family: &Family) {
        self.lines.encoder.begin(family);
    }

    fn sample(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let place = self.place(labels);
        let (series, lines) = (&mut self.series[place], &mut self.lines);
        let is_empty = matches!(value, Value::Histogram { histogram, .. } if histogram.count() == 0);
        let Some(at) = self.at else {
            series.begun = !is_empty;
            return;
        };
        if is_empty && !series.begun {
            series.empty_at = Some(at);
            return;
        }
        if let (false, Some(before), Value::Histogram { histogram, .. }) =
            (series.begun, series.empty_at, value)
        {
            let empty = Value::Histogram { histogram: &histogram.since(histogram), since: None };
            lines.write(labels, &empty, self.common, before, &mut series.text);
        }
        series.begun = true;
        lines.write(labels, value, self.common, at, &mut series.text);
    }
}

/// Writes the lines of a sample.
struct Lines {
    encoder: Encoder,
    /// Its lines without timestamps.
    plain: Vec<u8>,
}

impl Lines {
    fn new() -> Self {
        Self { encoder: Encoder::new(Format::OpenMetrics, Options::default()), plain: Vec::new() }
    }

    fn write(&mut self, labels: &Labels<'_>, value: &Value<'_>, common: &str, at: i64, text: &mut Vec<u8>) {
        self.plain.clear();
        self.encoder.sample(labels, value);
        self.encoder.finish(&mut self.plain);
        let at = timestamp(at);
        for line in self.plain.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let labels = line.iter().position(|&byte| byte == b'{').map_or(line.len(), |brace| brace + 1);
            for part in [&line[..labels], common.as_bytes(), &line[labels..], b" ", at.as_bytes(), b"\n"] {
                text.extend_from_slice(part);
            }
        }
    }
}

/// The lines that begin a family.
#[must_use]
pub fn head(family: &Family) -> Vec<u8> {
    let mut head = Vec::new();
    Format::OpenMetrics.head(family, 0, &mut head);
    head
}

/// The line that ends a file.
#[must_use]
pub fn end() -> Vec<u8> {
    let mut end = Vec::new();
    Format::OpenMetrics.end(&mut end);
    end
}

/// Labels of every series, as [`SeriesText`] takes them.
#[must_use]
pub fn common(labels: &[(String, String)]) -> String {
    labels.iter().map(|(name, value)| format!("{name}=\"{}\",", escaped(value))).collect()
}

fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"']) {
        return value.into();
    }
    value.replace('\\', "\\\\").replace('"', "\\\"").into()
}

/// Seconds since 1970, to the millisecond, which is as precise as Prometheus keeps them.
fn timestamp(millisecond: i64) -> String {
    match (millisecond.div_euclid(1000), millisecond.rem_euclid(1000)) {
        (seconds, 0) => seconds.to_string(),
        (seconds, millis) => format!("{seconds}.{millis:03}"),
    }
}
