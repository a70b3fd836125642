//! How far a backfill is, for a person who waits at a terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::{backfill::Progress, commands::progress, project::Project};

/// A pause of the budget that is worth a word.
const PAUSE: Duration = Duration::from_secs(2);
/// The bar has so many steps.
const STEPS: u64 = 1000;
const TEMPLATE: &str = "[{elapsed}] {bar:24} {percent} % of the time read, {msg}";

/// Waits for `reads` of these projects; after a while shows how far they are on stderr, if that is a terminal.
pub(super) async fn shown_while<T>(reads: impl Future<Output = T>, projects: &[(Project, Progress)]) -> T {
    progress::shown_while(reads, TEMPLATE, |bar| show(bar, projects)).await
}

fn show(bar: &ProgressBar, projects: &[(Project, Progress)]) {
    let figures: Vec<_> = projects.iter().map(|(_, progress)| progress.figures()).collect();
    let (pages, executions): (u64, usize) =
        figures.iter().fold((0, 0), |sum, one| (sum.0 + one.pages, sum.1 + one.executions));
    bar.set_length(STEPS * projects.len() as u64);
    bar.set_position(figures.iter().map(|one| steps(one.part())).sum());
    bar.set_message(format!("{pages} pages, {executions} executions, {}", pace(projects)));
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most 1000"
)]
fn steps(part: f64) -> u64 {
    (part * STEPS as f64) as u64
}

fn pace(projects: &[(Project, Progress)]) -> String {
    let budgets = || projects.iter().map(|(project, _)| &project.budget);
    let pause = budgets().map(|budget| budget.paused_for()).max().unwrap_or_default();
    if pause > PAUSE {
        return format!("waiting {}s for the key's limit", pause.as_secs());
    }
    let per_minute = budgets().map(|budget| budget.status().per_minute).max().unwrap_or_default();
    format!("{per_minute} requests a minute")
}
