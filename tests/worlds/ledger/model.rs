//! Lives, how lists show them at any time, and what should be counted of them. Times are in seconds; the watch
//! begins at zero.

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::{
    account::{Account, Order, Settings},
    clock::Steady,
    ledger::Totals,
    model::{Execution, Flaws, Handoff, HandoffReason, HandoffSource, Page, Status, Workflow},
};

/// One execution: when it starts, and what it goes through for how long. Times are in seconds; the watch begins
/// at zero.
#[derive(Clone, Debug)]
pub struct Life {
    pub start: i64,
    /// From its start until lists show it.
    pub late: i64,
    pub stays: Vec<(Status, i64)>,
    pub outcome: Option<Status>,
}

/// One reading of the list of all lives.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Seconds since the one before.
    pub after: i64,
    pub page_size: usize,
    /// Breaks off after so many pages.
    pub pages: Option<usize>,
    /// The item at this place cannot be read.
    pub bad_item: Option<usize>,
    /// The item at this place comes twice.
    pub repeated: Option<usize>,
    /// Pages come from last item to first.
    pub reversed: bool,
    /// Whether the account is pruned before it.
    pub prune: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub started: u64,
    pub handoffs: u64,
    pub ended: u64,
    pub failed: u64,
    /// Sum of all durations.
    pub seconds: f64,
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

impl Life {
    /// Times and statuses that it goes through, the outcome last.
    pub fn transitions(&self) -> Vec<(i64, Status)> {
        let mut time = self.start;
        let mut all = vec![(time, Status::Running)];
        for &(status, lasts) in &self.stays {
            time += lasts;
            if all.last().unwrap().1 != status {
                all.push((time, status));
            }
        }
        all.extend(self.outcome.map(|outcome| (time + 1, outcome)));
        all
    }

    pub fn is_visible(&self, now: i64) -> bool {
        self.start + self.late <= now
    }

    pub fn seen_at(&self, id: usize, now: i64) -> Option<Execution> {
        let (event, status) = self.transitions().into_iter().take_while(|&(time, _)| time <= now).last()?;
        let handoff =
            Handoff { at: Some(at(event)), source: HandoffSource::Unknown, reason: HandoffReason::None };
        Some(Execution {
            id: id.to_string().as_str().into(),
            workflow: Some(Workflow { id: "w".into(), name: None }),
            conversation: None,
            status,
            started_at: Some(at(self.start)),
            last_event_at: Some(at(event)),
            ended_at: status.is_finished().then(|| at(event)),
            handoff: (status == Status::Handoff).then_some(handoff),
            step: None,
        })
    }
}

impl Reading {
    /// A reading of everything.
    pub fn whole(after: i64) -> Self {
        Self {
            after,
            page_size: 2,
            pages: None,
            bad_item: None,
            repeated: None,
            reversed: false,
            prune: true,
        }
    }

    pub fn list(&self, lives: &[Life], now: i64) -> Vec<Page<Execution>> {
        let mut items: Vec<_> = lives
            .iter()
            .enumerate()
            .filter(|(_, life)| life.is_visible(now))
            .filter_map(|(id, life)| life.seen_at(id, now))
            .map(Some)
            .collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.as_ref().and_then(|item| item.started_at)));
        let some =
            |place: Option<usize>| place.filter(|_| !items.is_empty()).map(|place| place % items.len());
        let (repeated, bad_item) = (some(self.repeated), some(self.bad_item));
        if let Some(place) = repeated {
            items.insert(place, items[place].clone());
        }
        if let Some(place) = bad_item {
            items[place] = None;
        }
        let chunks: Vec<_> = items.chunks(self.page_size).collect();
        let last = chunks.len().max(1) - 1;
        let mut pages: Vec<_> =
            chunks.iter().enumerate().map(|(n, items)| self.page(items, now, n == last)).collect();
        if pages.is_empty() {
            pages.push(self.page(&[], now, true));
        }
        pages
    }

    fn page(&self, slots: &[Option<Execution>], now: i64, last: bool) -> Page<Execution> {
        let mut items: Vec<_> = slots.iter().flatten().cloned().collect();
        if self.reversed {
            items.reverse();
        }
        let flaws = Flaws { unreadable: slots.len() - items.len(), ..Flaws::default() };
        Page {
            items,
            flaws,
            request_seq: now.unsigned_abs(),
            requested_at: Steady::at(at(now)),
            as_of: at(now),
            last,
        }
    }
}

