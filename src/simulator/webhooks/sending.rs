//! How deliveries are tried, and tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Answer, Attempt, WebhookStatus,
    delivery::{Delivery, Standing},
    outbox::Outbox,
};
use crate::simulator::random::{earlier, later};

/// An attempt without an answer has failed after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses after the first failure, the second and the third; after the fourth it is given up.
const RETRIES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(40), Duration::from_secs(90)];
/// A webhook is judged by its attempts of so long, if there are so many, and is switched off if so many
/// percent of them failed.
const JUDGED: (Duration, usize, usize) = (Duration::from_mins(15), 20, 85);

impl Outbox {
    /// Takes up to `most` attempts that are due by `now`.
    pub fn take(&mut self, now: Timestamp, most: usize) -> Vec<Attempt> {
        let Some(secret) = self.active().map(|webhook| webhook.secret.clone()) else {
            return Vec::new();
        };
        self.pack(now);
        let mut attempts = Vec::new();
        while attempts.len() < most {
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= now => {
                    let ((_, serial), delivery) = entry.remove_entry();
                    attempts.push(self.send(serial, delivery, &secret, now));
                }
                _ => break,
            }
        }
        attempts
    }

    fn send(&mut self, serial: u64, delivery: Delivery, secret: &str, now: Timestamp) -> Attempt {
        self.attempts += 1;
        if delivery.standing == Standing::Untried {
            self.tally.of(delivery.kind).sent += delivery.size();
        }
        let attempt = delivery.attempt(self.attempts, secret);
        self.under_way.insert(attempt.id, (later(now, PATIENCE), serial, delivery));
        attempt
    }

    /// How attempt `id` was answered, unless that comes too late.
    pub fn answered(&mut self, id: u64, answer: Answer, now: Timestamp) {
        if let Some((_, serial, delivery)) = self.under_way.remove(&id) {
            self.settle(serial, delivery, answer, now);
        }
    }

    /// Whatever was not answered by `now` has failed.
    pub(super) fn expire(&mut self, now: Timestamp) {
        // In the order in which attempts were taken their time is up as well.
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.get().0 <= now) {
            let (at, serial, delivery) = entry.remove();
            self.settle(serial, delivery, Answer::Failed, at);
        }
    }

    fn settle(&mut self, serial: u64, mut delivery: Delivery, answer: Answer, at: Timestamp) {
        self.outcomes.push_back((at, answer));
        let pause = match (answer, delivery.standing) {
            (Answer::Ok, Standing::Untried | Standing::Refused(_)) => {
                self.tally.of(delivery.kind).answered += delivery.size();
                self.told_at.extend(delivery.places.iter().map(|&place| (place, at)));
                delivery.standing = Standing::Answered;
                delivery.repeats.pop()
            }
            (_, Standing::Answered) => delivery.repeats.pop(),
            (Answer::Failed, Standing::Untried | Standing::Refused(_)) => refuse(&mut delivery),
        };
        match pause.filter(|_| self.active().is_some()) {
            Some(pause) => {
                self.queue.insert((later(at, pause), serial), delivery);
            }
            None => self.drop_delivery(&delivery),
        }
        self.judge(at);
    }

    /// Switches the webhook off if too much went wrong lately.
    fn judge(&mut self, now: Timestamp) {
        let (window, least, percent) = JUDGED;
        let from = earlier(now, window);
        while self.outcomes.pop_front_if(|(at, _)| *at <= from).is_some() {}
        let failed = self.outcomes.iter().filter(|(_, answer)| *answer == Answer::Failed).count();
        let all = self.outcomes.len();
        if all >= least && failed * 100 >= all * percent && self.active().is_some() {
            self.status = WebhookStatus::SwitchedOff;
            self.give_everything_up();
        }
    }
}

/// How long after its failure a delivery that is under way would be sent again, if it would.
pub fn pause_after_failure(delivery: &Delivery) -> Option<Duration> {
    match delivery.standing {
        Standing::Untried => RETRIES.first().copied(),
        Standing::Refused(times) => RETRIES.get(times).copied(),
        Standing::Answered => delivery.repeats.last().copied(),
    }
}

/// Notes one more failure; the pause until it is tried again, if it is.
fn refuse(delivery: &mut Delivery) -> Option<Duration> {
    let pause = pause_after_failure(delivery);
    let times = if let Standing::Refused(times) = delivery.standing { times } else { 0 };
    delivery.standing = Standing::Refused(times + 1);
    pause
}
