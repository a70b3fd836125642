//! Who is to hold which lease. Each replica computes it from the same rows, so all agree without talking to each other.
//!
//! A lease stays where it is as long as the loads are about even: each move costs a project a gap. What is free goes to
//! the replica that rendezvous hashing prefers among those that have room. Leases are moved away from a living replica
//! only if it has too much, or another too little, and only if that makes the loads more even by more than the tolerance:
//! costs are measured, and measuring them again must not move anything.

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, time::Duration};

use sha2::{Digest, Sha256};

/// By how much a load may differ from the even one, as a part of that.
pub const TOLERANCE: f64 = 0.15;

/// A replica that is alive.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Tells it from the others.
    pub id: &'a str,
    /// For how long it has lived.
    pub age: Duration,
}

/// A lease, and who holds it.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// Tells it from the others.
    pub key: &'a [u8],
    /// What it takes to hold it, in any unit; zero if that is not known yet, which counts as the average.
    pub cost: f64,
    /// Its holder, by place in the list of candidates; `None` if nobody holds it who is alive.
    pub owner: Option<usize>,
}

/// For each lease who is to hold it, by place in the list of candidates. A replica that is younger than `patience` gets
/// what is free, and nothing that another holds. Without candidates there is nobody to hold anything: the answer is
/// empty.
#[must_use]
pub fn assign(candidates: &[Candidate<'_>], leases: &[Lease<'_>], patience: Duration) -> Vec<usize> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let mut shares = Shares::new(candidates, leases, patience);
    shares.place_free();
    shares.rebalance();
    shares.owners()
}

/// All that counts, in an order that does not depend on that of the rows.
struct Shares<'a> {
    /// By id.
    replicas: Vec<Replica<'a>>,
    /// The costliest first.
    leases: Vec<Held<'a>>,
}

struct Replica<'a> {
    id: &'a str,
    place: usize,
    has_waited: bool,
    load: f64,
}

struct Held<'a> {
    key: &'a [u8],
    place: usize,
    cost: f64,
    owner: Option<usize>,
}

/// A lease, who has it, and who might have it instead.
#[derive(Clone, Copy)]
struct Move {
    lease: usize,
    from: usize,
    to: usize,
}

/// Up to which load a replica takes over a lease of another.
#[derive(Clone, Copy, PartialEq)]
enum UpTo {
    /// The even one.
    Even,
    /// Anything less than the other had.
    LessThanOther,
}

/// A load, compared with the even one.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    TooMuch,
    More,
    Less,
    TooLittle,
}

impl Standing {
    fn of(load: f64, even: f64) -> Self {
        match load {
            load if load > even * (1.0 + TOLERANCE) => Self::TooMuch,
            load if load > even => Self::More,
            load if load < even * (1.0 - TOLERANCE) => Self::TooLittle,
            _ => Self::Less,
        }
    }
}

impl UpTo {
    /// Whether a lease is to be moved from one to another who stand so.
    fn is_needed(self, from: Standing, to: Standing) -> bool {
        use Standing::{Less, More, TooLittle, TooMuch};
        match self {
            Self::Even => matches!((from, to), (TooMuch, Less | TooLittle) | (More, TooLittle)),
            Self::LessThanOther => from == TooMuch && to != TooMuch,
        }
    }
}

impl<'a> Shares<'a> {
    fn new(candidates: &[Candidate<'a>], leases: &[Lease<'a>], patience: Duration) -> Self {
        let replica = |(place, &Candidate { id, age }): (usize, &Candidate<'a>)| Replica {
            id,
            place,
            has_waited: age >= patience,
            load: 0.0,
        };
        let mut replicas: Vec<_> = candidates.iter().enumerate().map(replica).collect();
        replicas.sort_by_key(|replica| replica.id);
        let number = |place| replicas.iter().position(|replica| replica.place == place);
        let average = average(leases);
        let held = |(place, &Lease { key, cost, owner }): (usize, &Lease<'a>)| Held {
            key,
            place,
            cost: if is_known(cost) { cost } else { average },
            owner: owner.and_then(number),
        };
        let mut leases: Vec<_> = leases.iter().enumerate().map(held).collect();
        leases.sort_by(|a, b| b.cost.total_cmp(&a.cost).then_with(|| a.key.cmp(b.key)));
        for lease in &leases {
            if let Some(owner) = lease.owner {
                replicas[owner].load += lease.cost;
            }
        }
        Self { replicas, leases }
    }

