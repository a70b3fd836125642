//! Black-box tests: the program itself, against the simulated Kapso, over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

mod answers;
mod attacks;
mod backfill;
mod bad_input;
mod blindness;
mod check;
mod command_line;
mod corpus;
mod economy;
mod exactness;
mod filters;
mod formats;
mod misbehaviour;
mod once;
mod ownership;
mod projects;
mod redirects;
mod remote_write;
mod rendering;
mod secrets;
mod serving;
mod sockets;
mod state;
mod status;
mod stuck;
mod support;
mod upgrade;
mod web_config;
mod webhooks;