/// Reads pages into the account as a source does; what was read of them.
pub fn read(account: &mut Account, pages: &[Page<Execution>], now: i64) -> usize {
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    for (read, page) in pages.iter().enumerate() {
        if !account.read(&mut listing, page, at(now)) {
            account.close(&listing);
            return read + 1;
        }
    }
    pages.len()
}

pub fn counts(account: &Account) -> Counts {
    let Some(workflow) = account.ledger.workflows().first() else { return Counts::default() };
    let Totals { started, ended, failed, ended_duration, failed_duration, .. } = &*workflow.totals;
    assert_eq!((ended_duration.count(), failed_duration.count()), (*ended, *failed));
    Counts {
        started: *started,
        handoffs: workflow.totals.handoffs.values().sum(),
        ended: *ended,
        failed: *failed,
        seconds: ended_duration.sum() + failed_duration.sum(),
    }
}

/// What happened from the watch's beginning to `now`; of the handoffs those that were `sighted`.
pub fn happened(lives: &[Life], now: i64, sighted: &[Vec<Sight>]) -> Counts {
    let mut counts = Counts::default();
    for (life, sighted) in lives.iter().zip(sighted).filter(|(life, _)| life.is_visible(now)) {
        let news = |&&(time, _): &&(i64, Status)| (0..=now).contains(&time);
        counts.started += u64::from((0..=now).contains(&life.start));
        counts.handoffs += transitions_into_handoff(sighted);
        let transitions = life.transitions();
        if let Some(&(time, status)) =
            transitions.last().filter(news).filter(|(_, status)| status.is_finished())
        {
            counts.ended += u64::from(status == Status::Ended);
            counts.failed += u64::from(status == Status::Failed);
            counts.seconds += f64::from(i32::try_from(time - life.start).unwrap());
        }
    }
    counts
}

/// A second handoff that follows the first one between two looks cannot be told from it.
pub fn transitions_into_handoff(sighted: &[Sight]) -> u64 {
    let before = std::iter::once(&Sight::Elsewhere).chain(sighted);
    let in_handoff = |sight: &Sight| *sight != Sight::Elsewhere;
    sighted
        .iter()
        .zip(before)
        .map(|(now, before)| u64::from(*now == Sight::InHandoff && !in_handoff(before)))
        .sum()
}

/// What a look at a life showed.
#[derive(Clone, Copy, PartialEq)]
pub enum Sight {
    InHandoff,
    /// In a handoff from before the watch.
    InOldHandoff,
    Elsewhere,
}

impl Sight {
    pub fn of(seen: &Execution) -> Self {
        match seen.status {
            Status::Handoff if seen.last_event_at < Some(at(0)) => Self::InOldHandoff,
            Status::Handoff => Self::InHandoff,
            _ => Self::Elsewhere,
        }
    }
}

pub struct Watch {
    pub account: Account,
    pub now: i64,
    /// What each look at each life showed.
    pub sighted: Vec<Vec<Sight>>,
}

impl Watch {
    pub fn new(lives: &[Life], lookback: i64) -> Self {
        let lookback = SignedDuration::from_secs(lookback);
        Self::of(Account::new(Settings { lookback, ..Settings::default() }), lives)
    }

    /// With this account.
    pub fn of(mut account: Account, lives: &[Life]) -> Self {
        account.ledger.watch_from(at(0));
        Self { account, now: 0, sighted: vec![Vec::new(); lives.len()] }
    }

    pub fn look(&mut self, lives: &[Life], reading: &Reading) {
        self.now += reading.after;
        if reading.prune {
            self.account.prune(at(self.now));
        }
        let mut pages = reading.list(lives, self.now);
        pages.truncate(reading.pages.unwrap_or(usize::MAX));
        let read = read(&mut self.account, &pages, self.now);
        for execution in pages[..read].iter().flat_map(|page| &page.items) {
            let id: usize = execution.id.as_str().parse().unwrap();
            self.sighted[id].push(Sight::of(execution));
        }
    }
}
