//! Every format of the exposition, read by the Prometheus of the PATH, whatever its generation: all that is in the text
//! arrives, whichever way it is asked for, and what only some formats have arrives where they have it.

mod alike;
mod increase;
mod parsers;
mod quantiles;

use std::time::Duration;

use kapso_exporter::simulator::{Api, Scenario};

use super::stack::free_address;
use crate::support::{Exporter, Kapso};

/// A business in which nothing happens by itself, and that may be asked often.
fn quiet() -> Scenario {
    Scenario { rate_limit: Some(100_000), latency: Duration::ZERO, ..Scenario::quiet(1) }
}

/// A scrape configuration for the exporter at this address, with these settings (YAML, in braces without them).
fn job(name: &str, address: &str, settings: &str) -> String {
    format!(
        "- {{job_name: {name}, scrape_interval: 1s, scrape_timeout: 1s, {settings}static_configs: [{{targets: \
         ['{address}'], labels: {{instance: exporter}}}}]}}\n"
    )
}

fn address(exporter: &Exporter) -> &str {
    exporter.url.strip_prefix("http://").unwrap()
}

/// Executions end, fail and are handed off, in each workflow of both APIs; then all is at rest.
async fn some_traffic(kapso: &Kapso) {
    let simulator = &kapso.simulator;
    for api in [Api::Platform, Api::Legacy] {
        let conversations = simulator.conversation_ids(api);
        for (number, workflow) in simulator.workflow_ids(api).iter().enumerate() {
            for (index, conversation) in conversations.iter().cycle().take(6 + number).enumerate() {
                let id = simulator.start(api, workflow, Some(conversation)).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                match index % 3 {
                    0 => simulator.transition(&id, "ended").unwrap(),
                    1 if api == Api::Platform => simulator.transition(&id, "failed").unwrap(),
                    _ => simulator.transition(&id, "handoff").unwrap(),
                }
            }
        }
    }
}
