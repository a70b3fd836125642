//! Requests that hang: what waits for its answer for long is not to take a place from others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    pin,
    sync::{Notify, futures::Notified},
    time::sleep,
};

/// A request that has waited for its answer for so long hangs.
pub(super) const LONG: Duration = Duration::from_secs(2);

/// How many requests hang.
#[derive(Debug, Clone, Default)]
pub struct Hanging(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicUsize,
    grew: Notify,
}

impl Hanging {
    /// How many hang now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Waits until there is one more than when this is called.
    pub fn grew(&self) -> Notified<'_> {
        self.0.grew.notified()
    }

    /// Waits for `answer`, and counts it while it hangs.
    pub(super) async fn watch<T>(&self, answer: impl Future<Output = T>) -> T {
        pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = sleep(LONG) => {}
        }
        let _hangs = Hangs::begin(&self.0);
        answer.await
    }
}

/// One that hangs, until it is dropped.
struct Hangs<'a>(&'a Inner);

impl<'a> Hangs<'a> {
    fn begin(inner: &'a Inner) -> Self {
        inner.count.fetch_add(1, Ordering::Relaxed);
        inner.grew.notify_waiters();
        Self(inner)
    }
}

impl Drop for Hangs<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_counted_until_it_is_answered_or_dropped() {
        let hanging = Hanging::default();
        hanging.watch(sleep(Duration::from_secs(1))).await;
        assert_eq!(hanging.count(), 0);
        let (long, dropped) = (hanging.clone(), hanging.clone());
        let long = tokio::spawn(async move { long.watch(sleep(Duration::from_secs(5))).await });
        let dropped = tokio::spawn(async move { dropped.watch(std::future::pending::<()>()).await });
        tokio::time::timeout(Duration::from_secs(3), hanging.grew()).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(hanging.count(), 2);
        long.await.unwrap();
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        assert_eq!(hanging.count(), 0);
    }
}
