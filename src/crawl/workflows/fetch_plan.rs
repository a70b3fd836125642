//! How to see all open executions of a workflow again, and its new ones, with the fewest requests.
//!
//! There are three ways to see an open execution: in the list of all that started since some moment (which shows
//! new ones too, and how those ended that are no longer open), in the list of one status, or by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{account::Statuses, kapso::PAGE_SIZE, ledger::OpenExecution, model::Status};

/// The open statuses that can be asked for.
const OPEN: [Status; 3] = [Status::Running, Status::Waiting, Status::Handoff];

/// The lists to read. What they leave out is asked for one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchPlan {
    /// The list of all that started since then.
    pub since: Option<Timestamp>,
    /// The lists of those in these statuses, …
    pub statuses: Vec<Status>,
    /// … that started in this span; `None` is any time.
    pub started: Option<(Timestamp, Timestamp)>,
}

impl FetchPlan {
    /// Every status that can be asked for, and all that started since.
    pub fn whole(since: Timestamp) -> Self {
        Self { since: Some(since), ..Self::default() }.with_every_status()
    }

    /// The same lists, and those of all statuses that can be asked for.
    pub fn with_every_status(self) -> Self {
        Self { statuses: OPEN.into(), ..self }
    }

    /// Whether every status that can be asked for is.
    pub fn asked(&self) -> Statuses {
        if OPEN.iter().all(|status| self.statuses.contains(status)) {
            Statuses::Every
        } else {
            Statuses::Known
        }
    }
}

/// Whether there may be new executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There may be.
    Expected,
    /// Nothing tells of any.
    None,
}

/// The lists to read for `open`, which is ordered newest start first. The list of the new ones begins at
/// `unread_since`; it is read anyway if there may be any.
pub fn fetch_plan(open: &[OpenExecution], unread_since: Timestamp, news: News) -> FetchPlan {
    let news = news == News::Expected;
    let mut rest = Rest::of(open);
    let mut best = (rest.requests() + usize::from(news), 0);
    for (taken, execution) in (1_usize..).zip(open) {
        rest.take(execution.status);
        let Some(within) = execution.since else { break };
        let requests = within.div_ceil(PAGE_SIZE as usize).max(1) + rest.requests();
        // Of two ways that cost the same, the wider list is better: it shows what became of those that left.
        if requests <= best.0 {
            best = (requests, taken);
        }
    }
    let taken = best.1;
    let oldest = taken.checked_sub(1).and_then(|last| open[last].started_at);
    FetchPlan {
        since: (news || taken > 0).then(|| oldest.map_or(unread_since, |at| at.min(unread_since))),
        statuses: Rest::of_all_and(open, &open[taken..]).listed(),
        started: None,
    }
}

/// The open executions that the list by start does not show, by status, and all that are in that status.
struct Rest(BTreeMap<Status, (usize, usize)>);

impl Rest {
    fn of(open: &[OpenExecution]) -> Self {
        Self::of_all_and(open, open)
    }

    fn of_all_and(all: &[OpenExecution], rest: &[OpenExecution]) -> Self {
        let mut counts = BTreeMap::<_, (usize, usize)>::new();
        for execution in all {
            counts.entry(execution.status).or_default().1 += 1;
        }
        for execution in rest {
            counts.entry(execution.status).or_default().0 += 1;
        }
        Self(counts)
    }

    fn take(&mut self, status: Status) {
        if let Some((left, _)) = self.0.get_mut(&status) {
            *left -= 1;
        }
    }

    fn requests(&self) -> usize {
        self.0.iter().map(|(&status, &(left, all))| list(status, left, all).unwrap_or(left)).sum()
    }

    /// The statuses whose list costs less than asking for each one.
    fn listed(&self) -> Vec<Status> {
        let listed = self.0.iter().filter(|&(&status, &(left, all))| list(status, left, all).is_some());
        listed.map(|(&status, _)| status).collect()
    }
}

/// The pages of a status's list, if that is the cheaper way. The API cannot be asked for a status that this
/// program does not know.
fn list(status: Status, left: usize, all: usize) -> Option<usize> {
    let pages = all.div_ceil(PAGE_SIZE as usize);
    (status != Status::Unknown && pages < left).then_some(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    /// Started in this minute, with so many started since.
    fn open(status: Status, minute: i64, since: Option<usize>) -> OpenExecution {
        OpenExecution::started(status, at(minute), since)
    }

    fn plan(since: Option<Timestamp>, statuses: Vec<Status>) -> FetchPlan {
        FetchPlan { since, statuses, started: None }
    }

    #[test]
    fn nothing_open_and_no_news_costs_nothing() {
        assert_eq!(fetch_plan(&[], at(9), News::None), FetchPlan::default());
    }

    #[test]
    fn news_alone_is_one_list_of_what_is_unread() {
        assert_eq!(fetch_plan(&[], at(9), News::Expected), plan(Some(at(9)), vec![]));
    }

    #[test]
    fn one_page_that_shows_all_is_best() {
        let all = [open(Status::Running, 8, Some(3)), open(Status::Waiting, 2, Some(90))];
        for news in [News::None, News::Expected] {
            assert_eq!(fetch_plan(&all, at(9), news), plan(Some(at(2)), vec![]));
        }
    }

    #[test]
    fn the_list_begins_where_it_was_not_read_yet_although_all_open_ones_are_newer() {
        let all = [open(Status::Running, 8, Some(3))];
        assert_eq!(fetch_plan(&all, at(5), News::None).since, Some(at(5)));
    }

    #[test]
    fn a_single_old_one_is_asked_for_by_itself() {
        let all = [open(Status::Running, 8, Some(3)), open(Status::Waiting, 2, Some(900))];
        assert_eq!(fetch_plan(&all, at(9), News::Expected), plan(Some(at(8)), vec![]));
    }

    #[test]
    fn several_old_ones_of_a_status_are_listed_by_it() {
        let mut all = vec![open(Status::Running, 8, Some(3))];
        all.extend((0..5).map(|n| open(Status::Waiting, -n, None)));
        all.push(open(Status::Handoff, -9, None));
        assert_eq!(
            fetch_plan(&all, at(9), News::None),
            plan(Some(at(8)), vec![Status::Waiting]),
            "the only one in handoff by itself"
        );
    }

    #[test]
    fn a_status_that_cannot_be_asked_for_is_never_listed() {
        let all: Vec<_> = (0..5).map(|n| open(Status::Unknown, -n, None)).collect();
        assert_eq!(fetch_plan(&all, at(9), News::None), FetchPlan::default());
    }

    #[test]
    fn two_pages_by_start_beat_three_lists_by_status() {
        let statuses = [Status::Running, Status::Waiting, Status::Handoff];
        let all: Vec<_> =
            (0..60).map(|n| open(statuses[n % 3], -i64::try_from(n).unwrap(), Some(3 * n + 1))).collect();
        assert_eq!(fetch_plan(&all, at(9), News::Expected), plan(Some(at(-59)), vec![]));
    }
}
