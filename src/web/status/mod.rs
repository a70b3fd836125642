//! How everything is doing: `GET /api/v1/status` for programs, and pages for people.
//!
//! A [`StatusReport`](report::StatusReport) is plain data, made from the newest rendering of the metrics. The API writes
//! it as JSON and the pages show it, so both agree with each other and with `/metrics`, and neither takes a lock that
//! a sweep may wait for. Only the page of a workflow asks an account, for the ids of open executions (`executions`).
//!
//! The pages need no script: search and sorting are links and a GET form, so that what is seen is in the URL. They do not
//! reload by themselves, which would disturb readers and whoever types, unless that is asked for (`?refresh=30`).

mod executions;
mod graphics;
mod index;
mod page;
mod project;
mod report;
mod routes;
mod words;
mod workflow;

pub(super) use self::routes::{router, starting};
