//! A model of the lease of one API key, and all that can happen to it within a few steps: replicas that stop at any
//! moment, clocks that are slow, requests and answers that are late or lost. The checker looks at each state that can be
//! reached; where one of the five safeguards is taken away it must find what that one is for.
//!
//! Times are remaining ticks, so that there is no end of time. A replica that is stopped (SIGSTOP), or waits for a lock,
//! is one that makes no step while others do and time passes; so it needs no state of its own. That the database says no
//! is as if its answer were lost: the one who asked goes by its clock.

mod protocol;
mod state;

use stateright::{Checker, HasDiscoveries, Model};

use self::protocol::{COMMITS, NEVER_LESS, ONE_SHOWS, Protocol, TrustFrom};

/// As the program has it.
const SOUND: Protocol = Protocol {
    replicas: 2,
    last_count: 2,
    margin: 1,
    trust_from: TrustFrom::Asking,
    forgets_released: true,
    fence: true,
    generation: true,
};

#[test]
fn no_two_show_a_project_no_count_falls_and_a_lease_of_one_that_stopped_is_taken_over() {
    SOUND.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn a_third_replica_changes_nothing() {
    let protocol = Protocol { replicas: 3, last_count: 1, ..SOUND };
    protocol.checker().threads(2).spawn_bfs().join().assert_properties();
}

#[test]
fn without_a_margin_a_slow_clock_makes_two_show_a_project() {
    assert_eq!(faults(Protocol { margin: 0, ..SOUND }), [ONE_SHOWS]);
}

#[test]
fn with_trust_from_the_answer_on_a_late_answer_makes_two_show_a_project() {
    assert_eq!(faults(Protocol { trust_from: TrustFrom::Answer, ..SOUND }), [ONE_SHOWS]);
}

#[test]
fn with_an_answer_to_what_was_asked_before_the_release_two_show_a_project() {
    assert_eq!(faults(Protocol { forgets_released: false, ..SOUND }), [ONE_SHOWS]);
}

#[test]
fn without_the_fence_a_late_commit_overwrites_that_of_the_next_owner() {
    assert_eq!(faults(Protocol { fence: false, ..SOUND }), [COMMITS]);
}

#[test]
fn without_the_generation_a_late_commit_overwrites_a_later_one_of_the_same_owner() {
    assert_eq!(faults(Protocol { generation: false, ..SOUND }), [COMMITS]);
}

/// The properties that a state is found for that does not have them, the first one of each search.
fn faults(protocol: Protocol) -> Vec<&'static str> {
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    [ONE_SHOWS, COMMITS, NEVER_LESS].into_iter().filter(|name| found.contains_key(name)).collect()
}
