//! A watchdog: work that shows no sign of life for too long is given up.
//!
//! Every request has a deadline of its own, so this never happens unless something is wrong that nobody thought
//! of. An exporter that hangs shows old numbers for good; one that begins anew does not.

use std::time::Duration;

use tokio::time::sleep;

use crate::crawl::Heartbeat;

/// What comes of `work`, or `None` if there was no sign of life within `patience`; then it is dropped where it is.
pub async fn guarded<T>(
    work: impl Future<Output = T>,
    heartbeat: &Heartbeat,
    patience: Duration,
) -> Option<T> {
    let silence = async {
        let mut last = heartbeat.count();
        loop {
            sleep(patience).await;
            let now = heartbeat.count();
            if std::mem::replace(&mut last, now) == now {
                return;
            }
        }
    };
    tokio::select! {
        result = work => Some(result),
        () = silence => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(5);

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_given_up() {
        assert_eq!(guarded(pending::<()>(), &Heartbeat::default(), PATIENCE).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_with_signs_of_life_is_waited_for() {
        let heartbeat = Heartbeat::default();
        let work = async {
            for _ in 0..100 {
                sleep(Duration::from_mins(4)).await;
                heartbeat.beat();
            }
            7
        };
        assert_eq!(guarded(work, &heartbeat, PATIENCE).await, Some(7));
    }
}
