//! What is asked of one source's API, a few requests however much there is.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    Conversations, Problem, Sample, Workflows,
    allowance::{Allowance, Metered, Unobserved},
};
use crate::{
    config::Config,
    execution::{ConversationId, Status},
    kapso::{Client, Error, Reason},
    source::Source,
    wiring::Project,
};

/// Pages of the list of conversations that are read.
const PAGES: usize = 2;
/// Conversations whose executions are looked at, if so many requests are left.
const SAMPLE: usize = 8;
/// A pause of the budget that a check does not wait for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was learned of one source, up to the first problem.
#[derive(Debug)]
pub(super) struct Survey {
    pub source: Source,
    pub problem: Option<Problem>,
    pub workflows: Option<Workflows>,
    pub conversations: Option<Conversations>,
    pub sample: Option<Sample>,
    /// Requests that were sent.
    pub sent: u32,
}

/// Asks `source`, `allowed` requests at most.
pub(super) async fn survey(project: &Project, source: Source, allowed: u32) -> anyhow::Result<Survey> {
    let allowance = Allowance::new(allowed);
    let transport = Metered { inner: project.http(source.api())?, allowance: allowance.clone() };
    let client = project.client(source.api(), Arc::new(Unobserved), transport);
    let mut surveyor = Surveyor {
        project,
        client: &client,
        allowance,
        found: Survey { source, problem: None, workflows: None, conversations: None, sample: None, sent: 0 },
    };
    if let Err(problem) = surveyor.look().await {
        surveyor.found.problem.get_or_insert(problem);
    }
    surveyor.found.sent = surveyor.allowance.sent();
    Ok(surveyor.found)
}

impl Sample {
    const NOTHING: Self =
        Self { conversations: 0, executions: 0, with_open_executions: 0, open_executions: 0, exact: true };
}

struct Surveyor<'a> {
    project: &'a Project,
    client: &'a Client,
    allowance: Allowance,
    found: Survey,
}

impl Surveyor<'_> {
    async fn look(&mut self) -> Result<(), Problem> {
        if let Err(problem) = self.workflows().await {
            // A key that may not list workflows may still list conversations.
            if problem.class != Some(Reason::Forbidden) {
                return Err(problem);
            }
            self.found.problem = Some(problem);
        }
        let newest = self.conversations().await?;
        self.sample(newest).await
    }

    /// One page: in all likelihood that is all of them.
    async fn workflows(&mut self) -> Result<(), Problem> {
        let Some(mut pager) = self.client.workflows() else { return Ok(()) };
        let Some(page) = self.ask(pager.next()).await? else { return Ok(()) };
        let counts: Vec<_> = page.items.iter().filter_map(|listed| listed.execution_count).collect();
        self.found.workflows = Some(Workflows {
            count: page.items.len() as u64,
            exact: page.last,
            executions_ever: (!counts.is_empty() || page.items.is_empty()).then(|| counts.iter().sum()),
        });
        Ok(())
    }

    /// Counts them, and returns those to look at first.
    async fn conversations(&mut self) -> Result<Vec<ConversationId>, Problem> {
        let Config { conversations: named, ledger, .. } = &self.project.config;
        let since = self.client.kapso_now().saturating_sub(ledger.conversation_max_age);
        let mut pager = self.client.conversations(Some(since.unwrap_or(Timestamp::MIN)));
        let (mut found, mut exact) = (HashMap::new(), false);
        for _ in 0..PAGES {
            let Some(page) = self.ask(pager.next()).await? else { break };
            exact = page.last;
            found.extend(page.items.into_iter().map(|item| (item.id, item.last_active_at)));
            if exact || pager.total().is_some() || !named.is_empty() || self.allowance.left() < 2 {
                break;
            }
        }
        if !named.is_empty() {
            self.found.conversations = Some(Conversations { count: named.len() as u64, exact: true });
            return Ok(named.clone());
        }
        let total = pager.total().filter(|_| !exact);
        let count = total.unwrap_or(found.len() as u64);
        self.found.conversations = Some(Conversations { count, exact: exact || total.is_some() });
        let mut newest: Vec<_> = found.into_iter().collect();
        newest.sort_by_key(|(_, last_active_at)| Reverse(*last_active_at));
        Ok(newest.into_iter().map(|(id, _)| id).collect())
    }

    async fn sample(&mut self, newest: Vec<ConversationId>) -> Result<(), Problem> {
        for id in newest.iter().take(SAMPLE) {
            // One is kept for an answer that fails on its way.
            if self.allowance.left() < 2 {
                break;
            }
            let mut pager = self.client.executions(id);
            let page = match self.ask(pager.next()).await {
                Ok(Some(page)) => page,
                Ok(None) => continue,
                Err(problem) if problem.class == Some(Reason::NotFound) => continue,
                Err(problem) => return Err(problem),
            };
            let open = page.items.iter().filter(|execution| Status::is_open(execution.status)).count() as u64;
            let sample = self.found.sample.get_or_insert(Sample::NOTHING);
            sample.conversations += 1;
            sample.executions += page.items.len() as u64;
            sample.with_open_executions += u64::from(open > 0);
            sample.open_executions += open;
            sample.exact &= page.last;
        }
        Ok(())
    }

    /// Waits for the answer, but not for a limit that is used up.
    async fn ask<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Problem> {
        tokio::select! {
            answer = request => answer.map_err(Into::into),
            pause = self.pause() => Err(Problem::paused(pause)),
        }
    }

    async fn pause(&self) -> Duration {
        loop {
            let pause = self.project.budget.paused_for();
            if pause > LONGEST_PAUSE {
                return pause;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
