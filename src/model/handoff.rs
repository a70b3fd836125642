//! Handoffs to a human.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{HandoffClass, ReasonRule};

/// Who handed an execution off; the `source` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HandoffSource {
    /// A workflow's action step.
    ActionStep,
    /// An agent's tool call.
    AgentTool,
    /// The lists do not say.
    Unknown,
}

impl HandoffSource {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The class of a handoff's reason; the `reason` label. The reason itself is free text and stays out. State files hold the
/// place of a variant: a new one comes last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HandoffReason {
    /// The API gave no reason.
    None,
    /// A reason was given, of no class that is configured.
    Other,
    /// A reason of this class, which is or was configured, was given.
    Class(HandoffClass),
}

impl HandoffReason {
    /// The class of a reason as the API gives it: that of the first rule that fits.
    #[must_use]
    pub fn of(text: Option<&str>, rules: &[ReasonRule]) -> Self {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Self::None };
        let rule = rules.iter().find(|rule| rule.pattern.is_match(text));
        rule.map_or(Self::Other, |rule| Self::Class(rule.class.clone()))
    }

    /// The label value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Other => "other",
            Self::Class(class) => class.as_str(),
        }
    }
}

/// That an execution is, or ended, in the hands of a human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handoff {
    /// When it was handed off, as well as the API tells (`last_event_at`).
    pub at: Option<Timestamp>,
    /// Who handed it off.
    pub source: HandoffSource,
    /// Why, as a class.
    pub reason: HandoffReason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_gives_the_class_and_none_does_not_matter_without_a_reason() {
        let rules = [("billing", "(?i)invoice|refund"), ("angry", "refund|!"), ("empty", "^$")]
            .map(|(class, pattern)| ReasonRule::new(class, pattern).unwrap());
        let class = |text| HandoffReason::of(text, &rules).as_str().to_owned();
        let texts = [Some("a Refund, now!"), Some("now!"), Some("Hello"), Some(" "), None];
        assert_eq!(texts.map(class), ["billing", "angry", "other", "", ""]);
    }

    #[test]
    fn a_state_file_of_before_there_were_classes_means_the_same() {
        let rows = [HandoffReason::None, HandoffReason::Other, HandoffReason::Class("billing".into())];
        let bytes = rows.map(|reason| postcard::to_stdvec(&reason).unwrap());
        assert_eq!((&bytes[0][..], &bytes[1][..], bytes[2][0]), (&[0][..], &[1][..], 2));
    }
}
