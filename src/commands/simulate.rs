//! `kapso-exporter simulate`: the simulated Kapso on its own; and the one that `--demo` embeds.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    cli::Simulate,
    clock::Clock,
    config::ProjectConfig,
    model::{Api, ReasonRule},
    simulator::{Conduct, Fault, Faults, Scenario, Simulator, Webhook},
    web,
};

/// Signs the deliveries of the demo.
const DEMO_SECRET: &str = "kapso-simulated-secret";
/// Classes of the reasons that the simulated Kapso gives.
const DEMO_REASONS: [(&str, &str); 2] = [("refund", "(?i)refund|invoice"), ("complaint", "(?i)angry")];

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

/// Starts the simulated Kapso on a free loopback port and points the configuration at it. Where the Platform API is
/// watched, both have a webhook; it delivers once it has a URL.
///
/// # Errors
/// If no port can be bound.
pub async fn embed(
    config: &mut ProjectConfig,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<Simulator> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.context("cannot bind a port for the simulated Kapso")?;
    let base = format!("http://{}", listener.local_addr()?);
    config.platform_url = Url::parse(&format!("{base}/platform/v1"))?;
    config.legacy_url = Url::parse(&format!("{base}/api/v1"))?;
    let simulator = Simulator::new(Scenario::demo(1), clock.clone());
    if config.apis().contains(&Api::Platform) {
        let webhook = Webhook {
            secret: DEMO_SECRET.into(),
            conduct: Conduct { tests: 0.05, ..Conduct::default() },
            url: None,
        };
        simulator.set_webhook(Some(webhook));
        config.webhook_secrets = vec![DEMO_SECRET.into()];
        config.handoff_reasons = DEMO_REASONS
            .into_iter()
            .map(|(class, pattern)| ReasonRule::new(class, pattern).map_err(anyhow::Error::msg))
            .collect::<anyhow::Result<_>>()?;
    }
    tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
    Ok(simulator)
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
        history_span: flags.history_span,
        open_history: flags.open_history,
        latency: flags.latency,
        rate_limit: Some(flags.rate_limit).filter(|&limit| limit > 0),
        faults: Faults { one_in: flags.fault_one_in, kinds: Fault::ALL.to_vec() },
        ..scenario
    }
}
