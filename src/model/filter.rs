//! Which workflows are watched.

use wildmatch::WildMatch;

use super::Workflow;

/// Patterns over a workflow's id and name: `*` stands for any characters, `?` for one. Case matters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkflowFilter {
    /// One of these has to match; none = any workflow.
    pub include: Vec<WildMatch>,
    /// None of these may match.
    pub exclude: Vec<WildMatch>,
}

impl WorkflowFilter {
    /// The longest pattern, in bytes.
    pub const LONGEST: usize = 256;

    /// A filter by these patterns, each up to [`LONGEST`](Self::LONGEST) bytes.
    #[must_use]
    pub fn new(include: &[String], exclude: &[String]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| WildMatch::new(text)).collect();
        Self { include: patterns(include), exclude: patterns(exclude) }
    }

    /// Whether every workflow is watched.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether this workflow is watched.
    #[must_use]
    pub fn allows(&self, workflow: &Workflow) -> bool {
        let name = workflow.name.as_deref();
        let fits = |pattern: &WildMatch| {
            pattern.matches(workflow.id.as_str()) || name.is_some_and(|name| pattern.matches(name))
        };
        (self.include.is_empty() || self.include.iter().any(fits)) && !self.exclude.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> WorkflowFilter {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        WorkflowFilter::new(&owned(include), &owned(exclude))
    }

    fn workflow(name: Option<&str>) -> Workflow {
        Workflow { id: "flow_1".into(), name: name.map(Into::into) }
    }

    #[test]
    fn without_patterns_every_workflow_is_watched() {
        assert!(WorkflowFilter::default().allows(&workflow(None)) && WorkflowFilter::default().is_open());
    }

    #[test]
    fn a_pattern_fits_the_id_or_the_name() {
        for fits in ["flow_1", "flow_*", "Order*", "Order ?upport", "*"] {
            assert!(filter(&[fits], &[]).allows(&workflow(Some("Order Support"))), "{fits}");
        }
        for other in ["flow_2", "order*", "Order", ""] {
            assert!(!filter(&[other], &[]).allows(&workflow(Some("Order Support"))), "{other}");
        }
        assert!(!filter(&["Order*"], &[]).allows(&workflow(None)));
    }

    #[test]
    fn what_is_excluded_is_not_watched_although_it_is_included() {
        assert!(!filter(&["*"], &["flow_1"]).allows(&workflow(None)));
        assert!(filter(&[], &["flow_2"]).allows(&workflow(None)));
    }
}
