//! The cheapest cover: which lists to read to look again at the open executions of a workflow that are due.
//!
//! Three ways lead to an execution: the list of all that started since some moment (which shows new ones, too, and how
//! those ended that are no longer open), the list of its status, and itself alone. Each list is one *part*, and has its
//! turn by itself: so what is quiet in a workflow does not hold up what is not. Of all ways to divide the due ones into
//! parts the best is the one by which the fewest requests keep all of them fresh. If each part is looked at the more
//! often, the more is to be expected of it for a request, that is the one with the least sum of the square roots of
//! requests times weight.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    crawl::{
        expectation::Urgency,
        workflows::{fetch_plan::FetchPlan, plan::Part},
    },
    kapso::PAGE_SIZE,
    ledger::OpenExecution,
    model::Status,
};

/// An open execution, in the order of its start, newest first.
#[derive(Debug, Clone)]
pub struct Open {
    /// Which.
    pub execution: OpenExecution,
    /// How urgent it is to look at it.
    pub urgency: Urgency,
    /// Seconds since it was last looked at.
    pub waited: f64,
    /// Whether it is due.
    pub is_due: bool,
}

/// New executions that are to be expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewOnes {
    /// How many, about.
    pub count: usize,
    /// The weight of all of them together.
    pub weight: f64,
    /// For how many seconds they have been waiting to be found, and how many are usual.
    pub waited: f64,
    pub every: f64,
}

/// A list, or a single execution, that is to be asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// A list.
    List {
        /// What started since some moment, or what is in some status.
        part: Part,
        /// Which list.
        lists: FetchPlan,
    },
    /// Itself alone.
    Alone,
}

/// Executions that are looked at together.
#[derive(Debug, Clone)]
pub struct Look {
    /// How.
    pub way: Way,
    /// The open executions that are due.
    pub due: Vec<OpenExecution>,
    /// Requests that it takes.
    pub requests: f64,
    /// What is gained: the sum of the weights, each times the square of the seconds waited.
    gain: f64,
    /// The longest that one of them has waited, in seconds.
    longest: f64,
    weight: f64,
    /// How far over its time one of them is, …
    overdue: f64,
    /// … and its place in the usual order, if that is not far.
    place: f64,
}

/// One that has waited for so many times as long as it should is overdue.
const OVERDUE: f64 = 1.5;
/// An execution is at least this urgent for each second that it waits, …
const LEAST: f64 = 0.3;
/// … and at most this much: so nobody waits for more than twenty times as long as the most urgent ones.
const MOST: f64 = 6.0;

impl Look {
    /// How urgent it is, in seconds of waiting of a usual execution that is asked for alone. Negative where
    /// nobody is overdue: those keep the order in which they fall due, and so an even distance from pass to pass, the most
    /// frequent ones before others.
    pub fn urgency(&self) -> f64 {
        if self.overdue < OVERDUE {
            return self.place;
        }
        (self.gain / self.requests).sqrt().clamp(LEAST * self.longest, MOST * self.longest)
    }

    fn new(way: Way, requests: f64) -> Self {
        Self {
            way,
            due: Vec::new(),
            requests,
            gain: 0.0,
            longest: 0.0,
            weight: 0.0,
            overdue: 0.0,
            place: f64::NEG_INFINITY,
        }
    }

    /// At one that is asked for by itself.
    pub fn alone(open: &Open) -> Self {
        let mut look = Self::new(Way::Alone, 1.0);
        look.add(open);
        look
    }

    fn expect(&mut self, weight: f64, waited: f64, every: f64) {
        self.overdue = self.overdue.max(waited / every);
        self.place = self.place.max(waited - 2.0 * every);
        self.weight += weight;
        self.gain += weight * waited * waited;
        self.longest = self.longest.max(waited);
    }

    fn add(&mut self, open: &Open) {
        self.due.push(open.execution.clone());
        self.expect(open.urgency.weight, open.waited, open.urgency.every.as_secs_f64());
    }

    fn cost(&self) -> f64 {
        (self.requests * self.weight).sqrt()
    }
}

/// The best way to look at those of `open` that are due, and to find new ones where any are expected. The list of those
/// begins at `unread_since`.
pub fn cover(open: &[Open], unread_since: Timestamp, new: Option<NewOnes>) -> Vec<Look> {
    let recent_news = new.map(|new| {
        let mut look = by_start(unread_since, 1.0);
        look.expect(new.weight, new.waited, new.every);
        look
    });
    let mut rest = Rest::of(open);
    let mut best = (recent_news.as_ref().map_or(0.0, Look::cost) + rest.cost(), recent_news.clone(), 0);
    let mut recent = recent_news;
    for (taken, one) in (1_usize..).zip(open) {
        rest.take_first();
        let (Some(within), Some(started_at)) = (one.execution.since, one.execution.started_at) else { break };
        if !one.is_due {
            continue;
        }
        let look = recent.get_or_insert_with(|| by_start(unread_since, 1.0));
        look.requests = pages(within + new.map_or(0, |new| new.count));
        look.way = since(started_at.min(unread_since));
        look.add(one);
        let cost = look.cost() + rest.cost();
        // Of two ways that cost the same, the wider list is better: it shows what became of those that left.
        if cost <= best.0 {
            best = (cost, Some(look.clone()), taken);
        }
    }
    let (_, recent, taken) = best;
    let mut rest = Rest::of(open);
    (0..taken).for_each(|_| rest.take_first());
    recent.into_iter().chain(rest.looks()).collect()
}

