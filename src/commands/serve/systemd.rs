//! What systemd is told, where it runs the exporter (`Type=notify`): see `sd_notify(3)`.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells it. Without systemd nobody is told.
pub(super) fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd (NOTIFY_SOCKET) cannot be told how it is going");
    }
}

/// Whether it wants to hear that the exporter goes on (`WatchdogSec=`). It hears so in these intervals, at least.
pub(super) fn watches(interval: Duration) -> bool {
    let Some(patience) = sd_notify::watchdog_enabled() else { return false };
    if patience < 4 * interval {
        tracing::warn!(?patience, "WatchdogSec= of systemd is short: expected at least {:?}", 4 * interval);
    }
    true
}
