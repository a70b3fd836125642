//! The corpora of the fuzzer, through the functions that it calls: what it found once stays found.

use std::{fs, panic, path::Path};

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 9, "{} inputs", inputs.len());
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        assert!(panic::catch_unwind(|| run(&bytes)).is_ok(), "{}", input.display());
    }
}

#[test]
fn answers_are_read_or_refused() {
    replay("lists", fuzz::lists::run);
}

#[test]
fn deliveries_are_read_or_refused() {
    replay("deliveries", fuzz::deliveries::run);
}

#[test]
fn lists_end() {
    replay("paging", fuzz::paging::run);
}

#[test]
fn headers_move_the_budget_and_the_clock_within_bounds() {
    replay("headers", fuzz::headers::run);
}

#[test]
fn flags_are_what_is_documented_or_refused() {
    replay("configuration", fuzz::configuration::run);
}

#[test]
fn rows_of_a_state_file_are_a_ledger_or_refused() {
    replay("state", fuzz::state::run);
}

#[test]
fn every_accept_gets_a_format_that_it_takes() {
    replay("accept", fuzz::accept::run);
}

#[test]
fn requests_are_answered() {
    replay("requests", fuzz::requests::run);
}
