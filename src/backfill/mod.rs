//! Backfill: what an exporter would have counted, had it been watching since some time ago.
//!
//! [`read`] asks for the executions of each workflow, and keeps what it was answered in a [`Journal`], so that it can be
//! interrupted. [`History`] counts what happened, event by event, as the ledger counts it. [`write()`] writes the
//! counters at each moment as `OpenMetrics` text with timestamps, which Prometheus and `VictoriaMetrics` import.
//!
//! An event counts by its own time, from `since` up to `until`. An exporter counts by the same rule from the moment that it
//! began to watch: where that is `until`, the two together count each event once.

mod files;
mod history;
mod journal;
mod patience;
mod plan;
mod progress;
mod reading;
mod records;
mod scope;
mod span;
mod text;

pub use self::{
    files::{Form, Written, write},
    history::History,
    journal::{Header, Journal, JournalError, ListedExecution, ListedWorkflow, Position, ReadSoFar},
    plan::{PlanError, span},
    progress::{Figures, Progress},
    reading::{Reading, read},
    records::{Finish, Happening, Record, Records},
    scope::{Conversations, digest, is_listed},
    span::{Counts, Day, Moment, Span},
};
