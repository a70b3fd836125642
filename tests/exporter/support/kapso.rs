//! A simulated Kapso on a port of its own.

use kapso_exporter::{
    clock::Clock,
    simulator::{DEFAULT_KEY, Scenario, Simulator},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Exporter;

/// A simulated Kapso that is served until it is dropped.
pub struct Kapso {
    pub simulator: Simulator,
    port: u16,
    _running: DropGuard,
}

impl Kapso {
    /// Serves `scenario`.
    pub async fn start(scenario: Scenario) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), scenario)
    }

    /// Serves `scenario` on this listener.
    pub fn start_on(listener: TcpListener, scenario: Scenario) -> Self {
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        let simulator = Simulator::new(scenario, Clock::system());
        tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
        Self {
            simulator,
            port,
            _running: shutdown.drop_guard(),
        }
    }

    /// Starts an exporter that watches it, with these flags on top. Its budget is ample unless they say
    /// otherwise.
    pub async fn watched(&self, args: &[&str]) -> Exporter {
        self.watched_with_key(DEFAULT_KEY, args).await
    }

    /// The same, with another key.
    pub async fn watched_with_key(&self, key: &str, args: &[&str]) -> Exporter {
        watch(self.port, key, args).await
    }
}

/// Starts an exporter that watches whatever is on this port.
pub async fn watch(port: u16, key: &str, args: &[&str]) -> Exporter {
    let platform = format!("http://127.0.0.1:{port}/platform/v1");
    let legacy = format!("http://127.0.0.1:{port}/api/v1");
    let ample = ["--scrape.requests-per-minute", "100000"];
    let own_budget = args.contains(&ample[0]);
    let urls = ["--kapso.platform-url", &platform, "--kapso.legacy-url", &legacy];
    let budget = if own_budget { &[][..] } else { &ample };
    let args = [&urls, budget, args].concat();
    Exporter::start(&args, &[("KAPSO_API_KEY", key)]).await
}
