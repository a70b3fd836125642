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
    requests: f64,
    worth: Worth,
}

/// What a look is worth: sums over those that wait for it.
#[derive(Debug, Clone, Copy)]
struct Worth {
    weight: f64,
    /// What is gained: the sum of the weights, each times the square of the seconds waited.
    gain: f64,
    /// The longest that one of them has waited, in seconds.
    longest: f64,
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
    /// How urgent it is, in seconds of waiting of a usual execution that is asked for alone. Negative where nobody is
    /// overdue: those keep the order in which they fall due, and so an even distance from pass to pass, the most frequent
    /// ones before others.
    pub fn urgency(&self) -> f64 {
        let Worth { gain, longest, overdue, place, .. } = self.worth;
        if overdue < OVERDUE {
            return place;
        }
        (gain / self.requests).sqrt().clamp(LEAST * longest, MOST * longest)
    }

    fn new<'a>(way: Way, requests: f64, worth: Worth, due: impl IntoIterator<Item = &'a Open>) -> Self {
        Self { way, requests, worth, due: due.into_iter().map(|one| one.execution.clone()).collect() }
    }

    /// At one that is asked for by itself.
    pub fn alone(open: &Open) -> Self {
        Self::new(Way::Alone, 1.0, Worth::NOTHING.and(open), [open])
    }
}

impl Worth {
    const NOTHING: Self =
        Self { weight: 0.0, gain: 0.0, longest: 0.0, overdue: 0.0, place: f64::NEG_INFINITY };

    fn with(self, weight: f64, waited: f64, every: f64) -> Self {
        Self {
            weight: self.weight + weight,
            gain: self.gain + weight * waited * waited,
            longest: self.longest.max(waited),
            overdue: self.overdue.max(waited / every),
            place: self.place.max(waited - 2.0 * every),
        }
    }

    fn and(self, open: &Open) -> Self {
        self.with(open.urgency.weight, open.waited, open.urgency.every.as_secs_f64())
    }

    fn cost(self, requests: f64) -> f64 {
        (requests * self.weight).sqrt()
    }
}

/// The list of what started lately, as far back as it may be read.
#[derive(Clone, Copy)]
struct Recent {
    since: Timestamp,
    /// How many of the open ones it shows.
    taken: usize,
    requests: f64,
    worth: Worth,
}

impl Recent {
    fn cost(&self) -> f64 {
        self.worth.cost(self.requests)
    }

    fn look(&self, open: &[Open]) -> Look {
        let due = open[..self.taken].iter().filter(|one| one.is_due);
        Look::new(since(self.since), self.requests, self.worth, due)
    }
}

/// The best way to look at those of `open` that are due, and to find new ones where any are expected. The list of those
/// begins at `unread_since`.
pub fn cover(open: &[Open], unread_since: Timestamp, new: Option<NewOnes>) -> Vec<Look> {
    let news = |new: NewOnes| Worth::NOTHING.with(new.weight, new.waited, new.every);
    let mut worth = new.map_or(Worth::NOTHING, news);
    let mut rest = Rest::of(open);
    let mut best = new.map(|_| Recent { since: unread_since, taken: 0, requests: 1.0, worth });
    let mut least = best.map_or(0.0, |best| best.cost()) + rest.cost();
    for (taken, one) in (1_usize..).zip(open) {
        rest.take_first();
        let (Some(within), Some(started_at)) = (one.execution.since, one.execution.started_at) else { break };
        if !one.is_due {
            continue;
        }
        worth = worth.and(one);
        let requests = pages(within + new.map_or(0, |new| new.count));
        let recent = Recent { since: started_at.min(unread_since), taken, requests, worth };
        let cost = recent.cost() + rest.cost();
        // Of two ways that cost the same, the wider list is better: it shows what became of those that left.
        if cost <= least {
            (least, best) = (cost, Some(recent));
        }
    }
    let rest = Rest::of(&open[best.map_or(0, |best| best.taken)..]);
    best.map(|best| best.look(open)).into_iter().chain(rest.looks()).collect()
}

