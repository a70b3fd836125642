//! What is asked of the tables of replicas and leases, and what they tell.

use std::time::Duration;

use jiff::Timestamp;

use crate::lease::{Epoch, KeyHash, Lease};

/// A lease that is to be renewed, and what others are to know of it.
pub struct Renewal {
    /// The lease.
    pub lease: Lease,
    /// What it costs to hold it.
    pub cost: f32,
    /// What its key was used for lately; what is known already stays if that is nothing.
    pub usage: Option<Vec<u8>>,
}

/// A lease that is given away.
pub struct Release {
    /// The lease.
    pub lease: Lease,
    /// What its key was used for lately; what is known already stays if that is nothing.
    pub usage: Option<Vec<u8>>,
    /// The id of the replica that is to have it.
    pub successor: Option<String>,
}

/// What the database says to a heartbeat.
#[derive(Debug)]
pub struct Beat {
    /// What became of each renewal, in their order.
    pub renewed: Vec<Renewed>,
    /// Whether the database knew that the replica is alive, before it was told.
    pub was_alive: bool,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// It was granted again.
    Granted,
    /// Another replica has it.
    Lost,
    /// The database knows an earlier epoch, or none: it is that of a backup.
    Older,
}

/// A replica that is alive.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// When it was last heard of.
    pub beaten: Timestamp,
    /// For how long it has lived.
    pub age: Duration,
}

/// A lease, as the database knows it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Of which key.
    pub key: KeyHash,
    /// Who has it, or had it last; if it was released, who is to have it: empty if that is all the same.
    pub owner: String,
    /// How many times it was granted anew.
    pub epoch: Epoch,
    /// Whether anybody may take it.
    pub is_free: bool,
    /// Since when the owner has it.
    pub held_since: Timestamp,
    /// For how long.
    pub held_for: Duration,
    /// What it costs to hold it.
    pub cost: f32,
    /// The projects with that key.
    pub projects: Vec<String>,
}

/// A lease that was taken.
pub struct Taken {
    /// Of which key.
    pub key: KeyHash,
    /// Its epoch.
    pub epoch: Epoch,
    /// What its key was used for, as the owner before told it.
    pub usage: Option<Vec<u8>>,
    /// How long ago that was.
    pub told_ago: Duration,
}
