//! A table as Markdown.

use std::{fmt, time::Duration};

/// Rows below a head.
pub struct Table {
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &'static [&'static str]) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds rows, and shows them as they come.
    pub fn extend(&mut self, rows: Vec<Vec<String>>) {
        for row in &rows {
            eprintln!("| {} |", row.join(" | "));
        }
        self.rows.extend(rows);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |\n|{}", self.head.join(" | "), "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// A whole number with commas.
pub fn number(value: usize) -> String {
    let digits = value.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap());
    groups.collect::<Vec<_>>().join(",")
}

/// A time to two or three digits.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "–".into(),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 600.0 => format!("{:.1} min", s / 60.0),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The same of a duration.
pub fn span(duration: Duration) -> String {
    time(duration.as_secs_f64())
}
