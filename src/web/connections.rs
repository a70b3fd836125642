//! Who stays when everybody comes: a bound on open connections that locks nobody out.
//!
//! A connection that is idle costs its client nothing, so a bound alone would be a gift to whoever opens that
//! many: Prometheus would wait behind them. Here a newcomer always gets in; where the bound is reached, the
//! oldest connection is closed for it. Nothing that a client does makes its connection younger, so none can be
//! pushed out before as many others as the bound have come after it: at 512 that leaves half a second at a
//! thousand newcomers a second, and a scrape takes milliseconds. A kept connection that is closed between two
//! scrapes is opened again by the next one.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    slots: Arc<Semaphore>,
    order: Mutex<Order>,
}

/// The connections that may be asked to go, by their arrival.
#[derive(Debug, Default)]
struct Order {
    open: BTreeMap<u64, oneshot::Sender<()>>,
    arrivals: u64,
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
        order.arrivals += 1;
        let arrival = order.arrivals;
        order.open.insert(arrival, ask);
        (Connection { all: self.clone(), arrival, _slot: slot }, asked)
    }

    /// Asks the oldest to go.
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
    arrival: u64,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.order.lock().open.remove(&self.arrival);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_the_oldest() {
        let all = Connections::new(2);
        let (oldest, mut first) = all.enter().await;
        let (_other, mut second) = all.enter().await;

        assert!(all.enter().now_or_never().is_none(), "no room before another is gone");
        assert!(first.try_recv().is_ok() && second.try_recv().is_err());
        drop(oldest);
        let (_newcomer, mut third) = all.enter().now_or_never().expect("its place is free");

        assert!(all.enter().now_or_never().is_none());
        assert!(second.try_recv().is_ok() && third.try_recv().is_err());
    }

    #[tokio::test]
    async fn who_was_asked_to_go_is_not_asked_again() {
        let all = Connections::new(3);
        let (_asked, mut first) = all.enter().await;
        let (gone, _) = all.enter().await;
        let (_other, mut third) = all.enter().await;
        drop(gone);
        all.make_room();
        assert!(first.try_recv().is_ok() && third.try_recv().is_err());
        all.make_room();
        assert!(third.try_recv().is_ok());
        all.make_room();
    }
}
