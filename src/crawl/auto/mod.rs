//! The crawl over everything: executions are looked at by whichever list shows what is due with the fewest requests.
//!
//! Workflows and conversations are discovered as by the crawls over each. Every start shows in the list of its workflow,
//! so that those lists alone make the account whole, and conversations need not be asked one by one: what they cost is
//! what moves in them. `opened` says how urgent each open execution is, `cover` by which lists what
//! is due is looked at, and `plan` in which order.

mod cover;
mod kind;
mod opened;
mod plan;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use self::kind::Auto;
use self::plan::{Rules, Task};
use super::{
    CrawlContext, CrawlScope, Heartbeat, Progress,
    conversations::{Conversations, Extent},
    queue::{Backlog, Queue},
    source::{Crawl, Discovered, Pass, Stop},
    workflows::{self, Workflows},
};
use crate::{
    frontier::Failed,
    kapso::{Client, Error},
    model::{ConversationId, ExecutionId},
};

/// A crawl over everything in a project, into its account.
pub struct Everything {
    workflows: Workflows,
    conversations: Conversations,
}

impl Everything {
    /// One that has not begun.
    #[must_use]
    pub fn new(context: CrawlContext, scope: CrawlScope) -> Self {
        let conversations = Conversations::new(context.clone(), scope.clone());
        Self { workflows: Workflows::new(context, scope), conversations }
    }

    fn context(&self) -> &CrawlContext {
        self.workflows.context()
    }

    /// Whether an execution started since recent activity was read: whoever starts one has written.
    fn has_moved(&self) -> bool {
        let read = self.conversations.recent_read();
        self.context().account.lock().workflows().any(|workflow| workflow.read.moved > read)
    }

    fn rules(&self, pass: Pass) -> Rules {
        Rules { workflows: self.workflows.rules(pass), longest: self.workflows.scope().max_staleness / 2 }
    }
}

/// Which task it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// About a workflow, or an execution by itself.
    OfWorkflow(workflows::Key),
    /// The list of a conversation's executions.
    Conversation(ConversationId),
}

impl Crawl for Everything {
    type Task = Task;
    type Key = Key;

    fn key(task: &Task) -> Key {
        match task {
            Task::OfWorkflow(task) => Key::OfWorkflow(Workflows::key(task)),
            Task::Conversation(id, _) => Key::Conversation(id.clone()),
        }
    }

    fn heartbeat(&self) -> &Heartbeat {
        &self.context().heartbeat
    }

    fn client(&self) -> &Client {
        &self.context().client
    }

    fn places(&self) -> usize {
        self.workflows.places()
    }

    fn interval(&self) -> Duration {
        self.workflows.interval()
    }

    fn longest_lateness(&self) -> f64 {
        self.workflows.longest_lateness()
    }

    async fn discover_all(&mut self, pass: Pass, progress: &mut Progress) -> Result<Discovered, Stop> {
        let workflows = self.workflows.discover_all(pass, progress).await?;
        let extent = if self.has_moved() { Extent::Recent } else { Extent::Least };
        let conversations = self.conversations.discover_conversations(extent, progress).await?;
        Ok(if workflows == Discovered::Badly { workflows } else { conversations })
    }

    fn plan(&self, pass: Pass) -> (Queue<Task>, Backlog) {
        let rules = self.rules(pass);
        plan::queue(&self.context().account.lock(), &rules)
    }

    fn backlog(&self) -> Backlog {
        let rules = self.rules(Pass::Next);
        plan::backlog(&self.context().account.lock(), &rules)
    }

    fn is_discovered(&self) -> bool {
        self.conversations.is_discovered() && !self.workflows.has_history_to_read()
    }

    fn fetch(&self, task: Task) -> BoxFuture<'static, Result<bool, Error>> {
        match task {
            Task::OfWorkflow(task) => self.workflows.fetch(task),
            Task::Conversation(conversation, executions) => {
                let context = self.context().clone();
                Box::pin(async move { context.see_in_list(conversation, executions).await })
            }
        }
    }

    fn note_failure(&self, key: &Key, failed: Failed) {
        match key {
            Key::OfWorkflow(key) => self.workflows.note_failure(key, failed),
            Key::Conversation(id) => self.conversations.note_list_failure(id, failed),
        }
    }

    fn note_complete(&self) {
        self.workflows.note_complete();
    }

    fn finish_pass(&self, progress: &mut Progress) {
        self.workflows.finish_pass(progress);
    }
}

impl CrawlContext {
    /// Reads the list of a conversation to see these executions again, and asks for those alone that it does not show.
    async fn see_in_list(
        self,
        conversation: ConversationId,
        executions: Vec<ExecutionId>,
    ) -> Result<bool, Error> {
        let begun = self.client.clock().steady_now();
        super::conversations::read_list(self.clone(), false, conversation).await?;
        let is_missed =
            |id: &ExecutionId| self.account.lock().ledger.is_open_and_not_looked_at_since(id, begun);
        for id in executions.into_iter().filter(is_missed).collect::<Vec<_>>() {
            self.fetch_one(&id).await?;
        }
        Ok(true)
    }
}
