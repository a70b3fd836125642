//! Reading the executions of a project, within its budget, with all patience.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    journal::{Journal, JournalError, ListedExecution, ListedWorkflow, Position, ReadSoFar},
    patience::Patience,
    progress::Progress,
    records::{Finish, Records},
    scope::Conversations,
    span::Span,
};
use crate::{
    kapso::{Client, Error, ExecutionFilter, PageToken, Pager, Reason},
    model::{ConversationId, Execution, Extent, Page, WorkflowId},
    project::Project,
};

/// Lists that are read at the same time, unless the API's latency asks for more.
const LISTS_AT_ONCE: usize = 4;
/// By how much this machine's clock may be ahead of Kapso's for the end to be waited for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What is read, and for whom.
pub struct Reading<'a> {
    /// The project.
    pub project: &'a Project,
    /// Asks its platform API.
    pub client: &'a Client,
    /// The time that is backfilled.
    pub span: Span,
    /// Told of what was read.
    pub progress: &'a Progress,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Asked(#[from] Error),
    #[error("the list ends before all of its items")]
    Truncated,
    #[error("items cannot be read")]
    Unreadable,
    #[error("this machine's clock is {}s ahead of Kapso's: set it, or give --until", .0.as_secs())]
    Clock(Duration),
    #[error(transparent)]
    Kept(#[from] JournalError),
}

/// What was read of the lists that are read at the same time.
type Kept = Mutex<(Journal, Records)>;

/// Reads what is missing of a project. What was read is kept in `journal`.
///
/// # Errors
/// What could not be read and why, a text each.
pub async fn read(
    reading: &Reading<'_>,
    mut journal: Journal,
    so_far: ReadSoFar,
) -> Result<(Vec<ListedWorkflow>, Records), Vec<String>> {
    let ReadSoFar { workflows, positions, records } =
        reading.begin(&mut journal, so_far).await.map_err(|error| vec![format!("workflows: {error}")])?;
    let workflows = workflows.unwrap_or_default();
    reading.progress.begin(&workflows, &positions, records.len());
    let is_read = positions.iter().all(|position| *position == Position::End);
    let conversations = if is_read { Conversations::Some } else { reading.conversations().await? };
    let kept = Mutex::new((journal, records));
    let reads = stream::iter(workflows.iter().zip(positions).enumerate()).map(
        async |(number, (workflow, position))| {
            let Position::At(token) = position else { return None };
            let read = reading.executions(number, workflow, token, &conversations, &kept).await;
            read.err().map(|error| format!("{} ({}): {error}", workflow.name, workflow.id))
        },
    );
    let at_once = reading.client.at_once(LISTS_AT_ONCE);
    let failures: Vec<_> =
        reads.buffer_unordered(at_once).filter_map(async |failure| failure).collect().await;
    if failures.is_empty() { Ok((workflows, kept.into_inner().1)) } else { Err(failures) }
}

