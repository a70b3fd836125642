//! How far a long sweep is, for a person who waits at a terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::{
    app::App,
    commands::progress,
    crawl::{self, FirstSweep, Watched},
    model::Source,
    project::{Project, Stream},
};

/// A pause of the budget that is worth a word.
const PAUSE: Duration = Duration::from_secs(2);

const TEMPLATE: &str = "[{elapsed}] {bar:24} {pos} of {len} lists read, {msg}";

/// Waits for `sweeps`; after a while shows how far they are on stderr, if that is a terminal.
pub(super) async fn shown_while<T>(sweeps: impl Future<Output = T>, app: &App) -> T {
    progress::shown_while(sweeps, TEMPLATE, |bar| show(bar, app)).await
}

fn show(bar: &ProgressBar, app: &App) {
    let sweeps = app.projects.values().flat_map(|watched| {
        watched.sources().map(|(source, stream)| first_sweep(source, stream, &watched.project))
    });
    let FirstSweep { read, due } = sweeps.fold(FirstSweep::default(), |sum, one| FirstSweep {
        read: sum.read + one.read,
        due: sum.due + one.due,
    });
    bar.set_length(due as u64);
    bar.set_position(read as u64);
    bar.set_message(message(app, due.saturating_sub(read) as u64));
}

fn first_sweep(source: Source, stream: &Stream, project: &Project) -> FirstSweep {
    let config = &project.config;
    let (only, max_age) = (&config.conversations[..], config.account.conversation_max_age);
    let watched = Watched { only, max_age, now: stream.client.clock().now() };
    crawl::kind_of(source).first_sweep(&stream.account.lock(), &watched)
}

fn message(app: &App, left: u64) -> String {
    let budgets = || app.projects.values().map(|watched| &watched.project.budget);
    let pause = budgets().map(|budget| budget.paused_for()).max().unwrap_or_default();
    if pause > PAUSE {
        return format!("waiting {}s for the key's limit", pause.as_secs());
    }
    let per_minute: u64 = budgets().map(|budget| u64::from(budget.status().per_minute)).sum();
    let wait = Duration::from_secs(left * 60 / per_minute.max(1));
    format!("{per_minute} requests a minute: about {} to go", humantime::format_duration(wait))
}
