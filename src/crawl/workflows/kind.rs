//! What the crawl over workflows is to others, and what it costs.

use super::Workflows;
use crate::{
    account::{Account, ListedBy},
    crawl::{
        CrawlContext, CrawlScope, FirstSweep, ProjectSize, Requests, Share, SourceKind, Sweep, Watched,
        crawler::Crawler,
    },
};

/// What it costs to look at a workflow as if it were new: three statuses, and what is new.
const WHOLE_LOOK: u64 = 4;
/// Of no workflows.
const NOTHING: Share = Share { with_open_executions: 0, lists: 0, exact: true };

/// The source that lists the executions of each workflow.
pub struct ByWorkflow;

impl SourceKind for ByWorkflow {
    fn lists(&self) -> ListedBy {
        ListedBy { conversations: false, workflows: true }
    }

    fn crawler(&self, context: CrawlContext, scope: CrawlScope) -> Box<dyn Sweep> {
        Box::new(Crawler::new(Workflows::new(context, scope)))
    }

    /// The list of workflows, then the first time for each its list by start, its history, and one list for each open
    /// status; later one for each with open executions, and one workflow's turn to be looked at as the first time.
    fn requests(&self, size: &ProjectSize) -> Option<Requests> {
        let workflows = size.workflows?;
        let sample = size.sample.or((workflows.count == 0).then_some(NOTHING))?;
        Some(Requests {
            first_sweep: 1 + (WHOLE_LOOK + 1) * workflows.count,
            later_sweeps: Some(1 + sample.of(workflows.count) + WHOLE_LOOK.min(workflows.count)),
            at_least: !(workflows.exact && sample.exact),
        })
    }

    fn first_sweep(&self, account: &Account, _: &Watched<'_>) -> FirstSweep {
        let read = account.workflows().filter(|workflow| workflow.read.visited.is_some()).count();
        FirstSweep { read, due: account.workflows().count() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crawl::Count, model::Api};

    #[test]
    fn workflows_cost_what_they_are_and_not_what_there_are_conversations() {
        let size = ProjectSize {
            api: Api::Platform,
            workflows: Some(Count { count: 20, exact: true }),
            conversations: Some(Count { count: 1_000_000, exact: true }),
            named: false,
            sample: Some(Share { with_open_executions: 2, lists: 4, exact: true }),
        };
        let requests = ByWorkflow.requests(&size).unwrap();
        assert_eq!((requests.first_sweep, requests.later_sweeps), (1 + 20 * 5, Some(1 + 10 + 4)));
    }
}
