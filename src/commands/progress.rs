//! How far something long is, for a person who waits at a terminal.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::timeout;

/// What is done by then shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// From one look at it to the next.
const PACE: Duration = Duration::from_millis(200);

/// Waits for `work`; after a while `show` shows on stderr how far it is, in the form of `template`, if that is a terminal.
pub(super) async fn shown_while<T>(
    work: impl Future<Output = T>,
    template: &str,
    mut show: impl FnMut(&ProgressBar),
) -> T {
    let mut work = pin!(work);
    if !io::stderr().is_terminal() {
        return work.await;
    }
    if let Ok(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_elapsed(PATIENCE);
    loop {
        show(&bar);
        bar.tick();
        if let Ok(done) = timeout(PACE, &mut work).await {
            bar.finish_and_clear();
            return done;
        }
    }
}
