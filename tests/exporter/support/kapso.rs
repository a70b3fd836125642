//! A simulated Kapso on a port of its own.

use kapso_exporter::{
    clock::Clock,
    simulator::{Api, DEFAULT_KEY, Scenario, Simulator},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Exporter, Finished, run_to_end, wait_for};

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
        Self { simulator, port, _running: shutdown.drop_guard() }
    }

    /// Starts an exporter that watches it, with these flags on top. Its budget is ample unless they say
    /// otherwise.
    pub async fn watched(&self, args: &[&str]) -> Exporter {
        self.watched_with_key(DEFAULT_KEY, args).await
    }

    /// The same, within the budget that it finds by itself.
    pub async fn watched_within_default_budget(&self, args: &[&str]) -> Exporter {
        let urls = self.flags();
        let args = [&[urls[0].as_str(), &urls[1]], args].concat();
        Exporter::start(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)]).await
    }

    /// Base URL of its legacy API.
    pub fn legacy_url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1", self.port)
    }

    /// Base URL of its Platform API.
    pub fn platform_url(&self) -> String {
        format!("http://127.0.0.1:{}/platform/v1", self.port)
    }

    /// Ids of its first workflow (or agent) and first conversation.
    pub fn first(&self, api: Api) -> (String, String) {
        (self.simulator.workflow_ids(api).remove(0), self.simulator.conversation_ids(api).remove(0))
    }

    /// Waits until two more sweeps are complete, of which the second one began after the call.
    pub async fn swept_twice(&self, exporter: &Exporter) {
        let sweeps =
            async || exporter.scrape().await.sum("kapso_exporter_sweeps_total", &[("result", "complete")]);
        let before = sweeps().await;
        wait_for("two sweeps", async || sweeps().await >= before + 2.0).await;
    }

    /// Runs a subcommand against it to its end.
    pub async fn run(&self, command: &str, args: &[&str]) -> Finished {
        self.run_with_key(DEFAULT_KEY, command, args).await
    }

    /// The same, with another key.
    pub async fn run_with_key(&self, key: &str, command: &str, args: &[&str]) -> Finished {
        run_against(self.port, key, command, args).await
    }

    /// The flags that point an exporter at it.
    pub fn flags(&self) -> [String; 2] {
        flags(self.port)
    }

    /// The same as [`watched`](Self::watched), with another key.
    pub async fn watched_with_key(&self, key: &str, args: &[&str]) -> Exporter {
        watch(self.port, key, args).await
    }
}

/// The flags that point an exporter at whatever is on this port.
fn flags(port: u16) -> [String; 2] {
    [
        format!("--kapso.platform-url=http://127.0.0.1:{port}/platform/v1"),
        format!("--kapso.legacy-url=http://127.0.0.1:{port}/api/v1"),
    ]
}

/// Runs a subcommand against whatever is on this port to its end.
pub async fn run_against(port: u16, key: &str, command: &str, args: &[&str]) -> Finished {
    let [platform, legacy] = &flags(port);
    run_to_end(&[&[command, platform, legacy], args].concat(), &[("KAPSO_API_KEY", key)]).await
}

/// Starts an exporter that watches whatever is on this port. These flags win over the usual ones.
pub async fn watch(port: u16, key: &str, args: &[&str]) -> Exporter {
    let [platform, legacy] = &flags(port);
    let given = |usual: &&str| {
        let flag = usual.split('=').next().unwrap();
        args.iter().any(|arg| arg.starts_with(flag))
    };
    let mut all = vec![platform.as_str(), legacy, "--scrape.requests-per-minute=100000"];
    all.retain(|usual| !given(usual));
    Exporter::start(&[&all, args].concat(), &[("KAPSO_API_KEY", key)]).await
}
