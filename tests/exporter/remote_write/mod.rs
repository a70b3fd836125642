//! `once --remote-write`: what arrives is what would have been scraped, whoever has to be convinced on the way.

mod authentication;
mod content;

mod files;
pub mod receiver;
mod sending;
mod tls;

use kapso_exporter::simulator::Scenario;

use self::receiver::Receiver;
use crate::support::{Finished, Kapso};

/// A small business in which nothing happens any more.
fn business() -> Scenario {
    Scenario { conversations: 8, history: 30, open_history: 6, ..Scenario::quiet(1) }
}

/// Kapso is asked as fast as it answers.
const AMPLE: &str = "--scrape.requests-per-minute=100000";

/// Runs `once` against it and sends what it finds.
async fn push(kapso: &Kapso, receiver: &Receiver, args: &[&str]) -> Finished {
    let url = format!("--remote-write={}", receiver.url);
    let all = [AMPLE, "--scrape.conversation-max-age=3650d", &url];
    kapso.run("once", &[&all, args].concat()).await
}