fn since(since: Timestamp) -> Way {
    Way::List { part: Part::Recent, lists: FetchPlan { since: Some(since), ..FetchPlan::default() } }
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
        for one in open {
            statuses.entry(one.execution.status).or_default().add(one);
        }
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
            let worth = listed.iter().fold(Worth::NOTHING, |worth, one| worth.and(one));
            looks.push(Look::new(Way::List { part: Part::Older, lists }, self.requests(), worth, listed));
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

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    /// Started in this minute, with so many started since; due, and looked at a minute ago.
    fn open(status: Status, minute: i64, since: Option<usize>) -> Open {
        let execution = OpenExecution::started(status, at(minute), since);
        let every = SignedDuration::from_mins(1);
        let urgency = Urgency { every, weight: 1.0, outcomes_per_second: 1e-5 };
        Open { execution, urgency, waited: 60.0, is_due: true }
    }

    fn ways(open: &[Open], new: Option<NewOnes>) -> Vec<(Way, usize)> {
        cover(open, at(9), new).into_iter().map(|look| (look.way, look.due.len())).collect()
    }

    fn recent(minute: i64) -> Way {
        since(at(minute))
    }

    fn older(statuses: &[Status], newest: i64, oldest: i64) -> Way {
        let started = Some((at(oldest), at(newest)));
        Way::List { part: Part::Older, lists: FetchPlan { since: None, statuses: statuses.into(), started } }
    }

    const NEW: NewOnes = NewOnes { count: 1, weight: 1.0, waited: 30.0, every: 60.0 };

    #[test]
    fn where_nothing_is_due_nothing_is_read() {
        let quiet = Open { is_due: false, ..open(Status::Waiting, 2, Some(4)) };
        assert_eq!(ways(&[], None), []);
        assert_eq!(ways(&[quiet], None), []);
    }

    #[test]
    fn new_ones_are_one_list_from_where_it_was_read_up_to() {
        assert_eq!(ways(&[], Some(NEW)), [(recent(9), 0)]);
    }

    #[test]
    fn one_page_of_what_started_lately_shows_all_that_is_in_it() {
        let all = [open(Status::Running, 8, Some(3)), open(Status::Waiting, 2, Some(90))];
        assert_eq!(ways(&all, Some(NEW)), [(recent(2), 2)]);
    }

    #[test]
    fn a_page_has_room_for_the_new_ones() {
        let all = [open(Status::Running, 8, Some(3)), open(Status::Waiting, 2, Some(98))];
        let crowd = NewOnes { count: 5, ..NEW };
        assert_eq!(ways(&all, Some(crowd)), [(recent(8), 1), (Way::Alone, 1)], "it would be two pages");
    }

    #[test]
    fn what_is_quiet_among_many_older_ones_is_not_listed_with_what_is_not() {
        let quiet = |minute| Open { is_due: false, ..open(Status::Waiting, minute, None) };
        let mut all = vec![open(Status::Running, 8, Some(3))];
        all.extend((-5..0).rev().map(|minute| open(Status::Waiting, minute, Some(900))));
        all.extend((-305..-5).rev().map(quiet));
        assert_eq!(ways(&all, Some(NEW)), [(recent(8), 1), (older(&[Status::Waiting], -1, -5), 5)]);
    }

    #[test]
    fn a_status_that_cannot_be_asked_for_is_never_listed() {
        let all: Vec<_> = (0..5).map(|n| open(Status::Unknown, -n, None)).collect();
        assert_eq!(ways(&all, None), vec![(Way::Alone, 1); 5]);
    }

    #[test]
    fn two_pages_by_start_beat_a_list_for_each_status() {
        let statuses = [Status::Running, Status::Waiting, Status::Handoff];
        let all: Vec<_> =
            (0..60).map(|n| open(statuses[n % 3], -i64::try_from(n).unwrap(), Some(3 * n + 1))).collect();
        assert_eq!(ways(&all, Some(NEW)), [(recent(-59), 60)]);
    }

    #[test]
    fn nobody_waits_for_more_than_twenty_times_as_long_as_the_most_urgent() {
        let waiting = |waited, weight| {
            let mut one = open(Status::Waiting, 0, None);
            (one.waited, one.urgency.weight) = (waited, weight);
            one
        };
        let mut crowd = Look::alone(&waiting(100.0, 16.0));
        (0..1_000).for_each(|_| crowd.worth = crowd.worth.and(&waiting(100.0, 16.0)));
        let quiet = |waited| Look::alone(&waiting(waited, 1.0 / 25.0)).urgency();
        assert!(quiet(1_900.0) < crowd.urgency() && crowd.urgency() < quiet(2_100.0));
    }

    #[test]
    fn while_nobody_is_overdue_all_keep_their_order_and_the_frequent_ones_come_first() {
        let one = |waited, every, weight| {
            let urgency =
                Urgency { every: SignedDuration::from_secs(every), weight, outcomes_per_second: 0.0 };
            Look::alone(&Open { urgency, waited, ..open(Status::Waiting, 0, None) }).urgency()
        };
        let (first, second, rare) = (one(58.0, 60, 1.0), one(57.0, 60, 16.0), one(290.0, 300, 0.04));
        assert!(first > second && second > rare && one(95.0, 60, 1.0) > 0.0);
    }
}