fn since(since: Timestamp) -> Way {
    Way::List { part: Part::Recent, lists: FetchPlan { since: Some(since), ..FetchPlan::default() } }
}

fn by_start(from: Timestamp, requests: f64) -> Look {
    Look::new(since(from), requests)
}

#[allow(clippy::cast_precision_loss, reason = "a count of what is in memory")]
fn pages(items: usize) -> f64 {
    items.div_ceil(PAGE_SIZE as usize).max(1) as f64
}

/// The due executions that the list by start does not show.
struct Rest<'a> {
    open: &'a [Open],
    statuses: BTreeMap<Status, InStatus>,
}

/// Those in one status, as sums over them.
#[derive(Default)]
struct InStatus {
    /// How many are open from here on, due or not.
    all: usize,
    /// How many of them are due.
    due: usize,
    weight: f64,
    /// Of the square roots of their weights.
    alone: f64,
    /// How many have had an outcome meanwhile.
    leaving: f64,
}

impl<'a> Rest<'a> {
    fn of(open: &'a [Open]) -> Self {
        let oldest_due = open.iter().rposition(|one| one.is_due).map_or(0, |last| last + 1);
        let open = &open[..oldest_due];
        let mut statuses = BTreeMap::<_, InStatus>::new();
        open.iter().for_each(|one| statuses.entry(one.execution.status).or_default().add(one));
        Self { open, statuses }
    }

    /// The list by start shows the first one.
    fn take_first(&mut self) {
        let Some((first, rest)) = self.open.split_first() else { return };
        self.open = rest;
        if let Some(status) = self.statuses.get_mut(&first.execution.status) {
            status.take(first);
        }
    }

    /// Whether a list is the cheaper way to those in a status. The API cannot be asked for one that this program does not
    /// know.
    fn is_listed(status: Status, left: &InStatus) -> bool {
        status != Status::Unknown && (left.requests() * left.weight).sqrt() < left.alone
    }

    fn listed(&self) -> impl Iterator<Item = (Status, &InStatus)> {
        let all = self.statuses.iter().map(|(&status, left)| (status, left));
        all.filter(|(status, left)| Self::is_listed(*status, left))
    }

    /// Pages of all lists, and a request for each execution that they no longer show.
    fn requests(&self) -> f64 {
        self.listed().map(|(_, left)| left.requests()).sum()
    }

    fn cost(&self) -> f64 {
        let weight: f64 = self.listed().map(|(_, left)| left.weight).sum();
        let alone = self.statuses.iter().filter(|(status, left)| !Self::is_listed(**status, left));
        (self.requests() * weight).sqrt() + alone.map(|(_, left)| left.alone).sum::<f64>()
    }

    fn looks(self) -> Vec<Look> {
        let statuses: Vec<_> = self.listed().map(|(status, _)| status).collect();
        let due = self.open.iter().filter(|one| one.is_due);
        let (listed, alone): (Vec<_>, Vec<_>) = due.partition(|one| statuses.contains(&one.execution.status));
        let mut looks: Vec<_> = alone.into_iter().map(Look::alone).collect();
        if !listed.is_empty() {
            let lists = FetchPlan { statuses, started: started(&listed), ..FetchPlan::default() };
            let mut look = Look::new(Way::List { part: Part::Older, lists }, self.requests());
            listed.into_iter().for_each(|one| look.add(one));
            looks.push(look);
        }
        looks
    }
}

/// The span of their starts; `None` if one of them has none.
fn started(listed: &[&Open]) -> Option<(Timestamp, Timestamp)> {
    let [newest, .., oldest] = listed else { return None };
    Some((oldest.execution.started_at?, newest.execution.started_at?))
}

impl InStatus {
    fn add(&mut self, one: &Open) {
        self.all += 1;
        if one.is_due {
            self.due += 1;
            self.change(one, 1.0);
        }
    }

    fn take(&mut self, one: &Open) {
        self.all -= 1;
        if one.is_due {
            self.due -= 1;
            self.change(one, -1.0);
        }
        if self.due == 0 {
            *self = Self { all: self.all, ..Self::default() };
        }
    }

    fn change(&mut self, one: &Open, sign: f64) {
        let chance = 1.0 - (-one.urgency.outcomes_per_second * one.waited).exp();
        self.weight += sign * one.urgency.weight;
        self.alone += sign * one.urgency.weight.sqrt();
        self.leaving += sign * chance;
    }

    /// Pages of its list, and a request for each execution that it no longer shows.
    fn requests(&self) -> f64 {
        pages(self.all) + self.leaving.max(0.0)
    }
}
