//! What the crawl over everything is to others, and what it costs.

use super::Everything;
use crate::{
    account::{Account, ListedBy},
    crawl::{
        CrawlContext, CrawlScope, FirstSweep, ProjectSize, Requests, SourceKind, Sweep, Watched,
        crawler::Crawler, workflows::ByWorkflow,
    },
    kapso::PAGE_SIZE,
};

/// The source that picks the lists by itself.
pub struct Auto;

impl SourceKind for Auto {
    /// A conversation's list is read where that is the cheapest way alone: nothing relies on it.
    fn lists(&self) -> ListedBy {
        ListedBy { conversations: false, workflows: true }
    }

    fn crawler(&self, context: CrawlContext, scope: CrawlScope) -> Box<dyn Sweep> {
        Box::new(Crawler::new(Everything::new(context, scope)))
    }

    /// Those of the crawl over workflows, and the pages of the conversations; later those that were active, and a page.
    fn requests(&self, size: &ProjectSize) -> Option<Requests> {
        let workflows = ByWorkflow.requests(size)?;
        let conversations = size.conversations?;
        Some(Requests {
            first_sweep: workflows.first_sweep + conversations.count.div_ceil(PAGE_SIZE.into()).max(1),
            later_sweeps: workflows.later_sweeps.map(|requests| requests + 2),
            at_least: workflows.at_least || !conversations.exact,
        })
    }

    fn first_sweep(&self, account: &Account, watched: &Watched<'_>) -> FirstSweep {
        ByWorkflow.first_sweep(account, watched)
    }
}
