//! Which executions are backfilled: those that the running exporter would count with the same configuration.

use std::collections::HashSet;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    config::ProjectConfig,
    model::{Api, ConversationId, Execution, Source},
};

/// Which executions are backfilled, by their conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversations {
    /// All, also those without a conversation.
    Any,
    /// Those with a conversation.
    Some,
    /// Those of these conversations.
    These(HashSet<ConversationId>),
}

impl Conversations {
    /// As the sources of a project have it, phone numbers aside.
    #[must_use]
    pub fn of(config: &ProjectConfig) -> Self {
        let by_workflow = [Source::Auto, Source::Workflows];
        if !config.conversations.is_empty() {
            return Self::These(config.conversations.iter().cloned().collect());
        }
        if by_workflow.iter().any(|source| config.sources.contains(source)) { Self::Any } else { Self::Some }
    }

    /// Whether an execution is backfilled.
    #[must_use]
    pub fn allow(&self, execution: &Execution) -> bool {
        match (self, &execution.conversation) {
            (Self::Any, _) | (Self::Some, Some(_)) => true,
            (Self::These(these), Some(conversation)) => these.contains(conversation),
            (Self::Some | Self::These(_), None) => false,
        }
    }
}

/// Whether a source of the project lists executions of the platform API.
#[must_use]
pub fn is_listed(config: &ProjectConfig) -> bool {
    config.apis().contains(&Api::Platform)
}

/// Tells one choice of executions from another, and nothing more.
#[must_use]
pub fn digest(config: &ProjectConfig) -> String {
    let patterns =
        |patterns: &[wildmatch::WildMatch]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (include, exclude) = (patterns(&config.workflows.include), patterns(&config.workflows.exclude));
    let conversations: Vec<_> = config.conversations.iter().map(ConversationId::as_str).collect();
    let without = Conversations::of(config) == Conversations::Any;
    let url = (!config.embedded).then(|| config.platform_url.as_str());
    let choice = json!([url, include, exclude, conversations, config.phone_number_ids, without]);
    hex::encode(Sha256::digest(choice.to_string()))[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        config::{KeyFrom, RawProject},
        model::WorkflowFilter,
    };

    fn raw(sources: &[Source]) -> RawProject {
        RawProject { sources: sources.into(), ..RawProject::new("acme", KeyFrom::Value("key".into())) }
    }

    fn config(raw: RawProject) -> ProjectConfig {
        ProjectConfig::resolve(raw).unwrap()
    }

    /// Whether an execution is allowed that has no conversation, that has one, and that has the one called `c`.
    fn allowed(config: &ProjectConfig) -> [bool; 3] {
        [None, Some("other"), Some("c")].map(|conversation| {
            let conversation = conversation.map(Into::into);
            let execution = Execution { conversation, ..Execution::waiting("e", Timestamp::UNIX_EPOCH) };
            Conversations::of(config).allow(&execution)
        })
    }

    #[test]
    fn executions_without_a_conversation_count_where_they_are_listed() {
        for (sources, without) in [
            (&[Source::Auto][..], true),
            (&[Source::Workflows], true),
            (&[Source::Conversations, Source::Workflows], true),
            (&[Source::Conversations], false),
            (&[Source::Conversations, Source::Agents], false),
        ] {
            assert_eq!(allowed(&config(raw(sources))), [without, true, true], "{sources:?}");
        }
    }

    #[test]
    fn conversations_that_are_named_leave_out_all_others() {
        let raw = RawProject { conversations: vec!["c".into()], ..raw(&[Source::Auto]) };
        assert_eq!(allowed(&config(raw)), [false, false, true]);
    }

    #[test]
    fn every_choice_has_a_digest_of_its_own_and_the_key_is_none() {
        let filter = |include: &str, exclude: &str| {
            let all = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
            WorkflowFilter::new(&all(include), &all(exclude))
        };
        let conversations = || raw(&[Source::Conversations]);
        let choices = [
            raw(&[Source::Auto]),
            conversations(),
            RawProject { workflows: filter("a b", ""), ..raw(&[Source::Auto]) },
            RawProject { workflows: filter("a", "b"), ..raw(&[Source::Auto]) },
            RawProject { workflows: filter("", "a b"), ..raw(&[Source::Auto]) },
            RawProject { conversations: vec!["a".into()], ..conversations() },
            RawProject { phone_number_ids: vec!["a".into()], ..conversations() },
            RawProject { platform_url: "http://localhost/".parse().unwrap(), ..raw(&[Source::Auto]) },
        ];
        let digests: HashSet<_> = choices.into_iter().map(|raw| digest(&config(raw))).collect();
        assert_eq!(digests.len(), 8);
        let with_key = |key: &str| RawProject { key: KeyFrom::Value(key.into()), ..raw(&[Source::Auto]) };
        assert_eq!(digest(&config(with_key("a"))), digest(&config(with_key("b"))));
    }
}