    /// Gives each free lease to the best of those that have room, or else to the one with the least load. The costliest
    /// are first, so that what is left for the end fills small gaps.
    fn place_free(&mut self) {
        let even = even_load(&self.leases, self.replicas.len());
        for number in 0..self.leases.len() {
            let Held { key, cost, owner: None, .. } = self.leases[number] else { continue };
            let all = || self.replicas.iter().enumerate();
            let roomy = all().filter(|(_, replica)| replica.load + cost <= even);
            let best = roomy.max_by_key(|(_, replica)| score(key, replica.id));
            let idlest = || all().min_by(|(_, a), (_, b)| a.load.total_cmp(&b.load));
            if let Some((to, _)) = best.or_else(idlest) {
                self.leases[number].owner = Some(to);
                self.replicas[to].load += cost;
            }
        }
    }

    /// Moves leases until no replica has too much, or too little, that a move can change. Each move makes the sum of
    /// the squares of the loads smaller, so there is an end.
    fn rebalance(&mut self) {
        let even = even_load(&self.leases, self.taking_part());
        while self.make_moves(even, UpTo::Even) || self.make_moves(even, UpTo::LessThanOther) {}
    }

    /// How many share what is held: newcomers do not yet.
    fn taking_part(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.has_waited || replica.load > 0.0).count()
    }

    /// Makes all moves that help those who have too much or too little now, and tells whether there was one. Nobody both
    /// gives and gets: that would exchange leases.
    fn make_moves(&mut self, even: f64, up_to: UpTo) -> bool {
        let standings: Vec<_> =
            self.replicas.iter().map(|replica| Standing::of(replica.load, even)).collect();
        let moves = self.moves(|&Move { from, to, .. }| up_to.is_needed(standings[from], standings[to]));
        let mut has_moved = false;
        for Move { lease, from, to } in moves {
            if self.leases[lease].owner == Some(from) && self.is_worth_it(lease, from, to, even, up_to) {
                self.leases[lease].owner = Some(to);
                self.replicas[from].load -= self.leases[lease].cost;
                self.replicas[to].load += self.leases[lease].cost;
                has_moved = true;
            }
        }
        has_moved
    }

    /// All moves of this kind to those who may be given something, those that rendezvous hashing prefers first.
    fn moves(&self, is_needed: impl Fn(&Move) -> bool) -> Vec<Move> {
        let of_lease = |(lease, held): (usize, &Held<'_>)| {
            let from = held.owner?;
            Some((0..self.replicas.len()).map(move |to| Move { lease, from, to }))
        };
        let all = self.leases.iter().enumerate().filter_map(of_lease).flatten();
        let mut moves: Vec<_> =
            all.filter(|it| it.from != it.to && self.replicas[it.to].has_waited && is_needed(it)).collect();
        moves.sort_by_cached_key(|&Move { lease, from, to }| {
            let score = |replica: usize| score(self.leases[lease].key, self.replicas[replica].id);
            Reverse((score(to) > score(from), score(to)))
        });
        moves
    }

    fn is_worth_it(&self, lease: usize, from: usize, to: usize, even: f64, up_to: UpTo) -> bool {
        let (before, after) = (self.replicas[from].load, self.replicas[to].load + self.leases[lease].cost);
        let has_room = up_to == UpTo::LessThanOther || after <= even;
        before > even && has_room && after + even * TOLERANCE < before
    }

    /// In the order in which the leases were given.
    fn owners(&self) -> Vec<usize> {
        let mut owners = vec![0; self.leases.len()];
        for lease in &self.leases {
            owners[lease.place] = lease.owner.map_or(0, |owner| self.replicas[owner].place);
        }
        owners
    }
}

fn is_known(cost: f64) -> bool {
    cost.is_finite() && cost > 0.0
}

/// What a lease costs whose cost is not known.
#[allow(clippy::cast_precision_loss, reason = "there are not so many leases")]
fn average(leases: &[Lease<'_>]) -> f64 {
    let mut known: Vec<_> = leases.iter().map(|lease| lease.cost).filter(|&cost| is_known(cost)).collect();
    // A sum depends on the order of what is added up.
    known.sort_by(f64::total_cmp);
    if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 }
}

/// The load of each replica if it could be made even. A lease that costs more than that has a replica to itself, and the
/// others share the rest.
#[allow(clippy::cast_precision_loss, reason = "there are not so many replicas")]
fn even_load(leases: &[Held<'_>], replicas: usize) -> f64 {
    let mut rest: f64 = leases.iter().map(|lease| lease.cost).sum();
    let mut among = replicas.max(1) as f64;
    for lease in leases {
        if among <= 1.0 || lease.cost * among <= rest {
            break;
        }
        (rest, among) = (rest - lease.cost, among - 1.0);
    }
    rest.max(0.0) / among
}

/// How much rendezvous hashing prefers a replica for a lease.
fn score(key: &[u8], replica: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(key).chain_update([0]).chain_update(replica);
    hash.finalize().into()
}
