//! Whether a key that the state file does not know is one of the project that the file is of: Kapso is asked what it
//! lists for the key, and nothing is counted before that is known.
//!
//! On the Platform API the workflows tell. Where these cannot tell, and on the legacy API, the conversations do: the
//! newest ones, and then some of those that the account knows, one by one, since a page shows not all of them.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    account::Account,
    kapso::{Client, Error, Reason},
    ledger::NO_WORKFLOW,
    model::{ConversationId, ListedWorkflow, Page, WorkflowId},
    state::{self, Claim, Judgement, Standing, judge},
};

/// Conversations that are asked about one by one.
const PROBES: usize = 5;
/// That a key is of another project has to be said twice, so long after another unless the interval is shorter.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// The verification of a claim to an account.
pub struct Verification {
    client: Arc<Client>,
    account: Arc<Mutex<Account>>,
    claim: Arc<Claim>,
    /// From one try to the next.
    interval: Duration,
    shutdown: CancellationToken,
    /// Sources that share an account do not ask at the same time.
    turn: tokio::sync::Mutex<()>,
}

/// Why a claim is not verified.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The key is one of another project.
    #[error(transparent)]
    Refused(#[from] state::Error),
    /// Kapso could not be asked.
    #[error("whether the state file belongs to this API key is not known: {0}")]
    Unanswered(#[from] Error),
    /// Kapso listed nothing.
    #[error(
        "whether the state file belongs to this API key is not known: Kapso lists nothing for the key, and the file \
         knows something"
    )]
    NothingListed,
}

impl Verification {
    /// Asks `client`, which has the key, about what `account` knows; again after each interval.
    #[must_use]
    pub fn new(
        client: Arc<Client>,
        account: Arc<Mutex<Account>>,
        claim: Arc<Claim>,
        interval: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        Self { client, account, claim, interval, shutdown, turn: tokio::sync::Mutex::default() }
    }

    /// Whether the claim is still to be verified.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.claim.standing() == Standing::Unverified
    }

    /// Waits until the claim is verified, or the exporter is to stop.
    ///
    /// # Errors
    /// If the key is one of another project.
    pub async fn wait(&self) -> Result<(), state::Error> {
        let _turn = self.turn.lock().await;
        let mut said = false;
        while !self.shutdown.is_cancelled() {
            match self.verify().await {
                Ok(()) => break,
                Err(Unverified::Refused(refusal)) => return Err(refusal),
                Err(reason) if !std::mem::replace(&mut said, true) && !self.shutdown.is_cancelled() => {
                    let api = self.client.api();
                    tracing::warn!(%api, %reason, "nothing is counted until Kapso says whose the API key is");
                }
                Err(_) => {}
            }
            self.pause(self.interval).await;
        }
        Ok(())
    }

    /// Verifies the claim, if it is not verified yet.
    ///
    /// # Errors
    /// If it is not verified after that.
    pub async fn verify(&self) -> Result<(), Unverified> {
        if self.claim.standing() == Standing::Verified {
            return Ok(());
        }
        let mut judgement = self.ask().await?;
        if judgement == Judgement::OtherProject {
            self.pause(self.interval.min(SECOND_LOOK)).await;
            judgement = self.ask().await?;
        }
        match judgement {
            Judgement::SameProject => {
                self.claim.verify();
                tracing::info!(api = %self.client.api(), "the API key belongs to the project of the state file");
                Ok(())
            }
            Judgement::OtherProject => Err(self.claim.refusal().into()),
            Judgement::Unknown => Err(Unverified::NothingListed),
        }
    }

    async fn pause(&self, time: Duration) {
        self.shutdown.run_until_cancelled(sleep(time)).await;
    }

    async fn ask(&self) -> Result<Judgement, Error> {
        let known = self.known_workflows();
        let Some(pager) = self.client.workflows().filter(|_| !known.is_empty()) else {
            return self.ask_for_conversations().await;
        };
        let mut listed = Vec::new();
        let note = |page: &Page<ListedWorkflow>| {
            listed.extend(page.items.iter().map(|listed| listed.workflow.id.clone()));
        };
        match pager.read(note).await {
            Ok(_) => Ok(judge(&known, &listed)),
            // A key that may not list workflows may still list conversations.
            Err(error) if error.reason() == Some(Reason::Forbidden) => self.ask_for_conversations().await,
            Err(error) => Err(error),
        }
    }

    async fn ask_for_conversations(&self) -> Result<Judgement, Error> {
        let known = self.known_conversations();
        if known.is_empty() {
            return Ok(judge::<ConversationId>(&[], &[]));
        }
        let Some(page) = self.client.conversations(None).next().await? else { return Ok(Judgement::Unknown) };
        let listed: Vec<_> = page.items.into_iter().map(|conversation| conversation.id).collect();
        let judgement = judge(&known, &listed);
        if judgement == Judgement::OtherProject && !page.last && self.has_one_of(&known).await? {
            return Ok(Judgement::SameProject);
        }
        Ok(judgement)
    }

    /// Whether Kapso has some of these conversations.
    async fn has_one_of(&self, known: &[ConversationId]) -> Result<bool, Error> {
        for id in known.iter().take(PROBES) {
            match self.client.executions(id).next().await {
                Ok(_) => return Ok(true),
                Err(error) if error.reason() == Some(Reason::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn known_workflows(&self) -> Vec<WorkflowId> {
        let account = self.account.lock();
        let ids = account.ledger.workflows().iter().map(|workflow| workflow.id.clone());
        ids.filter(|id| id.as_str() != NO_WORKFLOW).collect()
    }

    /// Those with the newest activity first.
    fn known_conversations(&self) -> Vec<ConversationId> {
        let account = self.account.lock();
        let mut known: Vec<_> = account.conversations().filter(|known| !known.read.deleted).collect();
        known.sort_by_key(|conversation| Reverse(conversation.active_at()));
        known.into_iter().map(|conversation| conversation.counted.id.clone()).collect()
    }
}
