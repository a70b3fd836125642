//! Where connections come from.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;

use crate::{
    config::{WebConfig, web::Listen},
    simulator::Simulator,
    web::{Listener, Rules},
};

/// Opens the sockets, or takes those that systemd has opened.
pub(super) async fn listen(web: &WebConfig) -> anyhow::Result<Vec<Listener>> {
    let listeners = match &web.listen {
        Listen::Systemd => Listener::from_systemd().context("cannot listen (--web.systemd-socket)")?,
        Listen::Addresses(addresses) => {
            let mut listeners = Vec::new();
            for address in addresses {
                let bound = Listener::bind(address).await;
                listeners.push(
                    bound.with_context(|| format!("cannot listen on {address} (--web.listen-address)"))?,
                );
            }
            listeners
        }
    };
    for listener in &listeners {
        tracing::info!(address = %listener, path = web.telemetry_path, "listening");
    }
    Ok(listeners)
}

/// Has the simulated Kapso of the demo deliver to what is served: it does so in TCP, and trusts no certificate.
pub(super) fn deliver(demo: &Simulator, listeners: &[Listener], rules: &Rules) {
    let address = listeners.iter().find_map(Listener::tcp_address);
    if let Some(address) = address.filter(|_| rules.tls().is_none()) {
        demo.set_webhook_url(webhook_url(address));
    } else {
        tracing::info!("the demo delivers no webhooks: it does so over plain HTTP, in TCP, alone");
    }
}

/// Where the one project of the demo takes its deliveries.
fn webhook_url(mut served_at: SocketAddr) -> String {
    if served_at.ip().is_unspecified() {
        served_at.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{served_at}/webhooks/kapso/default")
}
