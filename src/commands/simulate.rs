//! `kapso-exporter simulate`: the simulated Kapso on its own; and the one that `--demo` embeds.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    cli::Simulate,
    clock::Clock,
    config::ProjectConfig,
    simulator::{Fault, Faults, Scenario, Simulator},
    web,
};

/// Serves the simulated Kapso until `shutdown`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn simulate(flags: Simulate, clock: Clock, shutdown: CancellationToken) -> anyhow::Result<()> {
    let address = &flags.listen_address;
    let listener = web::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (--web.listen-address)"))?;
    let address = listener.local_addr()?;
    let base = format!("http://{address}");
    tracing::info!(
        %address,
        platform_url = format!("{base}/platform/v1"),
        legacy_url = format!("{base}/api/v1"),
        tally = format!("{base}/_simulator/tally"),
        "listening"
    );
    Simulator::new(scenario(flags), clock).serve(listener, shutdown).await.context("cannot serve")
}

/// Starts the simulated Kapso on a free loopback port and points the configuration at it.
///
/// # Errors
/// If no port can be bound.
pub async fn embed(
    config: &mut ProjectConfig,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.context("cannot bind a port for the simulated Kapso")?;
    let base = format!("http://{}", listener.local_addr()?);
    config.platform_url = Url::parse(&format!("{base}/platform/v1"))?;
    config.legacy_url = Url::parse(&format!("{base}/api/v1"))?;
    let simulator = Simulator::new(Scenario::demo(1), clock.clone());
    tokio::spawn(simulator.serve(listener, shutdown.clone()));
    Ok(())
}

fn scenario(flags: Simulate) -> Scenario {
    let mut scenario = Scenario::demo(flags.seed);
    scenario.traffic.starts_per_minute = flags.starts_per_minute;
    if let Some(workflows) = flags.workflows {
        scenario.workflows = (1..=workflows).map(|n| format!("Workflow {n}")).collect();
    }
    Scenario {
        key: flags.key,
        further_keys: flags.keys,
        conversations: flags.conversations,
        history: flags.history,
        open_history: flags.open_history,
        latency: flags.latency,
        rate_limit: Some(flags.rate_limit).filter(|&limit| limit > 0),
        faults: Faults { one_in: flags.fault_one_in, kinds: Fault::ALL.to_vec() },
        ..scenario
    }
}
