//! Project webhooks (v2): whenever a platform execution goes into handoff or fails, Kapso tells whoever asked
//! for it.
//!
//! All of it happens in the world's time and without I/O: deliveries are queued when the world moves on,
//! whoever plays the network takes those that are due, and says how each was answered. [`deliver`] does that
//! over HTTP.

mod buffer;
mod conduct;
pub(super) mod control;
mod delivery;
mod incident;
mod outbox;
mod payload;
mod queueing;
mod sender;
mod sending;
mod tally;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::Serialize;

pub(super) use self::incident::{FAILURE, Place};
pub use self::{
    conduct::Conduct,
    delivery::Attempt,
    incident::{Handoff, HandoffSource, Incident, WebhookEvent},
    outbox::Outbox,
    sender::deliver,
    tally::{DeliveryCounts, DeliveryTally},
};
use super::{Simulator, state::State};

/// A project webhook: where deliveries go, and how well that goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhook {
    /// Signs every body.
    pub secret: String,
    /// Where [`deliver`] posts to. Without it deliveries wait for [`Simulator::take_deliveries`].
    pub url: Option<String>,
    /// What goes wrong on the way.
    pub conduct: Conduct,
}

/// What has become of the webhook.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    /// There is none.
    Absent,
    /// What happens is delivered.
    Active,
    /// Kapso has given it up, because too much of what it sent was not answered well.
    SwitchedOff,
}

/// How an attempt was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With 200, within ten seconds.
    Ok,
    /// With anything else, or not at all.
    Failed,
}

impl Simulator {
    /// Another webhook from now on, or none; what happened before is not told. One that was switched off is
    /// on again. What waits to be sent goes to the new one, unless there is none.
    pub fn set_webhook(&self, webhook: Option<Webhook>) {
        self.with(|state, _| state.outbox.set(webhook));
        self.webhook_changed.send_replace(());
    }

    /// Lets [`deliver`] post to `url` from now on, if there is a webhook.
    pub fn set_webhook_url(&self, url: impl Into<String>) {
        let url = url.into();
        self.with(|state, _| state.outbox.set_url(url));
        self.webhook_changed.send_replace(());
    }

    /// What has become of the webhook.
    #[must_use]
    pub fn webhook_status(&self) -> WebhookStatus {
        self.with(|state, _| state.outbox.status())
    }

    /// The attempts that are due by now, in the order in which they became due. Each fails by itself unless
    /// it is [`answered`](Self::answered) within ten seconds.
    #[must_use]
    pub fn take_deliveries(&self) -> Vec<Attempt> {
        self.take_some_deliveries(usize::MAX)
    }

    /// As [`take_deliveries`](Self::take_deliveries), but so many at most.
    pub(super) fn take_some_deliveries(&self, most: usize) -> Vec<Attempt> {
        self.with(|state, now| state.outbox.take(now, most))
    }

    /// How the attempt with this id was answered; too late after ten seconds.
    pub fn answered(&self, id: u64, answer: Answer) {
        self.with(|state, now| state.outbox.answered(id, answer, now));
    }

    /// When the next attempt is due, as far as that is known: if nothing else happens in the world, and if
    /// what is under way fails for want of an answer. May be past.
    #[must_use]
    pub fn next_delivery(&self) -> Option<Timestamp> {
        self.with(|state, _| state.outbox.next())
    }

    /// What became of the deliveries so far, under all webhooks that there were.
    #[must_use]
    pub fn delivery_tally(&self) -> DeliveryTally {
        self.with(|State { world, outbox, .. }, _| outbox.tally(world))
    }

    /// Every handoff and failure that there ever was on the platform, by time: whether there was a webhook or
    /// not, and those before the start and of executions that are gone by now as well. An execution that
    /// fails again after somebody resumed it has another failure, although a [`Tally`](super::Tally) counts
    /// its first outcome alone.
    #[must_use]
    pub fn incidents(&self) -> Vec<Incident> {
        self.with(|State { world, outbox, .. }, _| {
            let places = world.incident_places().into_iter();
            let told = |place| Some(Incident { told_at: outbox.told_at(place), ..world.incident(place)? });
            let mut all: Vec<Incident> = places.filter_map(told).collect();
            all.sort_by_key(|incident| incident.at);
            all
        })
    }

    /// Where the webhook's deliveries are to be posted, while it is on.
    pub(super) fn webhook_url(&self) -> Option<String> {
        self.with(|state, _| state.outbox.url())
    }
}
