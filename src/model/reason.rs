//! Classes of the reasons that are given for handoffs. The reason itself is free text and goes no further than here.

use regex::{Regex, RegexBuilder};

use super::HandoffClass;

/// Bytes that a compiled pattern may take.
const LARGEST_PATTERN: usize = 1 << 20;

/// A class, and the pattern of the reasons that belong to it.
#[derive(Debug, Clone)]
pub struct ReasonRule {
    /// Of the form `[a-z0-9_]{1,32}`.
    pub class: HandoffClass,
    /// Searched for in the reason.
    pub pattern: Regex,
}

impl ReasonRule {
    /// The class, if it is one.
    ///
    /// # Errors
    /// What is allowed.
    pub fn class(text: &str) -> Result<&str, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_class = (1..=32).contains(&text.len()) && text.chars().all(fits);
        is_class.then_some(text).ok_or_else(|| "expected 1 to 32 lower-case letters, digits and '_'".into())
    }

    /// A rule of this class and pattern.
    ///
    /// # Errors
    /// What is wrong with one of them, in a sentence.
    pub fn new(class: &str, pattern: &str) -> Result<Self, String> {
        let class = Self::class(class)?;
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        let pattern = compiled.map_err(|error| {
            let said = error.to_string();
            // The last line says why, those before it draw where.
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("expected a regular expression: {why}")
        })?;
        Ok(Self { class: class.into(), pattern })
    }
}

/// By pattern alone: that is what a rule was made of.
impl PartialEq for ReasonRule {
    fn eq(&self, other: &Self) -> bool {
        self.class == other.class && self.pattern.as_str() == other.pattern.as_str()
    }
}
