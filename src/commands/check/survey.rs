//! What is asked of one source's API, a few requests however much there is.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    Conversations, Problem, Sample, Workflows,
    allowance::{Allowance, Unobserved, metered},
};
use crate::{
    crawl::kind_of,
    kapso::{Client, Error, ExecutionFilter, Pager, Reason},
    model::{ConversationId, Execution, Source, Status, WorkflowId},
    project::Project,
};

/// Pages of the list of conversations that are read.
const PAGES: usize = 2;
/// Conversations, or workflows, whose executions are looked at, if so many requests are left.
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
    let client = metered(project, &allowance).client(source.api(), Arc::new(Unobserved))?;
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
    pub(super) const NOTHING: Self =
        Self { lists: 0, executions: 0, with_open_executions: 0, open_executions: 0, exact: true };
}

struct Surveyor<'a> {
    project: &'a Project,
    client: &'a Client,
    allowance: Allowance,
    found: Survey,
}

impl<'a> Surveyor<'a> {
    async fn look(&mut self) -> Result<(), Problem> {
        let by_workflow = kind_of(self.found.source).lists().workflows;
        let ran_last = match self.workflows().await {
            Ok(workflows) => workflows,
            // A key that may not list workflows may still list conversations.
            Err(problem) if problem.class == Some(Reason::Forbidden) && !by_workflow => {
                self.found.problem = Some(problem);
                Vec::new()
            }
            Err(problem) => return Err(problem),
        };
        if by_workflow {
            if self.found.source == Source::Auto {
                self.conversations().await?;
            }
            let (client, which) =
                (self.client, ExecutionFilter::Started { since: self.max_age_ago(), until: None });
            return self.sample(&ran_last, |id: &WorkflowId| client.workflow_executions(id, which)).await;
        }
        let newest = self.conversations().await?;
        let client = self.client;
        self.sample(&newest, |id| client.executions(id)).await
    }

    fn max_age_ago(&self) -> Timestamp {
        let age = self.project.config.account.conversation_max_age;
        self.client.clock().now().saturating_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// One page: in all likelihood that is all of them. Returns those that are watched, those that ran last first.
    async fn workflows(&mut self) -> Result<Vec<WorkflowId>, Problem> {
        let Some(mut pager) = self.client.workflows() else { return Ok(Vec::new()) };
        let Some(mut page) = self.ask(pager.next()).await? else { return Ok(Vec::new()) };
        let filter = &self.project.config.workflows;
        page.items.retain(|listed| filter.allows(&listed.workflow));
        let counts: Vec<_> = page.items.iter().filter_map(|listed| listed.execution_count).collect();
        self.found.workflows = Some(Workflows {
            count: page.items.len() as u64,
            exact: page.last,
            executions_ever: (!counts.is_empty() || page.items.is_empty()).then(|| counts.iter().sum()),
        });
        page.items.sort_by_key(|listed| Reverse(listed.last_executed_at));
        Ok(page.items.into_iter().map(|listed| listed.workflow.id).collect())
    }

    /// Counts them, and returns those to look at first.
    async fn conversations(&mut self) -> Result<Vec<ConversationId>, Problem> {
        let named = &self.project.config.conversations;
        let numbers = &self.project.config.phone_number_ids;
        let numbers: Vec<_> = match numbers.len() {
            0 => vec![None],
            _ => numbers.iter().map(|id| Some(id.as_str())).collect(),
        };
        let (mut found, mut exact, mut total) = (HashMap::new(), true, None);
        for number in numbers {
            if !found.is_empty() && self.allowance.left() < 2 {
                exact = false;
                break;
            }
            let mut pager = self.client.conversations(Some(self.max_age_ago())).of_phone_number(number);
            let mut is_read = false;
            for _ in 0..PAGES {
                let Some(page) = self.ask(pager.next()).await? else { break };
                is_read = page.last;
                found.extend(page.items.into_iter().map(|item| (item.id, item.last_active_at)));
                if is_read || pager.total().is_some() || !named.is_empty() || self.allowance.left() < 2 {
                    break;
                }
            }
            exact &= is_read;
            total = pager.total().filter(|_| number.is_none());
        }
        if !named.is_empty() {
            self.found.conversations = Some(Conversations { count: named.len() as u64, exact: true });
            return Ok(named.clone());
        }
        let total = total.filter(|_| !exact);
        let count = total.unwrap_or(found.len() as u64);
        self.found.conversations = Some(Conversations { count, exact: exact || total.is_some() });
        let mut newest: Vec<_> = found.into_iter().collect();
        newest.sort_by_key(|(_, last_active_at)| Reverse(*last_active_at));
        Ok(newest.into_iter().map(|(id, _)| id).collect())
    }

    async fn sample<Id>(
        &mut self,
        newest: &[Id],
        list: impl Fn(&Id) -> Pager<'a, Execution>,
    ) -> Result<(), Problem> {
        for id in newest.iter().take(SAMPLE) {
            // One is kept for an answer that fails on its way.
            if self.allowance.left() < 2 {
                break;
            }
            let mut pager = list(id);
            let page = match self.ask(pager.next()).await {
                Ok(Some(page)) => page,
                Ok(None) => continue,
                Err(problem) if problem.class == Some(Reason::NotFound) => continue,
                Err(problem) => return Err(problem),
            };
            let open = page.items.iter().filter(|execution| Status::is_open(execution.status)).count() as u64;
            let sample = self.found.sample.get_or_insert(Sample::NOTHING);
            sample.lists += 1;
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
