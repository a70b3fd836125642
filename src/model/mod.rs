//! The domain: what Kapso says about one execution and one conversation, in this program's own words.
//!
//! Both APIs are translated into these types before anything else sees them, so that whatever counts,
//! plans or publishes knows neither wire format. No I/O, no clock.

mod api;
mod conversation;
mod delivery;
mod execution;
mod filter;
mod handoff;
mod ids;
mod native_histograms;
mod page;
mod reason;
mod source;
mod status;
mod time;
mod workflow;

pub use self::{
    api::Api,
    conversation::{Conversation, ConversationStatus},
    delivery::{Delivery, ToldOutcome, WebhookEvent},
    execution::Execution,
    filter::WorkflowFilter,
    handoff::{Handoff, HandoffReason, HandoffSource},
    ids::{ConversationId, ExecutionId, HandoffClass, WorkflowId},
    native_histograms::NativeHistograms,
    page::{Extent, Flaws, Page, Reading},
    reason::ReasonRule,
    source::Source,
    status::Status,
    time::{seconds_between, unix_seconds},
    workflow::{ListedWorkflow, Step, Workflow},
};
