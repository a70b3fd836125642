//! Dashboards, rules and the documents about them, held against the program: whatever they name must exist.
//! What needs Prometheus and Alertmanager is in [`end_to_end`], which runs with `--ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

mod architecture;
mod dashboards;
mod deployment;
mod documents;
mod end_to_end;
mod files;
mod histograms;
mod kubernetes;
mod links;
mod promql;
mod registry;
mod rules;
#[path = "../exporter/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the exporter")]
mod support;
