//! All that waits to be sent or is under way, and the webhook that it is for.

use std::collections::{BTreeMap, HashMap, VecDeque};

use fastrand::Rng;
use jiff::Timestamp;

use super::{
    Answer, DeliveryTally, Webhook, WebhookEvent, WebhookStatus,
    buffer::Buffer,
    delivery::{Delivery, Kind, Standing},
    incident::Place,
    sending::pause_after_failure,
};
use crate::simulator::{
    random::{later, mix},
    world::World,
};

/// All deliveries.
pub struct Outbox {
    pub(super) seed: u64,
    /// A generator of its own: the world is the same with and without a webhook.
    pub(super) rng: Rng,
    pub(super) webhook: Option<Webhook>,
    pub(super) status: WebhookStatus,
    pub(super) serial: u64,
    pub(super) attempts: u64,
    handoffs: Buffer,
    failures: Buffer,
    pub(super) queue: BTreeMap<(Timestamp, u64), Delivery>,
    /// What was taken and has not been answered, with the time at which that is a failure.
    pub(super) under_way: BTreeMap<u64, (Timestamp, u64, Delivery)>,
    /// How the latest attempts were answered.
    pub(super) outcomes: VecDeque<(Timestamp, Answer)>,
    pub(super) told_at: HashMap<Place, Timestamp>,
    pub(super) tally: DeliveryTally,
}

impl Outbox {
    /// Nothing to send, and no webhook.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(mix(seed)),
            webhook: None,
            status: WebhookStatus::Absent,
            serial: 0,
            attempts: 0,
            handoffs: Buffer::default(),
            failures: Buffer::default(),
            queue: BTreeMap::new(),
            under_way: BTreeMap::new(),
            outcomes: VecDeque::new(),
            told_at: HashMap::new(),
            tally: DeliveryTally::default(),
        }
    }

    /// Another webhook, or none.
    pub fn set(&mut self, webhook: Option<Webhook>) {
        self.status = if webhook.is_some() { WebhookStatus::Active } else { WebhookStatus::Absent };
        self.webhook = webhook;
        self.outcomes.clear();
        if self.webhook.is_none() {
            self.give_everything_up();
        }
    }

    /// Another place to deliver to.
    pub fn set_url(&mut self, url: String) {
        if let Some(webhook) = &mut self.webhook {
            webhook.url = Some(url);
        }
    }

    /// What has become of the webhook.
    pub fn status(&self) -> WebhookStatus {
        self.status
    }

    pub(super) fn active(&self) -> Option<&Webhook> {
        self.webhook.as_ref().filter(|_| self.status == WebhookStatus::Active)
    }

    /// Where to post to, while there is something to post.
    pub fn url(&self) -> Option<String> {
        self.active().and_then(|webhook| webhook.url.clone())
    }

    pub(super) fn buffer(&mut self, event: WebhookEvent) -> &mut Buffer {
        match event {
            WebhookEvent::Handoff => &mut self.handoffs,
            WebhookEvent::Failed => &mut self.failures,
        }
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.webhook.as_ref().and_then(|webhook| webhook.conduct.batch).unwrap_or(1)
    }

    /// What has not been sent won't be, and what is under way is not tried again.
    pub(super) fn give_everything_up(&mut self) {
        for event in [WebhookEvent::Handoff, WebhookEvent::Failed] {
            let waiting = self.buffer(event).clear();
            self.tally.of(Kind::Incident(event)).given_up += u64::try_from(waiting).unwrap_or(u64::MAX);
        }
        for delivery in std::mem::take(&mut self.queue).into_values() {
            self.drop_delivery(&delivery);
        }
    }

    pub(super) fn drop_delivery(&mut self, delivery: &Delivery) {
        if delivery.standing != Standing::Answered {
            self.tally.of(delivery.kind).given_up += delivery.size();
        }
    }

    /// When the next attempt is due.
    pub fn next(&self) -> Option<Timestamp> {
        self.active()?;
        let most = self.most_at_once();
        let queued = self.queue.first_key_value().map(|(&(due, _), _)| due);
        let buffered = [self.handoffs.next(most), self.failures.next(most)];
        let unanswered = self.under_way.values();
        let unanswered =
            unanswered.filter_map(|(at, _, delivery)| Some(later(*at, pause_after_failure(delivery)?)));
        queued.into_iter().chain(buffered.into_iter().flatten()).chain(unanswered).min()
    }

    /// When the incident there was told, if it was.
    pub fn told_at(&self, place: Place) -> Option<Timestamp> {
        self.told_at.get(&place).copied()
    }

    /// What became of the deliveries.
    pub fn tally(&self, world: &World) -> DeliveryTally {
        let mut tally = DeliveryTally { attempts: self.attempts, ..self.tally.clone() };
        for handoff in self.told_at.keys().filter_map(|&place| world.incident(place)?.handoff) {
            *tally.handoffs_by_reason.entry((handoff.source, handoff.reason)).or_default() += 1;
        }
        tally
    }
}
