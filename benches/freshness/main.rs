//! How fresh the numbers are on a small budget: days of a simulated Kapso in simulated time.
//! `cargo bench --bench freshness` prints the tables of `docs/freshness.md`.
//!
//! Words after `--` choose cells: `auto`, `conversations` or `workflows` (the source), `plain` (the plain loop), `told` (with
//! webhooks), `urgency` (what is learned of workflows, with `equal` or `learned`), `first` (the
//! first picture), a number of conversations, a share of them such as `5%`. `KAPSO_TEST_SEED` draws another traffic.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "../../tests/exporter/support/exposition.rs"]
#[allow(dead_code)]
mod exposition;
mod first;
mod plain;
#[path = "../../tests/exporter/support/simulated.rs"]
#[allow(dead_code)]
mod simulated;
mod table;
mod told;
mod urgency;
mod watched;
mod world;

use std::time::Instant;

use exposition::Exposition;
use kapso_exporter::{account::Treatment, model::Source};
use table::Table;
use told::Deliveries;
use urgency::Outcomes;
use world::Size;

/// What the key allows, in requests per minute.
const LIMITS: [u32; 3] = [2_000, 500, 100];

const QUIET: &[&str] = &[
    "source",
    "conversations",
    "open",
    "limit",
    "bound",
    "by status",
    "at most",
    "requests a sweep",
    "a sweep takes",
];
const BUSY: &[&str] = &[
    "source",
    "conversations",
    "open",
    "limit",
    "outcomes",
    "p50",
    "p95",
    "requests a minute",
    "busiest minute",
    "429s",
];
const TOLD: &[&str] = &[
    "source",
    "conversations",
    "open, about",
    "webhook",
    "handoffs and failures p50",
    "p95",
    "all outcomes p50",
    "p95",
    "requests a minute",
];
const URGENCY: &[&str] = &[
    "treatment",
    "outcomes",
    "open, fast",
    "slow",
    "all outcomes",
    "p50",
    "p95",
    "of fast workflows",
    "p50",
    "p95",
    "of slow workflows",
    "p50",
    "p95",
    "longest unseen, fast",
    "slow",
    "times as long, at most 20",
];
const FIRST: &[&str] = &[
    "source",
    "conversations",
    "limit",
    "first sweep",
    "wrong then",
    "all known",
    "requests",
    "share of a plain round",
    "wrong then, with traffic",
];
const PLAIN: &[&str] =
    &["conversations", "open", "limit", "requests a round", "a round takes", "outcomes", "p50", "p95"];

fn sizes() -> impl Iterator<Item = Size> {
    let shares = |conversations| if conversations == 10_000 { vec![1, 3, 5] } else { vec![1, 5] };
    [1_000, 10_000, 100_000].into_iter().flat_map(move |conversations| {
        shares(conversations).into_iter().map(move |percent| Size { conversations, percent })
    })
}

/// Whether the command line asks for what these words name.
fn is_wanted(words: &[&str]) -> bool {
    std::env::args().skip(1).filter(|word| !word.starts_with('-')).all(|word| words.contains(&word.as_str()))
}

/// Runs in time that is simulated, and says how long it really took.
fn simulate<T>(what: &str, future: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let result = runtime.block_on(future);
    eprintln!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
    result
}

/// What is gained by what was learned of workflows.
fn learned() -> Table {
    let mut table = Table::new(URGENCY);
    for outcomes in [Outcomes::Failures, Outcomes::All] {
        for (word, treatment) in [("equal", Treatment::Equal), ("learned", Treatment::Learned)] {
            if is_wanted(&["urgency", word]) {
                table.extend(simulate(&format!("urgency {word}"), urgency::rows(treatment, outcomes)));
            }
        }
    }
    table
}

/// From a start without a state until everything is known.
fn first() -> Table {
    let mut table = Table::new(FIRST);
    for source in [Source::Auto, Source::Conversations, Source::Workflows] {
        for size in sizes().filter(|size| size.percent == 5 && size.conversations >= 10_000) {
            for limit in [2_000, 500] {
                let words = ["first", source.as_str(), &size.conversations.to_string()];
                if is_wanted(&words) {
                    table.extend(vec![simulate(&words.join(" "), first::row(source, size, limit))]);
                }
            }
        }
    }
    table
}

fn main() {
    let (mut quiet, mut busy, mut plain) = (Table::new(QUIET), Table::new(BUSY), Table::new(PLAIN));
    for source in [Source::Auto, Source::Conversations, Source::Workflows] {
        for size in sizes() {
            let words = [source.as_str(), &size.conversations.to_string(), &format!("{}%", size.percent)];
            if is_wanted(&words) {
                let name = words.join(" ");
                quiet.extend(simulate(&format!("{name}, quiet"), watched::quiet(source, size, &LIMITS)));
                busy.extend(simulate(&format!("{name}, busy"), watched::busy(source, size, &LIMITS)));
            }
        }
    }
    for size in sizes().filter(|size| size.percent == 5) {
        let words = ["plain", &size.conversations.to_string(), "5%"];
        if is_wanted(&words) {
            plain.extend(simulate(&words.join(" "), plain::rounds(size, &LIMITS)));
        }
    }
    let mut told = Table::new(TOLD);
    for source in [Source::Auto, Source::Conversations, Source::Workflows] {
        for size in sizes().filter(|size| size.conversations == 10_000) {
            let words = ["told", source.as_str(), &format!("{}%", size.percent)];
            for deliveries in [Deliveries::None, Deliveries::All] {
                if is_wanted(&words) {
                    told.extend(vec![simulate(&words.join(" "), told::row(source, size, deliveries))]);
                }
            }
        }
    }
    let (urgency, first) = (learned(), first());
    println!(
        "## Quiet\n\n{quiet}\n## Busy\n\n{busy}\n## With webhooks\n\n{told}\n## Learned urgency\n\n{urgency}\n## The first picture\n\n{first}\n## The plain loop\n\n{plain}"
    );
}