impl Reading<'_> {
    /// Reads the list of workflows, unless that was done.
    async fn begin(&self, journal: &mut Journal, mut so_far: ReadSoFar) -> Result<ReadSoFar, Failure> {
        if so_far.workflows.is_none() {
            let workflows = self.workflows().await?;
            self.wait_for_the_end().await?;
            journal.workflows(&workflows)?;
            so_far.begin(workflows);
        }
        Ok(so_far)
    }

    /// The workflows that the filter allows.
    async fn workflows(&self) -> Result<Vec<ListedWorkflow>, Failure> {
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        let filter = &self.project.config.workflows;
        let take = |page: Page<crate::model::ListedWorkflow>, _| {
            let watched = page.items.into_iter().filter(|listed| filter.allows(&listed.workflow));
            all.extend(watched.filter(|listed| seen.insert(listed.workflow.id.clone())).map(Into::into));
            Ok(())
        };
        self.each_page(|| self.client.workflows(), PageToken::Start, take).await?;
        Ok(all)
    }

    /// What ends after Kapso has told of it could not be counted.
    async fn wait_for_the_end(&self) -> Result<(), Failure> {
        let ahead = self.span.until.duration_since(self.client.clock().now());
        let ahead = Duration::try_from(ahead).unwrap_or_default();
        if ahead > LONGEST_WAIT {
            return Err(Failure::Clock(ahead));
        }
        self.project.shutdown.run_until_cancelled(tokio::time::sleep(ahead)).await;
        Ok(())
    }

    /// Which executions are backfilled; asks for the conversations of the phone numbers, where these are given.
    async fn conversations(&self) -> Result<Conversations, Vec<String>> {
        let config = &self.project.config;
        let mut these = HashSet::new();
        for number in &config.phone_number_ids {
            let read = self.conversations_of(number, &mut these).await;
            read.map_err(|error| vec![format!("conversations of a phone number: {error}")])?;
        }
        let has_numbers = !config.phone_number_ids.is_empty();
        Ok(if has_numbers { Conversations::These(these) } else { Conversations::of(config) })
    }

    /// The list is ordered by activity: what has moved to its head while it was read is asked for once more.
    async fn conversations_of(
        &self,
        number: &str,
        these: &mut HashSet<ConversationId>,
    ) -> Result<(), Failure> {
        let mut begun = None;
        for _ in 0..2 {
            let active_since: Option<Timestamp> = begun;
            self.each_page(
                || Some(self.client.conversations(active_since).of_phone_number(Some(number))),
                PageToken::Start,
                |page, _| {
                    begun.get_or_insert(page.as_of);
                    these.extend(page.items.into_iter().map(|conversation| conversation.id));
                    Ok(())
                },
            )
            .await?;
        }
        Ok(())
    }

    /// Reads the executions of a workflow from this page on.
    async fn executions(
        &self,
        number: usize,
        workflow: &ListedWorkflow,
        from: PageToken,
        conversations: &Conversations,
        kept: &Kept,
    ) -> Result<(), Failure> {
        let id = WorkflowId::from(workflow.id.as_str());
        let started =
            ExecutionFilter::Started { since: self.span.starts_from(), until: Some(self.span.until) };
        let take = |page: Page<Execution>, next: Option<PageToken>| {
            let reached = page.items.iter().filter_map(|execution| execution.started_at).min();
            let executions = page.items.iter().filter(|execution| conversations.allow(execution));
            self.keep(number, executions.map(Into::into).collect(), next, kept)?;
            self.progress.reached(number, self.span, reached);
            Ok(())
        };
        let read = self.each_page(|| Some(self.client.workflow_executions(&id, started)), from, take).await;
        match read {
            Err(Failure::Asked(error))
                if error.reason() == Some(Reason::NotFound) && self.is_gone(&id).await? =>
            {
                tracing::warn!(workflow = %id, "the workflow was deleted: its executions are no longer listed, and left out");
                self.keep(number, Vec::new(), None, kept)
            }
            Err(failure) => Err(failure),
            Ok(()) => {
                self.progress.done(number);
                Ok(())
            }
        }
    }

    /// Whether the list of workflows no longer has this one.
    async fn is_gone(&self, workflow: &WorkflowId) -> Result<bool, Failure> {
        Ok(self.workflows().await?.iter().all(|listed| listed.id != workflow.as_str()))
    }

    fn keep(
        &self,
        number: usize,
        executions: Vec<ListedExecution>,
        next: Option<PageToken>,
        kept: &Kept,
    ) -> Result<(), Failure> {
        let workflow = u32::try_from(number).unwrap_or(u32::MAX);
        let is_of_the_span = |execution: &ListedExecution| execution.record(workflow).is_of(self.span);
        let executions: Vec<_> = executions.into_iter().filter(is_of_the_span).collect();
        let (journal, records) = &mut *kept.lock();
        for execution in &executions {
            records.insert(&execution.id, execution.record(workflow));
        }
        journal.page(workflow, executions, next)?;
        self.progress.found(records.len());
        Ok(())
    }

    /// Hands over each page of a list from `from` on, with the place of the next one. Asks for a page again and again,
    /// where that may help.
    async fn each_page<'c, T: Send>(
        &self,
        list: impl Fn() -> Option<Pager<'c, T>>,
        from: PageToken,
        mut take: impl FnMut(Page<T>, Option<PageToken>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (mut next, mut patience) = (Some(from), Patience::default());
        'list: while let Some(token) = &next {
            let Some(mut pager) = list().map(|pager| pager.from(token.clone())) else { return Ok(()) };
            loop {
                let failure = match pager.next().await {
                    Ok(Some(page)) if page.flaws.extent == Extent::Truncated => Failure::Truncated,
                    Ok(Some(page)) if page.flaws.unreadable > 0 && patience.has_hope() => Failure::Unreadable,
                    Ok(Some(page)) => {
                        patience = Patience::default();
                        next = pager.place();
                        self.progress.read(page.flaws.unreadable);
                        take(page, next.clone())?;
                        continue;
                    }
                    Ok(None) => return Ok(()),
                    Err(error) => Failure::Asked(error),
                };
                if !self.may_try_again(&failure, &mut patience).await {
                    return Err(failure);
                }
                continue 'list;
            }
        }
        Ok(())
    }

    /// Waits a while, if another attempt may help.
    async fn may_try_again(&self, failure: &Failure, patience: &mut Patience) -> bool {
        let may_help = match failure {
            Failure::Asked(error) => error.is_transient(),
            Failure::Truncated | Failure::Unreadable => true,
            Failure::Clock(_) | Failure::Kept(_) => false,
        };
        let Some(wait) = patience.next().filter(|_| may_help) else { return false };
        // A pause that Kapso asked for is longer, as a rule.
        let wait = wait.max(self.project.budget.paused_for());
        tracing::debug!(%failure, ?wait, "asking again");
        self.project.shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }
}

impl From<crate::model::ListedWorkflow> for ListedWorkflow {
    fn from(listed: crate::model::ListedWorkflow) -> Self {
        let id = listed.workflow.id.as_str().to_owned();
        let name = listed.workflow.name.as_deref().unwrap_or(&id).to_owned();
        Self { name, execution_count: listed.execution_count, id }
    }
}

impl From<&Execution> for ListedExecution {
    /// With an end where it counts as finished.
    fn from(execution: &Execution) -> Self {
        let finish = Finish::of(execution.status);
        Self {
            id: execution.id.as_str().to_owned(),
            started_at: execution.started_at,
            ended_at: execution.ended_at.filter(|_| finish.is_some()),
            failed: finish == Some(Finish::Failed),
        }
    }
}
