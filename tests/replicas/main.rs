//! Several replicas of the program on one `PostgreSQL`: whatever happens to them, to the database and to the network
//! between, each project is shown by one of them at most, and every number equals the simulator's tally.
//!
//! Where the machine has no `PostgreSQL` or no pgbouncer, the tests say so and pass, unless `KAPSO_TEST_REQUIRE_POSTGRES`
//! is set. `KAPSO_TEST_SEED` draws other events, `KAPSO_TEST_EVENTS` more of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod balancer;
mod drawn;
mod events;
mod failures;
mod fleet;
mod harness;
mod machine;
mod moving;
mod pgbouncer;
mod postgres;
mod projects;
mod proxy;
mod record;
mod refusals;
mod scraped;
mod showings;
#[path = "../exporter/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the exporter")]
mod support;
mod timings;
mod webhooks;
