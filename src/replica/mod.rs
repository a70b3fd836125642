//! Replicas: processes of the exporter that share a state, and divide the API keys among them.
//!
//! Each replica reads the whole configuration, and watches the projects of those keys whose leases it holds
//! ([`crate::lease`]). Two tasks see to that, each over a connection of its own: the [`Heart`] tells that the replica is
//! alive and renews its leases, and nothing holds it up; the [`Coordinator`] takes leases that are free and hands over
//! those that others are to have, as [`shares`] says, and has the supervisor follow. A third one takes in the webhook
//! deliveries that other replicas stored ([`Drain`]).

mod coordinator;
mod deliveries;
mod fleet;
mod heart;
mod registry;
pub mod shares;

pub use self::{
    coordinator::Coordinator,
    deliveries::{Drain, Elsewhere},
    fleet::{Fleet, Member, Overview, Watched},
    heart::Heart,
    registry::Registry,
};
