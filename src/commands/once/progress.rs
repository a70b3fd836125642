//! How far a long sweep is, for a person who waits at a terminal.

use std::{
    io::{self, IsTerminal},
    pin::pin,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::timeout;

use crate::{
    account::KnownConversation,
    app::App,
    model::Source,
    project::{Project, Stream},
};

/// A sweep that is done by then shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// From one look at it to the next.
const PACE: Duration = Duration::from_millis(200);
/// A pause of the budget that is worth a word.
const PAUSE: Duration = Duration::from_secs(2);

const TEMPLATE: &str = "[{elapsed}] {bar:24} {pos} of {len} lists read, {msg}";

/// Waits for `sweeps`; after a while shows how far they are on stderr, if that is a terminal.
pub(super) async fn shown_while<T>(sweeps: impl Future<Output = T>, app: &App) -> T {
    let mut sweeps = pin!(sweeps);
    if !io::stderr().is_terminal() {
        return sweeps.await;
    }
    if let Ok(done) = timeout(PATIENCE, &mut sweeps).await {
        return done;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_elapsed(PATIENCE);
    loop {
        show(&bar, app);
        if let Ok(done) = timeout(PACE, &mut sweeps).await {
            bar.finish_and_clear();
            return done;
        }
    }
}

fn show(bar: &ProgressBar, app: &App) {
    let figures: Vec<_> = app.sources().map(|(source, stream)| listed_of_due(source, stream, app)).collect();
    let (listed, due) = figures.iter().fold((0, 0), |sum, figure| (sum.0 + figure.0, sum.1 + figure.1));
    bar.set_length(due);
    bar.set_position(listed);
    bar.set_message(message(&app.project, due.saturating_sub(listed)));
    bar.tick();
}

/// Conversations that were listed, of those that one first sweep lists: all that are watched; or workflows.
fn listed_of_due(source: Source, stream: &Stream, app: &App) -> (u64, u64) {
    let config = &app.project.config;
    let now = stream.client.clock().now();
    let account = stream.account.lock();
    let watch_start = account.ledger.watch_start();
    if source == Source::Workflows {
        let listed = account.workflows().filter(|workflow| workflow.read.visited.is_some()).count();
        return (listed as u64, account.workflows().count() as u64);
    }
    let listed = |conversation: &KnownConversation<'_>| {
        conversation.read.listed.is_some() || conversation.read.deleted
    };
    let count =
        |wanted: &dyn Fn(&KnownConversation<'_>) -> bool| account.conversations().filter(wanted).count();
    let due = if config.conversations.is_empty() {
        let max_age = config.account.conversation_max_age;
        count(&|conversation| listed(conversation) || conversation.is_watched(now, max_age, watch_start))
    } else {
        config.conversations.len()
    };
    (count(&listed) as u64, due as u64)
}

fn message(project: &Project, left: u64) -> String {
    let pause = project.budget.paused_for();
    if pause > PAUSE {
        return format!("waiting {}s for the key's limit", pause.as_secs());
    }
    let per_minute = u64::from(project.budget.status().per_minute);
    let wait = Duration::from_secs(left * 60 / per_minute.max(1));
    format!("{per_minute} requests a minute: about {} to go", humantime::format_duration(wait))
}
