//! Whether two replicas showed one project at the same time: what the answers to scrapes prove.
//!
//! An answer speaks of one moment, of which is known that it lies between the sending of the request and the arrival
//! of the answer, and after a SIGCONT where the request was sent to a process that stood still. A project may move
//! from one replica to the next between two answers, so that two that both show it prove nothing by themselves.
//!
//! But each answer also tells how many leases the replica has acquired since it started. Where two of its answers show
//! a project and tell the same number, it acquired nothing in between: had anybody else owned the project meanwhile,
//! it would have had to. So the replica held the project from the arrival of the first such answer to the sending of
//! the last one, which is a [`Tenure`]. There were two owners at once if the moment of another replica's answer that
//! shows the project lies within a tenure for certain, or if two tenures overlap.
//!
//! With a scrape every tenth of a second that finds an overlap of a few tenths, and one answer alone that a process
//! gives out of its memory after it stood still.

use std::{collections::BTreeMap, time::Instant};

/// An answer that shows a project.
#[derive(Clone, Copy, Debug)]
pub struct Showing {
    /// Which process answered.
    pub replica: usize,
    /// How many leases it had acquired.
    pub acquired: u64,
    /// The answer speaks of no moment before this.
    pub from: Instant,
    /// Nor of one after this.
    pub to: Instant,
}

/// A time in which a replica held a project for certain.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    replica: usize,
    from: Instant,
    to: Instant,
}

/// The tenures that these answers prove.
fn tenures(showings: &[Showing]) -> Vec<Tenure> {
    let mut spans: BTreeMap<_, (Instant, Instant)> = BTreeMap::new();
    for showing in showings {
        let span = spans.entry((showing.replica, showing.acquired)).or_insert((showing.to, showing.from));
        *span = (span.0.min(showing.to), span.1.max(showing.from));
    }
    let proven = spans.into_iter().filter(|(_, (from, to))| from < to);
    proven.map(|((replica, _), (from, to))| Tenure { replica, from, to }).collect()
}

/// The pairs of replicas that showed the project of these answers at the same time, with the last moment at which the
/// second one did.
pub fn doubles(showings: &[Showing]) -> Vec<(usize, usize, Instant)> {
    let tenures = tenures(showings);
    let mut doubles = Vec::new();
    for tenure in &tenures {
        let others = || showings.iter().filter(|showing| showing.replica != tenure.replica);
        let within = others().filter(|showing| tenure.from < showing.from && showing.to < tenure.to);
        doubles.extend(within.map(|showing| (tenure.replica, showing.replica, showing.to)));
        let others = tenures.iter().filter(|other| other.replica > tenure.replica);
        let overlap = others.filter(|other| tenure.from.max(other.from) < tenure.to.min(other.to));
        doubles.extend(overlap.map(|other| (tenure.replica, other.replica, tenure.to.min(other.to))));
    }
    doubles.sort_unstable();
    doubles.dedup_by_key(|double| (double.0, double.1));
    doubles
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers of a replica with so many leases acquired, by milliseconds.
    fn answers(begun: Instant, all: &[(usize, u64, u64, u64)]) -> Vec<Showing> {
        let at = |millis| begun + Duration::from_millis(millis);
        let showing =
            |&(replica, acquired, from, to)| Showing { replica, acquired, from: at(from), to: at(to) };
        all.iter().map(showing).collect()
    }

    fn pairs(all: &[(usize, u64, u64, u64)]) -> Vec<(usize, usize)> {
        doubles(&answers(Instant::now(), all)).into_iter().map(|(one, other, _)| (one, other)).collect()
    }

    #[test]
    fn an_answer_between_two_of_a_replica_that_acquired_nothing_meanwhile_is_a_second_owner() {
        assert_eq!(pairs(&[(1, 4, 0, 2), (2, 1, 10, 12), (1, 4, 20, 22)]), [(1, 2)]);
    }

    #[test]
    fn a_project_that_moved_away_and_back_had_one_owner_at_a_time() {
        assert_eq!(pairs(&[(1, 4, 0, 2), (2, 1, 10, 12), (1, 5, 20, 22)]), []);
    }

    #[test]
    fn a_project_that_moved_had_one_owner_at_a_time_also_where_the_requests_crossed() {
        let moved = [(1, 4, 0, 2), (1, 4, 10, 15), (2, 1, 11, 14), (2, 1, 20, 22)];
        assert_eq!(pairs(&moved), []);
    }

    #[test]
    fn two_that_hold_it_for_a_while_are_found_whatever_they_acquired_before() {
        let both = [(1, 4, 0, 2), (2, 1, 5, 15), (1, 4, 10, 12), (2, 1, 20, 22), (1, 4, 30, 32)];
        assert_eq!(pairs(&both), [(1, 2)]);
    }

    #[test]
    fn an_answer_out_of_the_memory_of_a_process_that_stood_still_is_found() {
        // Asked at 5, but it went on at 50.
        let stale = [(1, 4, 0, 2), (2, 1, 20, 22), (2, 1, 40, 42), (1, 4, 50, 52), (2, 1, 60, 62)];
        assert_eq!(pairs(&stale).first(), Some(&(1, 2)));
    }
}
