//! A stream as the table sees it: a copy of the current state and the totals of each workflow, within the series budget.
//!
//! The budget is hard: what has no place in it, as [`SeriesBudget`] says, is added up under `other`.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Bounds, Workflow,
    series_budget::{Refused, SeriesBudget},
    starts::SeriesStarts,
    table::series_per_workflow,
    trends::Trends,
    workflow::{HandoffKinds, workflows},
};
use crate::{
    account::Account,
    clock::Steady,
    ledger::{Histogram, OpenInConversation},
    model::WebhookEvent,
    project::{BudgetStatus, Stream, StreamKey, StreamStatus},
};

/// The label value under which is added up what the series budget leaves out.
pub const OTHER: &str = "other";

/// Limits on the number of series, for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Workflows with series of their own.
    pub workflows: usize,
    /// Steps with series of their own.
    pub steps: usize,
    /// Conversations with series of their own; zero = none at all.
    pub conversations: usize,
}

impl Limits {
    /// Of each of so many streams, which share the series: a tenth of them for steps, the rest for workflows, whose
    /// handoffs may be of so many classes that are configured; conversations on top.
    #[must_use]
    pub fn of_each(streams: usize, bounds: &Bounds) -> Self {
        let series = bounds.max_series / streams.max(1);
        let steps = series / 10;
        let of_workflow = series_per_workflow(bounds.options.native_histograms) + bounds.handoff_classes;
        Self { workflows: (series - steps) / of_workflow, steps, conversations: bounds.max_conversations }
    }
}

/// A stream at one moment.
#[derive(Debug)]
pub struct View {
    pub(super) key: StreamKey,
    /// The `instance` label of all its series, if the stream says itself where it is.
    pub(super) instance: Option<Arc<str>>,
    /// Of the series that end with the process.
    pub(super) starts: SeriesStarts,
    /// It is the first one of its project.
    pub(super) is_first: bool,
    pub(super) status: StreamStatus,
    pub(super) budget: BudgetStatus,
    pub(super) workflows: Vec<Workflow>,
    pub(super) conversations: [u64; 3],
    pub(super) conversations_shown: Vec<Conversation>,
    pub(super) watch_start: Option<Timestamp>,
    /// Nothing was learned for too long: what is current is not known.
    pub(super) stale: bool,
    pub(super) remembered_executions: usize,
    pub(super) doubtful_executions: usize,
    pub(super) stale_answers: u64,
    pub(super) remembered_conversations: usize,
    /// Deliveries against polling, where there are any.
    pub(super) comparison: Option<Comparison>,
}

/// How webhook deliveries and polling compare.
#[derive(Debug)]
pub struct Comparison {
    pub(super) lead: Histogram,
    pub(super) missed: [(WebhookEvent, u64); 2],
}

/// One conversation at one moment, or all that share `other`.
#[derive(Debug)]
pub struct Conversation {
    pub(super) id: Box<str>,
    pub(super) open: [u64; 4],
    pub(super) last_event_at: Option<Timestamp>,
}

impl View {
    /// The stream now, and what it brought that got no series of its own. Series of its workflows that are new began at
    /// `begun`. The stream's locks are held while it is copied, and no longer.
    pub(super) fn of(
        stream: &Stream,
        series_budget: &mut SeriesBudget,
        trends: &mut Trends,
        limits: Limits,
        begun: Timestamp,
    ) -> (Self, Refused) {
        let (now, steady) = (stream.client.clock().now(), stream.client.clock().steady_now());
        let (status, budget) = (stream.status.lock().clone(), stream.budget.status());
        let mut account = stream.account.lock();
        let at_zero: Vec<_> = HandoffKinds::of(stream.key.api, &account.ledger).all().collect();
        account.ledger.begin_series(&at_zero, begun);
        trends.sample(account.ledger.workflows().iter().map(Into::into), steady);
        let (key, now) = (stream.key.clone(), (now, steady));
        Self::new(key, status, budget, &account, series_budget, limits, now)
    }

    /// The same, of its parts.
    pub(super) fn new(
        key: StreamKey,
        status: StreamStatus,
        budget: BudgetStatus,
        account: &Account,
        series_budget: &mut SeriesBudget,
        limits: Limits,
        (now, steady): (Timestamp, Steady),
    ) -> (Self, Refused) {
        let current = account.current(now);
        let refused = series_budget.admit(account, &current, limits, now);
        let (conversations, shown) = (current.conversations, conversations(account, limits.conversations));
        let view = Self {
            workflows: workflows(key.api, &account.ledger, current, series_budget),
            key,
            instance: None,
            starts: SeriesStarts::default(),
            is_first: true,
            status,
            budget,
            conversations,
            conversations_shown: shown,
            watch_start: account.ledger.watch_start(),
            stale: account.is_stale(steady),
            remembered_executions: account.ledger.remembered(),
            doubtful_executions: account.ledger.doubtful_executions(),
            stale_answers: account.ledger.stale_answers(),
            remembered_conversations: account.ledger.remembered_conversations(),
            comparison: account
                .ledger
                .comparison()
                .map(|(lead, missed)| Comparison { lead: lead.clone(), missed }),
        };
        (view, refused)
    }

    /// Whose it is.
    pub(super) fn key(&self) -> &StreamKey {
        &self.key
    }

    pub(super) fn project(&self) -> &str {
        &self.key.project
    }
}

fn conversations(account: &Account, most: usize) -> Vec<Conversation> {
    if most == 0 {
        return Vec::new();
    }
    let mut all = account.conversations_by_event().into_iter();
    let own = |sum: OpenInConversation<'_>| Conversation {
        id: sum.id.as_str().into(),
        open: sum.open,
        last_event_at: sum.last_event_at,
    };
    let mut shown: Vec<_> = all.by_ref().take(most).map(own).collect();
    let rest = all.reduce(|mut sum, next| {
        sum.last_event_at = sum.last_event_at.max(next.last_event_at);
        sum.open.iter_mut().zip(next.open).for_each(|(mine, theirs)| *mine += theirs);
        sum
    });
    shown.extend(rest.map(|rest| Conversation { id: OTHER.into(), ..own(rest) }));
    shown
}
