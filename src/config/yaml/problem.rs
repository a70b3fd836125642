//! What is wrong with a configuration file: where, what was found, and what is allowed.

use std::{fmt, path::PathBuf};

use super::tree::{Place, Value};

/// The longest value that is quoted, in characters.
const LONGEST_QUOTE: usize = 40;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The way to it, as `projects[1].interval`; empty for the whole file.
    pub path: String,
    /// What was found, and what is allowed.
    pub message: String,
}

impl Problem {
    /// Something that is wrong with the whole file.
    pub(in crate::config) fn of_file(message: String) -> Self {
        Self { place: Place::default(), path: String::new(), message }
    }
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Debug, thiserror::Error)]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// Not empty.
    pub problems: Vec<Problem>,
}

/// A line for each, as compilers write them.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Problem { place, path, message }) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", self.file.display())?;
            if place.line > 0 {
                write!(f, ":{}:{}", place.line, place.column)?;
            }
            match path.as_str() {
                "" => write!(f, ": {message}")?,
                path => write!(f, ": {path}: {message}")?,
            }
        }
        Ok(())
    }
}

/// A value as an error quotes it: short, and without control characters.
pub fn quoted(value: &Value) -> String {
    let Value::Scalar(text) = value else { return value.kind().into() };
    let mut quote: String = text.chars().take(LONGEST_QUOTE).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST_QUOTE {
        quote.push('…');
    }
    format!("\"{quote}\"")
}

/// The one of these that a misspelt word was probably meant to be.
pub fn suggestion<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike = |known: &&str| strsim::jaro_winkler(word, known);
    let best = known.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) > 0.8).then_some(best)
}
