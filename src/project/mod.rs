//! A project of Kapso's: what its key opens, one [`Stream`] for each API.
//!
//! A stream is the one handle on all that is known of a project in one API. Whoever changes its account or its status
//! says so to [`Changed`], and whoever publishes them listens there.

mod advice;
mod budgets;
mod history;
mod in_force;
mod status;
mod stream;
mod streams;
mod webhook;

pub use self::{
    advice::Advice,
    budgets::Budgets,
    history::{Failure, History, Swept},
    in_force::{Setting, in_force},
    status::{Refusal, SourceStatus, StreamStatus},
    stream::{HttpTransports, Project, Stream, StreamKey, Transports},
    streams::Streams,
    webhook::{DeliveryResult, Webhook},
};
pub use crate::{crawl::Changed, kapso::BudgetStatus, sweep::Outcome};
