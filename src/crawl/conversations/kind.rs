//! What the crawl over conversations is to others, and what it costs.

use super::{Conversations, plan::DISCOVERY};
use crate::{
    account::{Account, KnownConversation, ListedBy},
    crawl::{
        CrawlContext, CrawlScope, FirstSweep, ProjectSize, Requests, SourceKind, Sweep, Watched,
        crawler::Crawler,
    },
    kapso::PAGE_SIZE,
    model::Api,
};

/// The sources that list the executions of each conversation.
pub struct ByConversation;

impl SourceKind for ByConversation {
    fn lists(&self) -> ListedBy {
        ListedBy { conversations: true, workflows: false }
    }

    fn crawler(&self, context: CrawlContext, scope: CrawlScope) -> Box<dyn Sweep> {
        Box::new(Crawler::new(Conversations::new(context, scope)))
    }

    /// The workflows, the pages of the conversations unless these are named, and one for each conversation; in later
    /// sweeps discovery, and one for each conversation with open executions.
    fn requests(&self, size: &ProjectSize) -> Option<Requests> {
        let conversations = size.conversations?;
        let workflows = u64::from(size.api == Api::Platform);
        let pages = conversations.count.div_ceil(PAGE_SIZE.into()).max(1);
        let (pages, discovery) = if size.named { (0, 0) } else { (pages, DISCOVERY as u64) };
        let due = match size.sample {
            _ if size.named || conversations.count == 0 => Some(conversations.count),
            Some(sample) if sample.lists > 0 => Some(sample.of(conversations.count)),
            _ => None,
        };
        Some(Requests {
            first_sweep: workflows + pages + conversations.count,
            later_sweeps: due.map(|due| workflows + discovery + due),
            at_least: !conversations.exact,
        })
    }

    /// All conversations that are watched.
    fn first_sweep(&self, account: &Account, watched: &Watched<'_>) -> FirstSweep {
        let watch_start = account.ledger.watch_start();
        let is_read = |conversation: &KnownConversation<'_>| {
            conversation.read.listed.is_some() || conversation.read.deleted
        };
        let is_due = |conversation: &KnownConversation<'_>| {
            is_read(conversation) || conversation.is_watched(watched.now, watched.max_age, watch_start)
        };
        let due = match watched.only {
            [] => account.conversations().filter(is_due).count(),
            only => only.len(),
        };
        FirstSweep { read: account.conversations().filter(is_read).count(), due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crawl::{Count, Share};

    /// A project with so many conversations, and so many of the sampled lists with open executions.
    fn size(api: Api, count: u64, sample: Option<(u64, u64)>) -> ProjectSize {
        let sample =
            sample.map(|(with_open_executions, lists)| Share { with_open_executions, lists, exact: true });
        let conversations = Some(Count { count, exact: true });
        ProjectSize { api, workflows: None, conversations, named: false, sample }
    }

    fn both(size: &ProjectSize) -> (u64, Option<u64>) {
        let requests = ByConversation.requests(size).unwrap();
        (requests.first_sweep, requests.later_sweeps)
    }

    #[test]
    fn later_sweeps_list_the_share_that_the_sample_shows() {
        assert_eq!(both(&size(Api::Platform, 250, Some((2, 5)))), (1 + 3 + 250, Some(1 + 4 + 100)));
        assert_eq!(both(&size(Api::Legacy, 250, Some((0, 5)))), (3 + 250, Some(4)));
    }

    #[test]
    fn named_conversations_are_listed_in_every_sweep_and_not_discovered() {
        let named = ProjectSize { named: true, ..size(Api::Platform, 3, Some((0, 3))) };
        assert_eq!(both(&named), (4, Some(4)));
    }

    #[test]
    fn without_a_sample_nothing_is_said_of_later_sweeps() {
        let conversations = Some(Count { count: 200, exact: false });
        let unknown = ProjectSize { conversations, ..size(Api::Platform, 200, None) };
        assert_eq!(both(&unknown), (203, None));
        assert!(ByConversation.requests(&unknown).unwrap().at_least);
        assert_eq!(both(&size(Api::Platform, 0, None)), (2, Some(5)));
    }
}
