//! What a stream takes webhook deliveries with.

use std::sync::Arc;

use secrecy::SecretString;
use strum::{IntoStaticStr, VariantArray};

use crate::{
    clock::Steady,
    config::ProjectConfig,
    crawl::Named,
    kapso::webhook::{self, Headers, Refusal, Told},
    ledger::Taken,
    model::{ConversationId, Delivery, ReasonRule},
    state::{Claim, Standing},
};

/// The webhook of a project.
pub struct Webhook {
    secrets: Vec<SecretString>,
    rules: Vec<ReasonRule>,
    /// Only these conversations are watched; none = all.
    only: Vec<ConversationId>,
    claim: Arc<Claim>,
    /// When this program began to watch.
    pub(super) started: Steady,
    /// The executions that deliveries name are looked at next.
    pub named: Arc<Named>,
}

/// What came of a delivery; the `result` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryResult {
    /// It was taken in.
    Accepted,
    /// It was told before.
    Duplicate,
    /// It is not signed with one of the secrets.
    Unauthorized,
    /// It is not JSON as Kapso sends it, or too large.
    Malformed,
    /// It tells nothing of an execution that is watched.
    Ignored,
    /// There was no room for it, or it could not be kept; Kapso sends it again.
    Overloaded,
}

impl DeliveryResult {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Taken> for DeliveryResult {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Accepted | Taken::Waits => Self::Accepted,
            Taken::Repeated => Self::Duplicate,
            Taken::Ignored => Self::Ignored,
        }
    }
}

impl From<Refusal> for DeliveryResult {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::Unauthorized,
            Refusal::Malformed => Self::Malformed,
        }
    }
}

impl Webhook {
    /// That of a project, if it has one. What it tells goes into the account that is claimed so.
    pub(super) fn of(config: &ProjectConfig, claim: Arc<Claim>, started: Steady) -> Option<Self> {
        config.takes_deliveries().then(|| Self {
            secrets: config.webhook_secrets.clone(),
            rules: config.handoff_reasons.clone(),
            only: config.conversations.clone(),
            claim,
            started,
            named: Arc::default(),
        })
    }

    /// The events of a delivery.
    ///
    /// # Errors
    /// If it is not signed with one of the secrets, or not JSON as Kapso sends it.
    pub fn open(&self, headers: Headers<'_>, body: &[u8]) -> Result<Vec<Told>, Refusal> {
        webhook::open(&self.secrets, headers, body, &self.rules)
    }

    /// Whether a delivery may be of a conversation that is watched.
    pub(super) fn concerns(&self, delivery: &Delivery) -> bool {
        self.only.is_empty() || delivery.conversation.as_ref().is_some_and(|id| self.only.contains(id))
    }

    /// Whether it is known that the account is the project's, so that what goes into it is kept.
    pub(super) fn is_verified(&self) -> bool {
        self.claim.standing() == Standing::Verified
    }
}
