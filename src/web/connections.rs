//! Who stays when everybody comes: a bound on open connections that locks nobody out.
//!
//! A connection that is idle costs its client nothing, so a bound alone would be a gift to whoever opens that
//! many: Prometheus would wait behind them. Here a newcomer always gets in. Where the bound is reached, another
//! connection is closed for it: one that waits for a request rather than one whose answer is under way, and the
//! one that has done so for longest. A scrape is lost only if as many others as the bound come while it lasts;
//! a kept connection that is closed between two scrapes is opened again by the next one.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Arc<Semaphore>,
    order: Mutex<Order>,
}

/// The connections in the order in which they would have to go.
#[derive(Debug, Default)]
struct Order {
    open: BTreeMap<Rank, oneshot::Sender<()>>,
    events: u64,
}

/// The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    answering: bool,
    since: u64,
}

impl Order {
    fn next(&mut self, answering: bool) -> Rank {
        self.events += 1;
        Rank { answering, since: self.events }
    }
}

/// Resolves once the connection has to make room.
pub(super) type Asked = oneshot::Receiver<()>;

impl Connections {
    /// At most so many.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { slots: Arc::new(Semaphore::new(most)), order: Mutex::default() })
    }

    /// Lets one in; where there is no room, once another is gone.
    pub async fn enter(self: &Arc<Self>) -> (Connection, Asked) {
        let slot = if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            Some(slot)
        } else {
            self.make_room();
            self.slots.clone().acquire_owned().await.ok()
        };
        let (ask, asked) = oneshot::channel();
        let mut order = self.order.lock();
        let rank = order.next(false);
        order.open.insert(rank, ask);
        (Connection { all: self.clone(), rank, _slot: slot }, asked)
    }

    /// Asks the first in the order to go.
    pub fn make_room(&self) {
        if let Some((_, ask)) = self.order.lock().open.pop_first() {
            // A connection that is ending by itself does not listen any more.
            ask.send(()).ok();
        }
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    all: Arc<Connections>,
    rank: Rank,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Its peer did not take all of an answer at once.
    pub fn answers(&mut self) {
        self.turn(true);
    }

    /// All that was to be said was taken.
    pub fn waits(&mut self) {
        self.turn(false);
    }

    fn turn(&mut self, answering: bool) {
        let mut order = self.all.order.lock();
        if let Some(ask) = order.open.remove(&self.rank) {
            self.rank = order.next(answering);
            order.open.insert(self.rank, ask);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.order.lock().open.remove(&self.rank);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_the_one_that_waited_longest() {
        let all = Connections::new(3);
        let (longest, mut first) = all.enter().await;
        let (mut busy, mut second) = all.enter().await;
        let (mut active, mut third) = all.enter().await;
        busy.answers();
        active.waits();

        assert!(all.enter().now_or_never().is_none(), "no room before another is gone");
        assert!(first.try_recv().is_ok() && second.try_recv().is_err() && third.try_recv().is_err());
        drop(longest);
        let (_newcomer, mut fourth) = all.enter().now_or_never().expect("its place is free");

        assert!(all.enter().now_or_never().is_none());
        assert!(third.try_recv().is_ok() && second.try_recv().is_err() && fourth.try_recv().is_err());
    }

    #[tokio::test]
    async fn who_answers_goes_only_where_everybody_does() {
        let all = Connections::new(2);
        let (mut a, mut first) = all.enter().await;
        let (mut b, mut second) = all.enter().await;
        b.answers();
        a.answers();
        all.make_room();
        assert!(first.try_recv().is_err() && second.try_recv().is_ok());
        b.waits();
        all.make_room();
        assert!(first.try_recv().is_ok(), "one that was asked to go is not asked again");
        all.make_room();
    }
}
