//! Exactly once, in any world: small businesses are drawn, with what goes wrong on the way, the exporter watches
//! them in simulated time, and two things hold:
//!
//! - Whatever was told before, every number equals the simulator's own tally soon after the last untruth.
//! - At no end of a phase has a counter more than the tally, however much was untrue in it.
//!
//! `KAPSO_TEST_WORLDS` says how many worlds are drawn (10,000 without it, always the same ones), and
//! `KAPSO_TEST_SEED` which ones. A world that fails is shrunk and printed as it can stand in `regressions.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

mod draw;
mod ledger;
mod regressions;
mod run;
#[path = "../exporter/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared with the tests of the program itself")]
mod support;
mod world;
mod wrong;

use std::{env, num::NonZero, thread};

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// Draws and judges `count` worlds; the first that fails, shrunk.
fn draw(seed: u64, count: u32) -> Result<(), String> {
    let config =
        Config { cases: count, max_shrink_iters: 3_000, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    runner.run(&draw::worlds(), |world| run::judge(&world)).map_err(|error| match error {
        TestError::Fail(reason, world) => format!("{}\n{world:#?}", reason.message()),
        TestError::Abort(reason) => reason.message().to_owned(),
    })
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn every_event_of_every_world_is_counted_exactly_once() {
    let worlds = number("KAPSO_TEST_WORLDS").unwrap_or(10_000);
    let seed = number("KAPSO_TEST_SEED").unwrap_or(0);
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let share = u32::try_from(worlds.div_ceil(threads)).unwrap();
    let failures: Vec<String> = thread::scope(|scope| {
        let drawn: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || draw(seed << 8 | thread, share))).collect();
        drawn.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
