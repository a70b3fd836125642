//! The library behind the `kapso-exporter` program: everything but `main`.

pub mod account;
pub mod app;
pub mod backfill;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod crawl;
pub mod frontier;
pub mod http_client;
pub mod inbox;
pub mod kapso;
pub mod label;
pub mod lease;
pub mod ledger;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod pem;
pub mod process;
pub mod project;
pub mod publisher;
pub mod reload;
pub mod remote_write;
pub mod replica;
pub mod simulator;
pub mod state;
pub mod supervisor;
pub mod sweep;
pub mod verification;
pub mod web;

use jiff::civil::Date;

/// The day of this version's release, as the changelog has it: no clock that is right shows an earlier one. A release
/// updates it together with the version.
pub const RELEASED: Date = jiff::civil::date(2026, 11, 22);
