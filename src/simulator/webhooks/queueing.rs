//! How what happens in the world becomes deliveries.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Incident, WebhookEvent,
    buffer::Item,
    delivery::{Delivery, Kind},
    incident::Place,
    outbox::Outbox,
    payload,
};
use crate::simulator::{
    random::{later, mix},
    world::World,
};

impl Outbox {
    /// Takes in what has happened in the world, and what was not answered in time, up to `now`.
    pub fn catch_up(&mut self, world: &mut World, now: Timestamp) {
        let places = std::mem::take(&mut world.incidents);
        for place in places {
            if self.webhook.is_none() {
                break;
            }
            let Some(Incident { event, at, .. }) = world.incident(place) else { continue };
            // In the order of time: a failure may switch the webhook off before the next incident.
            self.expire(at);
            self.enqueue(world, place, event, at);
        }
        self.expire(now);
    }

    fn enqueue(&mut self, world: &World, place: Place, event: WebhookEvent, at: Timestamp) {
        let Some(conduct) = self.active().map(|webhook| webhook.conduct.clone()) else { return };
        let fate = conduct.fate(&mut self.rng);
        self.tally.of(Kind::Incident(event)).queued += 1;
        let serial = self.next_serial();
        match (fate.wait, payload::incident(world, place)) {
            (Some(wait), Some(body)) => {
                let item = Item { serial, place, body, repeats: fate.repeats };
                self.buffer(event).add(later(at, wait), item);
            }
            _ => self.tally.of(Kind::Incident(event)).lost += 1,
        }
        if let Some(wait) = fate.test {
            self.enqueue_other(payload::test, at, wait);
        }
        if let Some(wait) = fate.unknown {
            self.enqueue_other(payload::unknown, at, wait);
        }
    }

    fn enqueue_other(
        &mut self,
        write: impl Fn(u64, Timestamp) -> (Kind, Value),
        at: Timestamp,
        wait: Duration,
    ) {
        let serial = self.next_serial();
        let (kind, body) = write(mix(serial), at);
        self.tally.of(kind).queued += 1;
        self.queue.insert((later(at, wait), serial), Delivery::new(self.seed, serial, kind, &body));
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Makes deliveries of the items that go by `now`.
    pub(super) fn pack(&mut self, now: Timestamp) {
        let most = self.most_at_once();
        for event in [WebhookEvent::Handoff, WebhookEvent::Failed] {
            while let Some((due, items)) = self.buffer(event).take(most, now) {
                self.pack_items(event, due, items);
            }
        }
    }

    fn pack_items(&mut self, event: WebhookEvent, due: Timestamp, items: Vec<Item>) {
        let Some(serial) = items.first().map(|item| item.serial) else { return };
        let (mut places, mut bodies, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            places.push(item.place);
            bodies.push(item.body);
            repeats = if repeats.is_empty() { item.repeats } else { repeats };
        }
        let is_batch = self.webhook.as_ref().is_some_and(|webhook| webhook.conduct.batch.is_some());
        let make = |body| Delivery::new(self.seed, serial, Kind::Incident(event), body);
        let mut delivery = match bodies.first() {
            Some(body) if !is_batch => make(body),
            _ => make(&payload::batch(event.name(), &bodies)).of_batch(places.len()),
        };
        (delivery.places, delivery.repeats) = (places, repeats);
        self.queue.insert((due, serial), delivery);
    }
}
