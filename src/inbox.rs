//! The inbox: webhook deliveries on their way into the accounts.
//!
//! A delivery waits in a queue that is bounded. All that wait are taken in together, saved together where there is a state
//! file, and only then acknowledged: what was acknowledged survives a crash, and a thousand deliveries a second share the
//! writes to the disk. What cannot be taken in or kept is refused, so that Kapso sends it again.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    kapso::webhook::Told,
    project::{DeliveryResult, Stream},
    publisher::Publisher,
};

/// Deliveries that may wait.
const CAPACITY: usize = 4_096;
/// The most that are taken in together.
const TOGETHER: usize = 1_024;

/// Takes deliveries in. Clones are the same one.
#[derive(Clone)]
pub struct Inbox(mpsc::Sender<Letter>);

/// Where deliveries come out of the inbox.
pub struct Outlet(mpsc::Receiver<Letter>);

/// A delivery that waits, with all that it tells.
struct Letter {
    stream: Arc<Stream>,
    told: Vec<Told>,
    taken: oneshot::Sender<Fate>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken in, and is kept where anything is.
    Taken,
    /// Kapso has to send it again: there was no room, or it could not be kept.
    Refused,
}

impl Inbox {
    /// An empty one, and its outlet.
    #[must_use]
    pub fn new() -> (Self, Outlet) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), Outlet(receiver))
    }

    /// Puts in what a delivery to this stream tells, and waits until it is taken in and kept.
    pub async fn put(&self, stream: Arc<Stream>, told: Vec<Told>) -> Fate {
        let (taken, fate) = oneshot::channel();
        let events: Vec<_> = told.iter().map(|told| told.event).collect();
        let refused = stream.clone();
        let is_in = self.0.try_send(Letter { stream, told, taken }).is_ok();
        let fate = if is_in { fate.await.unwrap_or(Fate::Refused) } else { Fate::Refused };
        if fate == Fate::Refused {
            for event in events {
                refused.delivered(event, DeliveryResult::Overloaded);
            }
        }
        fate
    }
}

impl Outlet {
    /// Takes in what comes, until `shutdown`. Then nothing is taken any more.
    pub async fn run(mut self, publisher: Arc<Publisher>, shutdown: CancellationToken) {
        let mut letters = Vec::new();
        while let Some(1..) = shutdown.run_until_cancelled(self.0.recv_many(&mut letters, TOGETHER)).await {
            take_in(std::mem::take(&mut letters), &publisher).await;
        }
    }
}

async fn take_in(letters: Vec<Letter>, publisher: &Publisher) {
    let mut taken = Vec::new();
    for Letter { stream, told, taken: answer } in letters {
        match told.iter().map(|told| deliver(&stream, told)).collect::<Option<Vec<_>>>() {
            Some(results) => taken.push((stream, told, results, answer)),
            // Nobody waits for it any more.
            None => drop(answer.send(Fate::Refused)),
        }
    }
    let is_kept = publisher.save().await;
    for (stream, told, results, answer) in taken {
        // Nothing was written if another replica has the project.
        if !is_kept || !stream.is_held() {
            answer.send(Fate::Refused).ok();
            continue;
        }
        for (told, result) in told.iter().zip(results) {
            stream.delivered(told.event, result);
        }
        answer.send(Fate::Taken).ok();
        stream.changed.hurry();
    }
}

fn deliver(stream: &Stream, told: &Told) -> Option<DeliveryResult> {
    match &told.delivery {
        Some(delivery) => stream.deliver(delivery),
        None => Some(DeliveryResult::Ignored),
    }
}
